//! What must be so after all that was acknowledged, and what is not.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use session_core::SessionId;

use crate::account::{Account, SAVED, Save, Update};
use crate::findings::Finding;
use crate::moment::now;
use crate::order::{Answer, Sight};
use crate::process::Failed;

/// How far the clocks of nodes may be off, that of whoever made a session and that of whoever is asked.
const MARGIN: Duration = Duration::from_secs(15);
/// How long a session that has expired stays in the ledger, to be asked for.
const KEPT: Duration = Duration::from_secs(30);
/// How many sessions that are over may be asked for.
const OVER: usize = 4096;
/// How many sessions a subject with a limit may have.
pub(crate) const LIMIT: usize = 3;

/// The answer to a call, or why there is none.
pub(crate) type Reply = Result<Answer, Failed>;

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: SessionId,
    pub(crate) node: usize,
    /// The life of that node.
    pub(crate) life: u64,
    pub(crate) begun: Instant,
}

/// All sessions, and what is known of them from outside.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) accounts: HashMap<SessionId, Account>,
    owners: HashMap<u64, Owner>,
    /// Those that seem to live.
    alive: Vec<SessionId>,
    /// Those that are over, the last ones.
    over: VecDeque<SessionId>,
    /// Whatever was answered before is on all nodes.
    spread_at: Instant,
    pub(crate) broken: Vec<(Finding, String)>,
    begun: Instant,
    /// How often a node served a session whose end all that were alive had acknowledged: it was cut off.
    pub(crate) stale: u64,
    /// How many sessions there were.
    pub(crate) sessions: usize,
}

#[derive(Debug, Default)]
struct Owner {
    sessions: Vec<SessionId>,
    is_revoked: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            owners: HashMap::new(),
            alive: Vec::new(),
            over: VecDeque::new(),
            spread_at: now(),
            broken: Vec::new(),
            begun: now(),
            stale: 0,
            sessions: 0,
        }
    }
}

impl Ledger {
    /// A session is about to be made. `false` if its subject signs in no more.
    pub(crate) fn make(
        &mut self,
        (id, node): (SessionId, usize),
        subject: Option<u64>,
        is_limited: bool,
        secret: u64,
        life: Duration,
    ) -> bool {
        if let Some(subject) = subject {
            let owner = self.owners.entry(subject).or_default();
            if owner.is_revoked {
                return false;
            }
            owner.sessions.push(id);
        }
        let begun = now();
        let account = Account {
            subject,
            is_limited,
            made: None,
            node,
            lives_until: begun + life - MARGIN,
            // Until its answer comes at the latest.
            dead_from: begun + life + MARGIN,
            is_busy: false,
            place: None,
            ends: u32::from(is_limited),
            ended: None,
            updates: Vec::new(),
            saves: Vec::new(),
            secret,
            renewals: 0,
            is_there: false,
            over_on: Vec::new(),
        };
        self.accounts.insert(id, account);
        self.sessions += 1;
        true
    }

    /// The answer to that.
    pub(crate) fn made(&mut self, call: Call, reply: &Reply) {
        match reply {
            Ok(Answer::Live(sight)) => {
                let place = self.alive.len();
                let Some(account) = self.accounts.get_mut(&call.id) else {
                    return;
                };
                account.made = Some(now());
                if account.ended.is_none() {
                    account.place = Some(place);
                    self.alive.push(call.id);
                }
                self.saw(call, sight);
            }
            Err(Failed::Unanswered) | Ok(Answer::Unknown(_)) => {}
            // It never was.
            _ => drop(self.accounts.remove(&call.id)),
        }
    }

    /// One that seems to live and to which no call is under way; it is busy from now on.
    pub(crate) fn pick(&mut self, rng: &mut StdRng) -> Option<SessionId> {
        for _ in 0..8 {
            let id = self.any(rng)?;
            let account = self.accounts.get_mut(&id)?;
            if !account.is_busy {
                account.is_busy = true;
                return Some(id);
            }
        }
        None
    }

    /// One that seems to live, whatever is under way.
    pub(crate) fn any(&mut self, rng: &mut StdRng) -> Option<SessionId> {
        for _ in 0..8 {
            if self.alive.is_empty() {
                return None;
            }
            let id = self.alive[rng.random_range(0..self.alive.len())];
            let account = self.accounts.get(&id)?;
            if account.lives_until > now() {
                return Some(id);
            }
            self.bury(id);
        }
        None
    }

    /// One that is over.
    pub(crate) fn any_over(&self, rng: &mut StdRng) -> Option<SessionId> {
        let count = self.over.len();
        let at = (count > 0).then(|| rng.random_range(0..count))?;
        self.over.get(at).copied()
    }

    pub(crate) fn is_free(&mut self, id: SessionId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_busy = false;
        }
    }

    pub(crate) fn subject_of(&self, id: SessionId) -> Option<u64> {
        self.accounts.get(&id)?.subject
    }

    pub(crate) fn secret_of(&self, id: SessionId) -> u64 {
        self.accounts.get(&id).map_or(0, |account| account.secret)
    }

    /// It no longer seems to live.
    fn bury(&mut self, id: SessionId) {
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        let Some(place) = account.place.take() else {
            return;
        };
        self.alive.swap_remove(place);
        if let Some(moved) = self.alive.get(place)
            && let Some(moved) = self.accounts.get_mut(moved)
        {
            moved.place = Some(place);
        }
        self.over.push_back(id);
        if self.over.len() > OVER {
            self.over.pop_front();
        }
    }

    /// The answer to an update or a whole save.
    pub(crate) fn wrote(&mut self, call: Call, number: u64, is_save: bool, reply: &Reply) {
        let spread_at = self.spread_at;
        let Some(account) = self.accounts.get_mut(&call.id) else {
            return;
        };
        let update = Update {
            node: call.node,
            life: call.life,
            number,
            at: now(),
            is_acknowledged: matches!(reply, Ok(Answer::Wrote { .. })),
        };
        match reply {
            Ok(Answer::Wrote { before, after }) => {
                let late = account.follows(call, before).err();
                if is_save {
                    account.saves.push(Save {
                        number,
                        over: before.entries.get(SAVED[0]).copied(),
                        is_acknowledged: true,
                    });
                } else {
                    // What another life of the node wrote may be later, if this one did not know it yet; and
                    // so may what this one was told and has not answered, as when it was stopped meanwhile.
                    account.updates.retain(|it| {
                        let may_be_later = it.life != call.life || !it.is_acknowledged;
                        it.node != call.node || may_be_later && it.at > spread_at
                    });
                    account.updates.push(update);
                }
                if let Some(what) = late {
                    self.tell(Finding::Lost, call.id, &what);
                }
                self.saw(call, after);
            }
            Err(Failed::Unanswered) | Ok(Answer::Unknown(_)) if is_save => {
                account.saves.push(Save {
                    number,
                    over: None,
                    is_acknowledged: false,
                });
            }
            Err(Failed::Unanswered) | Ok(Answer::Unknown(_)) => account.updates.push(update),
            other => self.looked(call, other),
        }
    }

    /// The answer to a renewal.
    pub(crate) fn renewed(&mut self, call: Call, issued: u64, reply: &Reply) {
        match reply {
            Ok(Answer::Wrote { after, .. }) => {
                if let Some(account) = self.accounts.get_mut(&call.id)
                    && after.secrets.contains(&issued)
                {
                    account.secret = issued;
                }
                self.saw(call, after);
            }
            Err(Failed::Unanswered) | Ok(Answer::Unknown(_)) => {
                if let Some(account) = self.accounts.get_mut(&call.id) {
                    account.renewals += 1;
                }
            }
            other => self.looked(call, other),
        }
    }

    /// The answer to a look, or to a touch.
    pub(crate) fn looked(&mut self, call: Call, reply: &Reply) {
        match reply {
            Ok(Answer::Live(sight) | Answer::Wrote { after: sight, .. }) => {
                let late = self
                    .accounts
                    .get(&call.id)
                    .and_then(|account| account.follows(call, sight).err());
                if let Some(what) = late {
                    self.tell(Finding::Lost, call.id, &what);
                }
                self.saw(call, sight);
            }
            Ok(Answer::Gone) => self.gone(call),
            _ => {}
        }
    }

    /// A session is about to be ended.
    pub(crate) fn end(&mut self, id: SessionId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.ends += 1;
        }
    }

    /// The answer to that.
    pub(crate) fn ended(&mut self, call: Call, reply: &Reply) {
        match reply {
            Ok(Answer::Ended(_)) => self.is_over(call, true),
            Ok(Answer::Gone) => self.gone(call),
            Err(Failed::Unsent) | Ok(Answer::Refused(_)) => {
                if let Some(account) = self.accounts.get_mut(&call.id) {
                    account.ends -= 1;
                }
            }
            _ => {}
        }
    }

    /// A subject's sessions are about to be ended, but one. The subject signs in no more.
    pub(crate) fn revoke(&mut self, subject: u64, except: Option<SessionId>) {
        let owner = self.owners.entry(subject).or_default();
        owner.is_revoked = true;
        for id in &owner.sessions {
            if Some(*id) != except
                && let Some(account) = self.accounts.get_mut(id)
            {
                account.ends += 1;
            }
        }
    }

    /// The answer to that.
    pub(crate) fn revoked(
        &mut self,
        call: Call,
        subject: u64,
        except: Option<SessionId>,
        reply: &Reply,
    ) {
        let Ok(Answer::Ended(listed)) = reply else {
            return;
        };
        let sessions = self
            .owners
            .get(&subject)
            .map(|owner| owner.sessions.clone());
        for id in sessions.unwrap_or_default() {
            let was_made = self.accounts.get(&id).and_then(|account| account.made);
            if Some(id) != except && was_made.is_some_and(|made| made < call.begun) {
                self.is_over(Call { id, ..call }, true);
            }
        }
        for id in listed.iter().filter_map(|id| id.parse().ok()) {
            self.is_over(Call { id, ..call }, true);
        }
    }

    /// A node says that a session is over.
    fn is_over(&mut self, call: Call, is_acknowledged: bool) {
        let Some(account) = self.accounts.get_mut(&call.id) else {
            return;
        };
        if is_acknowledged {
            account.ended.get_or_insert_with(now);
        }
        if !account.over_on.iter().any(|(life, _)| *life == call.life) {
            account.over_on.push((call.life, now()));
        }
        self.bury(call.id);
    }

    fn gone(&mut self, call: Call) {
        let Some(account) = self.accounts.get(&call.id) else {
            return;
        };
        if account.must_live() {
            let what = format!("node {} says that it is not there", call.node);
            self.tell(Finding::Lost, call.id, &what);
        }
        self.is_over(call, false);
    }

    /// A node served a session.
    fn saw(&mut self, call: Call, sight: &Sight) {
        let Some(account) = self.accounts.get(&call.id) else {
            return;
        };
        let mut broken = None;
        if account
            .over_on
            .iter()
            .any(|(life, at)| *life == call.life && *at < call.begun)
        {
            let what = format!("node {} had said that it is over", call.node);
            broken = Some((Finding::Revived, what));
        } else if call.begun > account.dead_from {
            broken = Some((
                Finding::Revived,
                format!("it has expired, node {}", call.node),
            ));
        }
        let first = sight.entries.get(SAVED[0]);
        if SAVED.iter().any(|name| sight.entries.get(*name) != first) {
            broken = Some((Finding::Torn, format!("{sight:?}")));
        }
        self.stale += u64::from(account.ended.is_some_and(|ended| ended < call.begun));
        if let Some((finding, what)) = broken {
            self.tell(finding, call.id, &what);
        }
    }

    /// Whatever was answered before `instant` is on all nodes by now.
    pub(crate) fn is_spread(&mut self, instant: Instant) {
        self.spread_at = instant;
        self.forget_expired();
    }

    fn forget_expired(&mut self) {
        let now = now();
        let expired = |account: &Account| account.dead_from + KEPT < now;
        let ids: Vec<_> = self
            .accounts
            .iter()
            .filter_map(|(id, account)| (expired(account) && !account.is_busy).then_some(*id))
            .collect();
        for id in ids {
            self.bury(id);
            self.accounts.remove(&id);
        }
        let accounts = &self.accounts;
        self.over.retain(|id| accounts.contains_key(id));
        self.owners.retain(|_, owner| {
            owner.sessions.retain(|id| accounts.contains_key(id));
            owner.is_revoked || !owner.sessions.is_empty()
        });
    }

    pub(crate) fn tell(&mut self, finding: Finding, id: SessionId, what: &str) {
        let since = |instant: Instant| (instant - self.begun).as_secs_f64();
        let account = self.accounts.get(&id);
        let made = account.and_then(|it| Some((since(it.made?), it.node)));
        let ended = account.and_then(|it| it.ended).map(since);
        let at = since(now());
        let what =
            format!("{id}: at {at:.3} s {what}; made (when, where) {made:.3?}, ended {ended:.3?}");
        self.broken.push((finding, what));
    }
}
