//! What clients do, at any node, at any time.

use std::num::NonZeroUsize;
use std::time::Duration;

use session_core::{
    Admission, Application, Change, EntryName, JsonText, LimitPolicy, Loaded, NewRecord, Renewal,
    SecretHash, SessionId, Sharding, SignInLimit, Standing, Subject, Ticket, Timeouts,
};

use super::ledger::{Acked, Waiting};
use super::world::{Event, World};
use crate::core::{Asked, Refused, Revokes, State};

/// A call that waits for the peers' word.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Load(SessionId),
    Change(SessionId),
    Delete(SessionId),
    /// All sessions of this subject but this one.
    RevokeOthers(Subject, SessionId),
}

const SUBJECTS: u64 = 6;
/// Subjects from this one on have at most two sessions.
const LIMITED: u64 = 4;
pub(super) const LIMIT: usize = 2;

pub(super) fn subject(number: u64) -> Subject {
    Subject::new(format!("subject {number}")).unwrap()
}

pub(super) const fn is_limited(number: u64) -> bool {
    number >= LIMITED
}

pub(super) fn subjects() -> impl Iterator<Item = (u64, Subject)> {
    (0..SUBJECTS).map(|number| (number, subject(number)))
}

impl World {
    /// One client does something somewhere.
    pub(super) fn client(&mut self) {
        if self.is_quiet {
            return;
        }
        let pause = 1 + self.rng.below(60);
        self.at(pause, Event::Client);
        let node = self.rng.index(self.nodes.len());
        if self.nodes[node].replica.is_none() || self.nodes[node].paused_until > self.now {
            return;
        }
        let known = self.known_id();
        match (self.rng.below(100), known) {
            (0..15, _) | (_, None) => self.create(node),
            (15..30, _) => self.sign_in(node),
            (30..33, _) => self.revoke(node),
            (33..38, Some(id)) => self.call(node, Call::Delete(id), Asked::No),
            (38..70, Some(id)) => self.call(node, Call::Change(id), Asked::No),
            (_, Some(id)) => self.call(node, Call::Load(id), Asked::No),
        }
    }

    /// A session, more often a young one.
    fn known_id(&mut self) -> Option<SessionId> {
        let len = self.ledger.ids.len();
        if len == 0 {
            return None;
        }
        let among = if self.rng.chance(70) { len.min(8) } else { len };
        let back = self.rng.index(among);
        Some(self.ledger.ids[len - 1 - back])
    }

    fn secret(&mut self) -> SecretHash {
        SecretHash::from_bytes(self.rng.bytes())
    }

    fn timeouts(&mut self) -> Timeouts {
        let absolute = Duration::from_secs(30 + self.rng.below(570));
        Timeouts::new(absolute).without_idle()
    }

    fn draft(&mut self) -> (NewRecord, SecretHash, Timeouts) {
        let (secret, timeouts) = (self.secret(), self.timeouts());
        let value = JsonText::encode(&self.rng.below(1_000)).unwrap();
        let entries = ["left", "right"].map(|name| (EntryName::new(name).unwrap(), value.clone()));
        let draft = NewRecord::new(secret, timeouts).with_entries(entries);
        (draft, secret, timeouts)
    }

    fn begun(&mut self, id: SessionId, secret: SecretHash, timeouts: Timeouts) {
        let lives = u64::try_from(timeouts.absolute().as_millis()).unwrap();
        let (now, skew) = (self.now, self.max_skew);
        let known = self.ledger.get(id);
        known.secrets.push(secret);
        known.lives_until = (now + lives).saturating_sub(skew);
        known.dead_from = now + lives + skew;
        self.ledger.ids.push(id);
    }

    fn wait(&mut self, node: usize, seq: Option<u64>, needs_all: bool, effect: Acked) {
        if let Some(seq) = seq {
            let waiting = Waiting {
                seq,
                needs_all,
                effect,
            };
            self.nodes[node].waiting.push(waiting);
            self.acknowledged(node);
        }
    }

    fn create(&mut self, node: usize) {
        let shard = u16::from_be_bytes(self.rng.bytes());
        let id = self.id(shard);
        let (draft, secret, timeouts) = self.draft();
        let made = self.act(node, |replica, now, effects| {
            replica.create(now, id, &draft, effects)
        });
        if let Some(Ok(written)) = made {
            self.begun(id, secret, timeouts);
            self.wait(node, written.seq, false, Acked::Created(id));
        }
    }

    fn sign_in(&mut self, node: usize) {
        let number = self.rng.below(SUBJECTS);
        let subject = subject(number);
        let issuer = if self.rng.chance(70) {
            node
        } else {
            self.rng.index(self.nodes.len())
        };
        let issued = self.act(issuer, |replica, now, _| replica.ticket(now, &subject));
        let Some(Ok(ticket)) = issued else { return };
        if self.rng.chance(20) {
            // The subject is revoked while the password is being checked.
            let elsewhere = self.rng.index(self.nodes.len());
            let _ = self.revoke_subject(elsewhere, &subject, None, Asked::No);
        }
        self.finish_sign_in(node, number, &ticket);
    }

    fn finish_sign_in(&mut self, node: usize, number: u64, ticket: &Ticket) {
        let id = self.id(Sharding::default().shard_of(ticket.subject()).number());
        let (draft, secret, timeouts) = self.draft();
        let limit = is_limited(number).then_some(SignInLimit {
            max: NonZeroUsize::new(LIMIT).unwrap(),
            policy: LimitPolicy::EndOldest,
        });
        let admitted = self.act(node, |replica, now, effects| {
            replica.sign_in(now, ticket, id, &draft, limit, effects)
        });
        let Some(Ok(written)) = admitted else { return };
        if let Admission::Admitted { ended, .. } = &written.answer {
            for ended in ended {
                self.ledger.get(*ended).may_be_over = true;
            }
            self.begun(id, secret, timeouts);
            let known = self.ledger.get(id);
            known.subject = Some(ticket.subject().clone());
            known.seen = Revokes::from_bytes(ticket.fence().as_bytes()).unwrap();
            known.has_limit = limit.is_some();
            // Another node may have signed in as many at the same time.
            known.may_be_over |= limit.is_some();
            self.wait(node, written.seq, false, Acked::Created(id));
        }
    }

    fn revoke(&mut self, node: usize) {
        let subject = subject(self.rng.below(SUBJECTS));
        let except = self.known_id().filter(|id| {
            let known = self.ledger.sessions.get(id);
            known.is_some_and(|known| known.subject.as_ref() == Some(&subject))
        });
        match except {
            None => {
                // Refused while the node is not ready.
                let _ = self.revoke_subject(node, &subject, None, Asked::No);
            }
            Some(id) => self.call(node, Call::RevokeOthers(subject, id), Asked::No),
        }
    }

    fn revoke_subject(
        &mut self,
        node: usize,
        subject: &Subject,
        except: Option<SessionId>,
        asked: Asked,
    ) -> Result<(), Refused> {
        if self.nodes[node].paused_until > self.now {
            return Ok(());
        }
        let incarnation = self.nodes[node].incarnation;
        let revoked = self.act(node, |replica, now, effects| {
            replica.revoke(now, subject, except, asked, effects)
        });
        let Some(revoked) = revoked else {
            return Ok(());
        };
        let written = revoked?;
        let dot = Revokes::one(incarnation, written.seq.unwrap());
        if let Some(id) = except {
            // One that was acknowledged stays, wherever it is; any other if it is known here.
            let state = self.nodes[node].replica.as_ref();
            let state = state.and_then(|replica| replica.state_of(id));
            let stays = matches!(state, Some(State::Live(live)) if dot.is_within(&live.seen));
            let known = self.ledger.sessions.get(&id);
            let must_live = known.is_some_and(|known| {
                known.is_acked && !known.may_be_over && !self.ledger.may_be_revoked(known)
            });
            if stays || must_live {
                self.ledger.get(id).seen.join(&dot);
            }
        }
        let revokes = self.ledger.revokes.entry(subject.clone()).or_default();
        revokes.join(&dot);
        for ended in &written.answer {
            self.ledger.get(*ended).may_be_over = true;
        }
        let effect = Acked::Revoked(subject.clone(), dot, written.answer);
        self.wait(node, written.seq, true, effect);
        Ok(())
    }

    /// A call about a session, which may have to wait for the peers' word.
    pub(super) fn call(&mut self, node: usize, call: Call, asked: Asked) {
        let refused = match &call {
            Call::Load(id) => self.load(node, *id, asked),
            Call::Change(id) => self.change(node, *id, asked),
            Call::Delete(id) => self.delete(node, *id, asked),
            Call::RevokeOthers(subject, id) => self.revoke_subject(node, subject, Some(*id), asked),
        };
        if refused == Err(Refused::Ask) && asked == Asked::No {
            let (Call::Load(id) | Call::Change(id) | Call::Delete(id) | Call::RevokeOthers(_, id)) =
                call;
            let mut effects = Vec::new();
            let now = self.clock(node);
            let Some(replica) = self.nodes[node].replica.as_mut() else {
                return;
            };
            if let Ok(ask) = replica.ask(now, id, &mut effects) {
                self.nodes[node].asking.insert(ask, call);
            }
            self.act(node, |_, _, out| out.extend(effects));
        }
    }

    /// The peers have spoken.
    pub(super) fn asked(&mut self, node: usize, call: Call, certain: bool) {
        if certain {
            self.call(node, call, Asked::Yes);
        }
    }

    fn load(&mut self, node: usize, id: SessionId, asked: Asked) -> Result<(), Refused> {
        let answer = self.act(node, |replica, now, _| replica.load(now, id, asked));
        let Some(answer) = answer else { return Ok(()) };
        let loaded = answer?;
        let (incarnation, at) = (self.nodes[node].incarnation, self.now);
        if let Err(what) = self.ledger.check(incarnation, id, &loaded, at) {
            self.violate(what);
        }
        Ok(())
    }

    fn delete(&mut self, node: usize, id: SessionId, asked: Asked) -> Result<(), Refused> {
        let answer = self.act(node, |replica, now, effects| {
            replica.delete(now, id, asked, effects)
        });
        let Some(answer) = answer else { return Ok(()) };
        let written = answer?;
        if written.answer {
            self.ledger.get(id).may_be_over = true;
            self.wait(node, written.seq, true, Acked::Ended(id));
        }
        Ok(())
    }

    fn change(&mut self, node: usize, id: SessionId, asked: Asked) -> Result<(), Refused> {
        let seen = self.act(node, |replica, now, _| replica.load(now, id, asked));
        let Some(seen) = seen else { return Ok(()) };
        let Loaded::Live(record) = seen? else {
            return self.load(node, id, asked);
        };
        let value = |world: &mut Self| JsonText::encode(&world.rng.below(1 << 30)).unwrap();
        let name = |name: &str| EntryName::new(name).unwrap();
        let mut change = Change::new();
        let mut written = Vec::new();
        let mut guard = None;
        match self.rng.below(10) {
            0..3 => {
                let value = value(self);
                for side in ["left", "right"] {
                    change = change.set(name(side), value.clone());
                    written.push(side.to_owned());
                }
            }
            3..5 => {
                let own = format!("own {}", self.rng.below(4));
                change = change.set(name(&own), value(self));
                written.push(own);
            }
            5 => change = change.remove(name(&format!("own {}", self.rng.below(4)))),
            6 => {
                let value = value(self);
                change = change
                    .set(name("left"), value.clone())
                    .set(name("right"), value)
                    .guarded_by(record.revision());
                guard = Some(record.revision().to_u64());
            }
            7 => {
                let current = record
                    .slots()
                    .find(|slot| slot.standing != Standing::Former);
                let issue = self.secret();
                if let Some(current) = current {
                    // Whether it is added or not: it is the session's.
                    self.ledger.get(id).secrets.push(issue);
                    let replaces = current.hash;
                    change = change.promote(replaces).renew(Renewal {
                        issue,
                        replaces,
                        soft: true,
                    });
                }
            }
            _ => change = change.touch(),
        }
        let answer = self.act(node, |replica, now, effects| {
            replica.apply(now, id, &change, Asked::No, effects)
        });
        let Some(Ok(answer)) = answer else {
            return Ok(());
        };
        let Application::Applied { record, .. } = &answer.answer else {
            return Ok(());
        };
        if let Some(revision) = guard {
            let incarnation = self.nodes[node].incarnation;
            if !self.ledger.winners.insert((incarnation, id, revision)) {
                self.violate(format!("two changes of {id} won under one guard"));
            }
        }
        for (entry, value) in change.edits() {
            let is_there = record.get(entry.as_str());
            if is_there != value.as_ref().map(JsonText::as_str) {
                self.violate(format!("{id} does not show what was just written to it"));
            }
        }
        let stamps = self.stamps(node, id, &written);
        self.wait(node, answer.seq, false, Acked::Wrote(id, stamps));
        Ok(())
    }

    /// The stamps of what was written just now.
    fn stamps(
        &self,
        node: usize,
        id: SessionId,
        names: &[String],
    ) -> Vec<(String, crate::core::Stamp)> {
        let replica = self.nodes[node].replica.as_ref();
        let state = replica.and_then(|replica| replica.state_of(id));
        let Some(State::Live(live)) = state else {
            return Vec::new();
        };
        names
            .iter()
            .filter_map(|name| Some((name.clone(), live.entries.get(name.as_str())?.stamp)))
            .collect()
    }
}
