//! The naive oracle: the contract's words once more, in plain data, without any of session-core's
//! functions. Stores share those, so a fault in them would pass every comparison with itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Applied, ErrorKind, Record, Renewal, SessionId, Sharding, SignInLimit, StoreFacts, Subject,
    Ticket,
};

use super::answer::Answer;
use super::call::{Call, Draft, Edit, Plan};
use super::plain::{Grave, Owner, Secret, Session, Stands, millis};

/// 2^53 − 1 ms: the last instant there is.
pub(super) const FOREVER: u64 = (1 << 53) - 1;
/// How long what was ended is remembered.
pub(super) const REMEMBERED: u64 = 60_000;
/// How long former secrets stay accepted.
pub(super) const OVERLAP: u64 = 30_000;
/// How long a secret may stay unpresented.
pub(super) const GRACE: u64 = 60_000;

/// What a store states of itself and the oracle goes by.
#[derive(Debug)]
pub(super) struct Rules {
    sharding: Sharding,
    value_bytes: usize,
    session_bytes: usize,
    entries: usize,
    pub(super) ticket_life: u64,
}

impl Rules {
    pub(super) fn of(facts: &StoreFacts) -> Self {
        Self {
            sharding: facts.sharding.clone(),
            value_bytes: facts.bounds.value_bytes,
            session_bytes: facts.bounds.session_bytes,
            entries: facts.bounds.entries,
            ticket_life: millis(facts.ticket_life),
        }
    }
}

/// A store as the contract describes it.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    pub(super) rules: Arc<Rules>,
    pub(super) state: State,
}

/// All that the oracle remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) now: u64,
    /// With those that expired.
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) graves: BTreeMap<SessionId, Grave>,
    /// How often each subject was revoked.
    revokes: BTreeMap<Subject, u64>,
    tickets: BTreeMap<u64, Issued>,
}

/// A ticket that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Issued {
    at: u64,
    revokes: u64,
    /// The latest try that was admitted.
    admitted: u32,
    /// The latest try that came at all.
    came: u32,
}

impl Oracle {
    pub(super) fn new(facts: &StoreFacts, now: u64) -> Self {
        Self {
            rules: Arc::new(Rules::of(facts)),
            state: State {
                now,
                sessions: BTreeMap::new(),
                graves: BTreeMap::new(),
                revokes: BTreeMap::new(),
                tickets: BTreeMap::new(),
            },
        }
    }

    /// What the contract says the answer is. Where it leaves a choice, `heard` makes it.
    pub(super) fn step(&mut self, call: &Call, heard: Option<&Answer<Record>>) -> Answer<Session> {
        match call {
            Call::Create { id, draft } => self.create(*id, draft, heard),
            Call::Load { id, .. } => self.load(*id),
            Call::Apply { id, plan, .. } => self.apply(*id, plan),
            Call::Delete { id } => Answer::Deleted(self.state.end(*id)),
            Call::Ticket { subject } => self.ticket(subject, heard),
            Call::SignIn {
                ticket,
                id,
                draft,
                limit,
            } => self.sign_in(ticket, *id, draft, *limit, heard),
            Call::SessionsOf { subject } => Answer::Sessions(
                self.state
                    .live_of(subject)
                    .map(|(id, session)| (*id, session.clone()))
                    .collect(),
            ),
            Call::Revoke { subject, except } => self.revoke(subject, *except),
            Call::Advance(duration) => {
                self.state.now = after(self.state.now, millis(*duration));
                Answer::Advanced
            }
        }
    }

    fn create(
        &mut self,
        id: SessionId,
        draft: &Draft,
        heard: Option<&Answer<Record>>,
    ) -> Answer<Session> {
        let taken = self.state.is_taken(id);
        if taken == Taken::Yes
            || taken == Taken::PerhapsStill && matches!(heard, Some(Answer::Exists))
        {
            return Answer::Exists;
        }
        let session = self.begun(draft, None);
        if !self.fits(session.entries.values(), &session.entries) {
            return too_large();
        }
        self.state.insert(id, session.clone());
        Answer::Created(session)
    }

    fn load(&self, id: SessionId) -> Answer<Session> {
        if let Some(session) = self.state.live(id) {
            return Answer::Live(session.clone());
        }
        match self.state.grave(id) {
            Some(grave) => Answer::Ended(grave.clone()),
            None => Answer::Absent,
        }
    }

    fn apply(&mut self, id: SessionId, plan: &Plan) -> Answer<Session> {
        let now = self.state.now;
        let Some(previous) = self.state.live(id).cloned() else {
            return Answer::Absent;
        };
        if plan
            .guard
            .is_some_and(|guard| guard.to_u64() != previous.revision)
        {
            return Answer::Conflict;
        }
        let mut next = previous.clone();
        if let Some(secret) = &plan.promote {
            promote(&mut next.secrets, secret.as_bytes(), now);
        }
        if let Some(renewal) = &plan.renew
            && !renew(&mut next.secrets, renewal, now)
        {
            return Answer::Conflict;
        }
        for edit in &plan.edits {
            match edit {
                Edit::Set(name, value) => {
                    let (name, value) = (name.as_str().to_owned(), value.as_str().to_owned());
                    next.entries.insert(name, value);
                }
                Edit::Remove(name) => {
                    next.entries.remove(name.as_str());
                }
                Edit::Clear => next.entries.retain(|name, _| name.starts_with("session:")),
            }
        }
        let last_edit_sets = |name: &str| {
            let edits = plan.edits.iter().rev();
            edits.into_iter().find_map(|edit| match edit {
                Edit::Set(set, _) => (set.as_str() == name).then_some(true),
                Edit::Remove(removed) => (removed.as_str() == name).then_some(false),
                Edit::Clear => (!name.starts_with("session:")).then_some(false),
            })
        };
        let set: Vec<_> = next
            .entries
            .iter()
            .filter(|(name, _)| last_edit_sets(name) == Some(true))
            .map(|(_, value)| value)
            .collect();
        if !set.is_empty() && !self.fits(set, &next.entries) {
            return too_large();
        }
        if let Some(life) = plan.shorten {
            next.deadline = next.deadline.min(after(now, millis(life)));
        }
        if plan.touch {
            next.last_seen = next.last_seen.max(now);
        }
        if plan.settle {
            next.predecessor = None;
        }
        if !plan.is_pure_touch() {
            next.revision = plan.change.revision().to_u64();
        }
        self.state.sessions.insert(id, next.clone());
        Answer::Applied {
            previous,
            record: next,
        }
    }

    fn ticket(&mut self, subject: &Subject, heard: Option<&Answer<Record>>) -> Answer<Session> {
        let Some(Answer::Ticket(ticket)) = heard else {
            return Answer::Never("a ticket is never refused");
        };
        if ticket.subject() != subject {
            return Answer::Never("the ticket is another subject's");
        }
        if ticket.issued_at().as_millis() != self.state.now {
            return Answer::Never("the ticket was not issued now");
        }
        if ticket.attempt() != 1 {
            return Answer::Never("the first try is counted 1");
        }
        let issued = Issued {
            at: self.state.now,
            revokes: self.state.revokes_of(subject),
            admitted: 0,
            came: 0,
        };
        if self.state.tickets.insert(ticket.nonce(), issued).is_some() {
            return Answer::Never("the nonce was given out before");
        }
        Answer::Ticket(ticket.clone())
    }

    fn sign_in(
        &mut self,
        ticket: &Ticket,
        id: SessionId,
        draft: &Draft,
        limit: Option<SignInLimit>,
        heard: Option<&Answer<Record>>,
    ) -> Answer<Session> {
        let subject = ticket.subject();
        if id.shard() != self.rules.sharding.shard_of(subject) {
            return Answer::Failed(ErrorKind::Config, Applied::No);
        }
        let now = self.state.now;
        let revokes = self.state.revokes_of(subject);
        let Some(issued) = self.state.tickets.get(&ticket.nonce()).cloned() else {
            return Answer::Never("nobody gave out this ticket");
        };
        if let Some(issued) = self.state.tickets.get_mut(&ticket.nonce()) {
            issued.came = issued.came.max(ticket.attempt());
        }
        let owner = Owner {
            subject: subject.as_str().to_owned(),
            nonce: ticket.nonce(),
            attempt: ticket.attempt(),
        };
        let room = self
            .state
            .make_room(&owner, subject, draft.predecessor, limit);
        // Of several reasons to refuse the contract names no first one.
        let heard_this = |answer| heard == Some(&answer);
        // A later try that came and was refused may count as one that arrived.
        if ticket.attempt() < issued.came && heard_this(Answer::Revoked) {
            return Answer::Revoked;
        }
        let stale = now >= after(issued.at, self.rules.ticket_life);
        let is_revoked = stale || revokes != issued.revokes || ticket.attempt() < issued.admitted;
        let taken = self.state.is_taken(id);
        let may_be_refused = [
            (is_revoked, Answer::Revoked),
            (taken == Taken::Yes, Answer::Exists),
            (room.is_none(), Answer::LimitReached),
        ];
        let reasons: Vec<_> = may_be_refused.iter().filter(|(holds, _)| *holds).collect();
        if let Some((_, first)) = reasons.first() {
            let said = reasons.iter().find(|(_, reason)| heard == Some(reason));
            let reason = said.map_or(first, |(_, reason)| reason);
            return match reason {
                Answer::Revoked => Answer::Revoked,
                Answer::Exists => Answer::Exists,
                _ => Answer::LimitReached,
            };
        }
        if taken == Taken::PerhapsStill && heard_this(Answer::Exists) {
            return Answer::Exists;
        }
        let session = self.begun(draft, Some(owner));
        if !self.fits(session.entries.values(), &session.entries) {
            return too_large();
        }
        let ended = room.unwrap_or_default();
        for id in &ended {
            self.state.end(*id);
        }
        self.state.insert(id, session.clone());
        if let Some(issued) = self.state.tickets.get_mut(&ticket.nonce()) {
            issued.admitted = issued.admitted.max(ticket.attempt());
        }
        Answer::Admitted {
            record: session,
            ended,
        }
    }

    fn revoke(&mut self, subject: &Subject, except: Option<SessionId>) -> Answer<Session> {
        *self.state.revokes.entry(subject.clone()).or_default() += 1;
        let live: Vec<_> = self.state.live_of(subject).map(|(id, _)| *id).collect();
        let ended: Vec<_> = live.into_iter().filter(|id| Some(*id) != except).collect();
        for id in &ended {
            self.state.end(*id);
        }
        Answer::EndedAll(ended)
    }

    fn begun(&self, draft: &Draft, owner: Option<Owner>) -> Session {
        let now = self.state.now;
        let kept = |limit: Duration| Some(millis(limit)).filter(|limit| *limit < FOREVER);
        Session {
            revision: draft.record.revision().to_u64(),
            created: now,
            last_seen: now,
            deadline: after(now, millis(draft.timeouts.absolute())),
            idle: draft.timeouts.idle().and_then(kept),
            renewal: draft.timeouts.renewal().and_then(kept),
            secrets: vec![Secret {
                hash: *draft.secret.as_bytes(),
                issued: now,
                accepted_until: FOREVER,
                standing: if owner.is_some() {
                    Stands::Unpresented
                } else {
                    Stands::Current
                },
            }],
            owner,
            predecessor: draft.predecessor.map(|id| *id.as_bytes()),
            entries: draft
                .entries
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
                .collect(),
        }
    }

    fn fits<'a>(
        &self,
        added: impl IntoIterator<Item = &'a String>,
        all: &BTreeMap<String, String>,
    ) -> bool {
        let bytes: usize = all
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        added
            .into_iter()
            .all(|value| value.len() <= self.rules.value_bytes)
            && all.len() <= self.rules.entries
            && bytes <= self.rules.session_bytes
    }
}

/// Whether a new session may have an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// Its session expired, less than 60 s ago: a store whose server drops what expires may have
    /// forgotten it, another may still refuse it.
    PerhapsStill,
    No,
}

impl State {
    pub(super) fn live(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).filter(|session| self.lives(session))
    }

    pub(super) fn lives(&self, session: &Session) -> bool {
        self.now < expiry(session)
    }

    pub(super) fn live_of(
        &self,
        subject: &Subject,
    ) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter().filter(move |(_, session)| {
            session.subject() == Some(subject.as_str()) && self.lives(session)
        })
    }

    pub(super) fn grave(&self, id: SessionId) -> Option<&Grave> {
        let grave = self.graves.get(&id)?;
        (self.now < after(grave.at, REMEMBERED)).then_some(grave)
    }

    fn revokes_of(&self, subject: &Subject) -> u64 {
        self.revokes.get(subject).copied().unwrap_or_default()
    }

    fn is_taken(&self, id: SessionId) -> Taken {
        if self.live(id).is_some() || self.grave(id).is_some() {
            return Taken::Yes;
        }
        match self.sessions.get(&id) {
            Some(expired) if self.now < after(expiry(expired), REMEMBERED) => Taken::PerhapsStill,
            _ => Taken::No,
        }
    }

    fn insert(&mut self, id: SessionId, session: Session) {
        self.graves.remove(&id);
        self.sessions.insert(id, session);
    }

    /// Ends a session. Says whether it lived.
    fn end(&mut self, id: SessionId) -> bool {
        if self.live(id).is_none() {
            return false;
        }
        if let Some(session) = self.sessions.remove(&id) {
            let hashes = session.secrets.iter().map(|secret| secret.hash);
            self.graves.insert(id, Grave::new(self.now, hashes));
        }
        true
    }

    /// Whom a sign-in ends, in the order of their ids; nothing if there is no room to make.
    fn make_room(
        &self,
        owner: &Owner,
        subject: &Subject,
        predecessor: Option<SessionId>,
        limit: Option<SignInLimit>,
    ) -> Option<Vec<SessionId>> {
        let mut oldest_first: Vec<_> = self.live_of(subject).collect();
        oldest_first.sort_by_key(|(id, session)| (session.created, **id));
        // What an earlier try under the same ticket made goes.
        let (mut gone, mut stay): (Vec<_>, Vec<_>) =
            oldest_first.into_iter().partition(|(_, session)| {
                let theirs = session.owner.as_ref();
                theirs.is_some_and(|theirs| {
                    theirs.nonce == owner.nonce && theirs.attempt < owner.attempt
                })
            });
        while let Some(limit) = limit {
            // A session and the predecessor that it replaces count as one.
            let newest = predecessor.map(|id| *id.as_bytes());
            let is_replaced = |stay: &[(&SessionId, &Session)], id: &SessionId| {
                newest == Some(*id.as_bytes())
                    || stay
                        .iter()
                        .any(|(_, other)| other.predecessor == Some(*id.as_bytes()))
            };
            let counting = |stay: &[(&SessionId, &Session)]| {
                stay.iter().filter(|(id, _)| !is_replaced(stay, id)).count()
            };
            if counting(&stay) < limit.max.get() {
                break;
            }
            let is_lost = |session: &Session| {
                let never_presented = session
                    .secrets
                    .iter()
                    .all(|secret| secret.standing == Stands::Unpresented);
                // The one before it may be in use, and would only take its place.
                let others: Vec<_> = stay
                    .iter()
                    .copied()
                    .filter(|(_, other)| !std::ptr::eq(*other, session))
                    .collect();
                let leaves_one_behind = others.iter().any(|(id, _)| {
                    session.predecessor == Some(*id.as_bytes()) && !is_replaced(&others, id)
                });
                never_presented && !leaves_one_behind && self.now >= after(session.created, GRACE)
            };
            let counts = |at: &usize| !is_replaced(&stay, stay[*at].0);
            let lost = (0..stay.len())
                .filter(counts)
                .find(|at| is_lost(stay[*at].1));
            let end_oldest = limit.policy == session_core::LimitPolicy::EndOldest;
            let oldest = (0..stay.len()).find(|at| end_oldest && counts(at));
            let mut victim = Some(stay.remove(lost.or(oldest)?));
            // With it goes the predecessor that only it replaced.
            while let Some((id, session)) = victim {
                gone.push((id, session));
                victim = session.predecessor.and_then(|before| {
                    let at = stay.iter().position(|(id, _)| *id.as_bytes() == before)?;
                    (!is_replaced(&stay, stay[at].0)).then(|| stay.remove(at))
                });
            }
        }
        let mut gone: Vec<_> = gone.into_iter().map(|(id, _)| *id).collect();
        gone.sort_unstable();
        Some(gone)
    }
}

/// When a session expires unless it is used.
pub(super) fn expiry(session: &Session) -> u64 {
    let idle = session
        .idle
        .map_or(FOREVER, |idle| after(session.last_seen, idle));
    session.deadline.min(idle)
}

pub(super) fn after(instant: u64, duration: u64) -> u64 {
    instant.saturating_add(duration).min(FOREVER)
}

fn too_large() -> Answer<Session> {
    Answer::Failed(ErrorKind::TooLarge, Applied::No)
}

/// A secret is presented for the first time: it becomes a current one, and the overlap of all issued
/// before it begins.
fn promote(secrets: &mut [Secret], hash: &[u8; 32], now: u64) {
    let Some(first) = secrets.iter().position(|secret| {
        secret.hash == *hash
            && secret.standing == Stands::Unpresented
            && now < secret.accepted_until
    }) else {
        return;
    };
    let overlap_ends = after(now, OVERLAP);
    for secret in &mut secrets[..first] {
        secret.accepted_until = secret.accepted_until.min(overlap_ends);
        if secret.standing == Stands::Current {
            secret.standing = Stands::Former;
        }
    }
    secrets[first].standing = Stands::Current;
    secrets[first].accepted_until = FOREVER;
}

/// A secret is added. Says whether it may be.
fn renew(secrets: &mut Vec<Secret>, renewal: &Renewal, now: u64) -> bool {
    let replaced = secrets
        .iter()
        .find(|secret| secret.hash == *renewal.replaces.as_bytes());
    let may_be_replaced = replaced
        .is_some_and(|secret| secret.standing != Stands::Former && now < secret.accepted_until);
    let one_waits = secrets
        .iter()
        .any(|secret| secret.standing == Stands::Unpresented && now < after(secret.issued, GRACE));
    if renewal.soft && (one_waits || !may_be_replaced) {
        return true;
    }
    if !may_be_replaced {
        return false;
    }
    secrets.push(Secret {
        hash: *renewal.issue.as_bytes(),
        issued: now,
        accepted_until: FOREVER,
        standing: Stands::Unpresented,
    });
    // Beyond four, the oldest that is not current goes; if all are, the oldest.
    if secrets.len() > 4 {
        let dispensable = secrets[..4]
            .iter()
            .position(|secret| secret.standing != Stands::Current);
        secrets.remove(dispensable.unwrap_or(0));
    }
    true
}

/// What is asked of the tickets that were given out.
impl Oracle {
    /// Whether the ticket signs its subject in.
    pub(super) fn is_good(&self, ticket: &Ticket) -> bool {
        !self.is_stale(ticket) && !self.is_fenced(ticket) && !self.is_overtaken(ticket)
    }

    pub(super) fn is_stale(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| self.state.now >= after(issued.at, self.rules.ticket_life))
    }

    fn is_fenced(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| issued.revokes != self.state.revokes_of(ticket.subject()))
    }

    /// Whether a later try was admitted.
    pub(super) fn is_overtaken(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| ticket.attempt() < issued.admitted)
    }

    /// Whether this or an earlier try made a session that lives.
    pub(super) fn was_used(&self, ticket: &Ticket) -> bool {
        self.state.live_of(ticket.subject()).any(|(_, session)| {
            let owner = session.owner.as_ref();
            owner.is_some_and(|owner| owner.nonce == ticket.nonce())
        })
    }
}

impl State {
    /// When the tickets that were given out become stale.
    pub(super) fn ticket_ends(&self, life: u64) -> Vec<u64> {
        self.tickets
            .values()
            .map(|issued| after(issued.at, life))
            .collect()
    }
}
