//! The contract's verbs, on this node alone.

use session_core::{
    Admission, Application, Change, Creation, Ended, Fence as TicketFence, LimitPolicy, Loaded,
    NewRecord, Record, Refusal, SessionId, SignInLimit, Subject, Ticket, Timestamp, admit,
};

use super::cell::Cell;
use super::clock::{Now, Stamp};
use super::effect::{Asked, Effects, Refused, Written};
use super::fence::{Fence, Revokes};
use super::replica::Replica;
use super::state::{Live, State};
use crate::wire::Item;

/// More names of removed entries than this are not kept for one session.
const REMOVED_AT_MOST: usize = 4096;

impl Replica {
    pub(crate) fn load(&self, now: Now, id: SessionId, asked: Asked) -> Result<Loaded, Refused> {
        match self.cells.get(id) {
            Some(Cell::Live(packed)) if packed.record.is_live(now.wall) => {
                Ok(Loaded::Live(packed.record.clone()))
            }
            // Past its deadline no touch can have saved it.
            Some(Cell::Live(packed)) if now.wall >= packed.record.deadline() => Ok(Loaded::Absent),
            Some(Cell::Dead(tombstone)) => Ok(tombstone
                .remembered(now.wall)
                .map_or(Loaded::Absent, |ended| Loaded::Ended(Ended::clone(ended)))),
            Some(Cell::Live(_) | Cell::Part(_)) | None => {
                self.certain(asked)?;
                Ok(Loaded::Absent)
            }
        }
    }

    pub(crate) fn create(
        &mut self,
        now: Now,
        id: SessionId,
        new: &NewRecord,
        effects: &mut Effects,
    ) -> Result<Written<Creation>, Refused> {
        self.writable()?;
        if self.is_taken(now, id) {
            return Ok(Written::nothing(Creation::Exists));
        }
        new.check(&self.options.bounds)?;
        let live = self.birth(now, new, None, None);
        self.make_room(now, &live, &[], effects)?;
        let (seq, _) = self.commit(now, vec![session(id, live)], effects);
        let record = self.cells.record(id).ok_or(Refused::Unavailable)?.clone();
        Ok(Written::as_op(Creation::Created(record), seq))
    }

    pub(crate) fn apply(
        &mut self,
        now: Now,
        id: SessionId,
        change: &Change,
        asked: Asked,
        effects: &mut Effects,
    ) -> Result<Written<Application>, Refused> {
        if let Loaded::Absent | Loaded::Ended(_) = self.load(now, id, asked)? {
            return Ok(Written::nothing(Application::Absent));
        }
        self.writable()?;
        let Some(Cell::Live(packed)) = self.cells.get(id) else {
            return Ok(Written::nothing(Application::Absent));
        };
        let previous = packed.record.clone();
        let record = match previous.apply(change, now.wall, &self.options.bounds) {
            Ok(record) => record,
            Err(Refusal::Absent) => return Ok(Written::nothing(Application::Absent)),
            Err(Refusal::Conflict) => return Ok(Written::nothing(Application::Conflict)),
            Err(Refusal::TooLarge(reason)) => return Err(reason.into()),
        };
        if change.is_pure_touch() {
            if record.last_seen_at() > previous.last_seen_at() {
                self.touch(now, id, record.last_seen_at(), effects);
            }
            let answer = Application::Applied { previous, record };
            return Ok(Written::nothing(answer));
        }
        let live = packed.unpack();
        let stamp = self.clock.stamp(now.wall);
        let part = live.changed(change, &record, stamp);
        if change.has_edits() {
            let mut made = live;
            made.join(&part);
            if made.entries.len() > REMOVED_AT_MOST + self.options.bounds.entries {
                return Err(Refused::Full);
            }
            self.make_room(now, &made, &[id], effects)?;
        }
        let (seq, _) = self.commit(now, vec![session(id, part)], effects);
        let record = self.cells.record(id).ok_or(Refused::Unavailable)?.clone();
        let answer = Application::Applied { previous, record };
        Ok(Written::as_op(answer, seq))
    }

    /// Moves the last use forward here at once, and tells the others with the next touches.
    fn touch(&mut self, now: Now, id: SessionId, at: Timestamp, effects: &mut Effects) {
        let Some(record) = self.cells.record(id) else {
            return;
        };
        let mut part = Live::bottom(record.deadline());
        part.last_seen = at;
        self.touched.insert(id, at);
        self.integrate(now, None, session(id, part), effects);
    }

    pub(crate) fn delete(
        &mut self,
        now: Now,
        id: SessionId,
        asked: Asked,
        effects: &mut Effects,
    ) -> Result<Written<bool>, Refused> {
        match self.load(now, id, asked)? {
            Loaded::Absent | Loaded::Ended(_) => Ok(Written::nothing(false)),
            Loaded::Live(_) => {
                self.writable()?;
                let items = self.end_of(id).into_iter().collect();
                let (seq, _) = self.commit(now, items, effects);
                Ok(Written::as_op(true, seq))
            }
        }
    }

    pub(crate) fn ticket(&self, now: Now, subject: &Subject) -> Result<Ticket, Refused> {
        self.writable()?;
        let fence = self.fences.get(subject);
        let seen = fence.map_or_else(Vec::new, |fence| fence.revokes.to_bytes());
        let fence = TicketFence::from_bytes(seen);
        Ok(Ticket::new(subject.clone(), fence, now.wall))
    }

    pub(crate) fn sign_in(
        &mut self,
        now: Now,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
        effects: &mut Effects,
    ) -> Result<Written<Admission>, Refused> {
        self.writable()?;
        let subject = ticket.subject();
        if self.shard_of(subject) != id.shard() {
            return Err(Refused::Config);
        }
        let Some(seen) = self.good(ticket, now) else {
            return Ok(Written::nothing(Admission::Revoked));
        };
        let at = now.wall;
        self.tries.note(ticket.nonce(), ticket.attempt(), at);
        if self.is_taken(now, id) {
            return Ok(Written::nothing(Admission::Exists));
        }
        let live = self.live_of(now, subject);
        let Some(ended) = admit(ticket, new.predecessor(), &live, limit, at) else {
            return Ok(Written::nothing(Admission::LimitReached));
        };
        new.check(&self.options.bounds)?;
        let live = self.birth(now, new, Some((ticket, seen)), limit);
        self.make_room(now, &live, &ended, effects)?;
        let mut items: Vec<_> = ended.iter().filter_map(|id| self.end_of(*id)).collect();
        items.push(session(id, live));
        let (seq, _) = self.commit(now, items, effects);
        let record = self.cells.record(id).ok_or(Refused::Unavailable)?.clone();
        Ok(Written::as_op(Admission::Admitted { record, ended }, seq))
    }

    /// The revokes that a good ticket has seen.
    fn good(&self, ticket: &Ticket, now: Now) -> Option<Revokes> {
        let seen = Revokes::from_bytes(ticket.fence().as_bytes())?;
        let fence = self.fences.get(ticket.subject());
        let is_revoked = fence.is_some_and(|fence| !fence.revokes.is_within(&seen));
        let is_stale = ticket.is_stale(now.wall, self.options.ticket_life);
        (!is_revoked && !is_stale && !self.tries.overtook(ticket)).then_some(seen)
    }

    pub(crate) fn sessions_of(
        &self,
        now: Now,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, Refused> {
        self.writable()?;
        Ok(self.live_of(now, subject))
    }

    pub(crate) fn revoke(
        &mut self,
        now: Now,
        subject: &Subject,
        except: Option<SessionId>,
        asked: Asked,
        effects: &mut Effects,
    ) -> Result<Written<Vec<SessionId>>, Refused> {
        self.writable()?;
        let dot = Revokes::one(self.me(), self.next_seq());
        // One that is not known here yet would end with the others once it comes.
        let excepted = match except {
            Some(id) => match self.load(now, id, asked)? {
                Loaded::Live(record) if record.subject() == Some(subject.as_str()) => {
                    Some((id, record.deadline()))
                }
                _ => None,
            },
            None => None,
        };
        let mut items = Vec::new();
        if let Some((id, until)) = excepted {
            let mut part = Live::bottom(until);
            part.seen = dot.clone();
            items.push(session(id, part));
        }
        let fence = Fence {
            revokes: dot,
            until: now.wall + self.options.max_lifetime + self.options.max_skew,
        };
        items.push(Item::Fence(subject.clone(), fence));
        let (seq, ended) = self.commit(now, items, effects);
        Ok(Written::as_op(ended, seq))
    }

    /// At most `limit` live sessions after `after`, in the order of their ids.
    pub(crate) fn scan(
        &self,
        now: Now,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<(SessionId, Record)> {
        self.cells
            .after(after)
            .filter_map(|(id, cell)| Some((id, cell.record()?)))
            .filter(|(_, record)| record.is_live(now.wall))
            .take(limit)
            .map(|(id, record)| (id, record.clone()))
            .collect()
    }

    /// A session was learned of: whoever it replaces as a later try, or makes too many, ends.
    ///
    /// Every node that sees the surplus ends the same sessions: all but the newest.
    pub(crate) fn admitted(
        &mut self,
        now: Now,
        id: SessionId,
        is_from_peer: bool,
        effects: &mut Effects,
    ) {
        let Some(record) = self.cells.record(id) else {
            return;
        };
        let Some(owner) = record.header().owner else {
            return;
        };
        self.tries.note(owner.nonce, owner.attempt, now.wall);
        if !is_from_peer {
            return;
        }
        let live = self.live_of(now, &owner.subject);
        let mut surplus: Vec<_> = live
            .iter()
            .filter(|(_, record)| {
                let earlier = record.header().owner;
                earlier.is_some_and(|earlier| {
                    earlier.nonce == owner.nonce
                        && live.iter().any(|(_, later)| {
                            let later = later.header().owner;
                            later.is_some_and(|later| {
                                later.nonce == earlier.nonce && later.attempt > earlier.attempt
                            })
                        })
                })
            })
            .map(|(id, _)| *id)
            .collect();
        surplus.extend(self.over_limit(now, &owner.subject, live));
        surplus.sort_unstable();
        surplus.dedup();
        let items: Vec<_> = surplus.iter().filter_map(|id| self.end_of(*id)).collect();
        if !items.is_empty() {
            self.commit(now, items, effects);
        }
    }

    /// Which of a subject's sessions are more than the limit of the newest one allows.
    fn over_limit(
        &self,
        now: Now,
        subject: &Subject,
        mut live: Vec<(SessionId, Record)>,
    ) -> Vec<SessionId> {
        let born = |id: &SessionId| match self.cells.get(*id) {
            Some(Cell::Live(packed)) => packed.born(),
            _ => Stamp::ZERO,
        };
        live.sort_by_key(|(id, _)| (born(id), *id));
        let Some((newest, record)) = live.pop() else {
            return Vec::new();
        };
        let limit = match self.cells.get(newest) {
            Some(Cell::Live(packed)) => packed.unpack().limit(),
            _ => None,
        };
        let Some(limit) = limit else {
            return Vec::new();
        };
        let limit = SignInLimit {
            policy: LimitPolicy::EndOldest,
            ..limit
        };
        let ticket = Ticket::new(subject.clone(), TicketFence::default(), now.wall);
        admit(&ticket, record.predecessor(), &live, Some(limit), now.wall).unwrap_or_default()
    }

    fn live_of(&self, now: Now, subject: &Subject) -> Vec<(SessionId, Record)> {
        self.cells
            .of_subject(self.shard_of(subject), subject.as_str())
            .filter(|(_, record)| record.is_live(now.wall))
            .map(|(id, record)| (id, record.clone()))
            .collect()
    }

    /// Whether a session may not be made under `id`. Whatever was known of an id stays with it, since
    /// what is still under way would be joined to it; only alone a node can know that nothing is.
    fn is_taken(&mut self, now: Now, id: SessionId) -> bool {
        let is_over = match self.cells.get(id) {
            None => return false,
            Some(Cell::Live(packed)) => !packed.record.is_live(now.wall),
            Some(Cell::Dead(tombstone)) => tombstone.remembered(now.wall).is_none(),
            Some(Cell::Part(_)) => false,
        };
        let is_free = is_over && self.members.is_empty() && self.gone.is_empty();
        if is_free {
            self.cells.remove(id);
            self.touched.remove(&id);
        }
        !is_free
    }

    /// Writes are for nodes that hold what the others hold.
    const fn writable(&self) -> Result<(), Refused> {
        if self.is_ready {
            Ok(())
        } else {
            Err(Refused::Unavailable)
        }
    }
}

pub(crate) fn session(id: SessionId, live: Live) -> Item {
    Item::Session(id, State::Live(Box::new(live)))
}
