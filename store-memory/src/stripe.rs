//! One part of the store, under one lock: the verbs as plain functions.

use std::time::Duration;

use session_core::{
    Admission, Application, Bounds, Change, Creation, Ended, Loaded, NewRecord, REMEMBERED, Record,
    Refusal, SessionId, SignInLimit, Subject, Ticket, Timestamp, TooLarge, admit,
};

use crate::capacity::{Capacity, NoRoom, Usage};
use crate::feed::Telling;
use crate::fences::Fences;
use crate::table::{State, Table};

/// What all stripes share.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) bounds: Bounds,
    pub(crate) ticket_life: Duration,
    pub(crate) capacity: Capacity,
    pub(crate) feed: Telling,
}

/// Why a step did nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    TooLarge(TooLarge),
    NoRoom,
}

impl From<TooLarge> for Refused {
    fn from(reason: TooLarge) -> Self {
        Self::TooLarge(reason)
    }
}

impl From<NoRoom> for Refused {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// Some shards: their sessions and their subjects. A session is in its subject's shard, so each verb
/// is a step in one stripe.
///
/// Steps are given the instant that was read after the lock was taken. Each judges first, then takes
/// the room that it needs, and only then changes anything.
#[derive(Debug, Default)]
pub(crate) struct Stripe {
    table: Table,
    fences: Fences,
    used: Usage,
    steps: usize,
}

impl Stripe {
    pub(crate) const fn used(&self) -> Usage {
        self.used
    }

    pub(crate) fn load(&self, id: SessionId, now: Timestamp) -> Loaded {
        match self.table.get(id) {
            Some(State::Live(record)) if record.is_live(now) => Loaded::Live(record.clone()),
            Some(State::Ended(ended)) if now < ended.at + REMEMBERED => {
                Loaded::Ended(Ended::clone(ended))
            }
            _ => Loaded::Absent,
        }
    }

    pub(crate) fn create(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, Refused> {
        if self.is_taken(id, now) {
            return Ok(Creation::Exists);
        }
        new.check(&terms.bounds)?;
        let (record, _) = new.anonymous(now);
        self.begin(terms, now, id, &record, &[])?;
        Ok(Creation::Created(record))
    }

    pub(crate) fn apply(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        id: SessionId,
        change: &Change,
    ) -> Result<Application, Refused> {
        let Some(State::Live(previous)) = self.table.get(id) else {
            return Ok(Application::Absent);
        };
        let previous = previous.clone();
        if changes_nothing(change, &previous, now) {
            let record = previous.clone();
            return Ok(Application::Applied { previous, record });
        }
        let record = match previous.apply(change, now, &terms.bounds) {
            Ok(record) => record,
            Err(Refusal::Absent) => return Ok(Application::Absent),
            Err(Refusal::Conflict) => return Ok(Application::Conflict),
            Err(Refusal::TooLarge(reason)) => return Err(reason.into()),
        };
        if change.has_edits() {
            let (given, taken) = (Usage::of(&previous), Usage::of(&record));
            let is_anonymous = record.subject().is_none();
            terms.capacity.exchange(given, taken, is_anonymous)?;
            self.used = self.used.minus(given).plus(taken);
        }
        self.table.replace(id, record.clone());
        terms.feed.applied(id, change, &previous, &record);
        Ok(Application::Applied { previous, record })
    }

    pub(crate) fn delete(&mut self, terms: &Terms, now: Timestamp, id: SessionId) -> bool {
        match self.table.get(id) {
            Some(State::Live(record)) if record.is_live(now) => {
                let record = record.clone();
                self.destroy(terms, now, id, &record);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn ticket(&self, now: Timestamp, subject: &Subject) -> Ticket {
        self.fences.ticket(subject, now)
    }

    pub(crate) fn sign_in(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, Refused> {
        if !self.fences.admits(ticket, now, terms.ticket_life) {
            return Ok(Admission::Revoked);
        }
        if self.is_taken(id, now) {
            return Ok(Admission::Exists);
        }
        // A first try without a limit ends nothing, however many sessions its subject has.
        let ended = if limit.is_none() && ticket.attempt() <= 1 {
            Some(Vec::new())
        } else {
            let live = self.sessions_of(now, ticket.subject());
            admit(ticket, new.predecessor(), &live, limit, now)
        };
        let Some(ended) = ended else {
            return Ok(Admission::LimitReached);
        };
        new.check(&terms.bounds)?;
        let (record, _) = new.signed_in(ticket, now);
        self.begin(terms, now, id, &record, &ended)?;
        Ok(Admission::Admitted { record, ended })
    }

    pub(crate) fn sessions_of(
        &self,
        now: Timestamp,
        subject: &Subject,
    ) -> Vec<(SessionId, Record)> {
        self.table
            .sessions_of(subject.as_str())
            .filter(|(_, record)| record.is_live(now))
            .map(|(id, record)| (id, record.clone()))
            .collect()
    }

    pub(crate) fn revoke(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Vec<SessionId> {
        self.fences.raise(subject, now);
        let sessions = self.sessions_of(now, subject);
        let mut ended = Vec::new();
        for (id, record) in sessions {
            if except != Some(id) {
                self.destroy(terms, now, id, &record);
                ended.push(id);
            }
        }
        ended
    }

    /// The live sessions here.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = (SessionId, &Record)> {
        self.table
            .iter()
            .filter_map(move |(id, state)| match state {
                State::Live(record) if record.is_live(now) => Some((id, record)),
                _ => None,
            })
    }

    /// When something here may be due to be removed.
    pub(crate) fn first_due(&self, terms: &Terms) -> Timestamp {
        let session = self.table.next_due();
        let fence = self.fences.first_due(terms.ticket_life);
        [session, fence]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// Takes at most `looks` at what may be due, and removes what is. Returns what that freed.
    pub(crate) fn collect(&mut self, terms: &Terms, now: Timestamp, looks: usize) -> Usage {
        self.fences.forget(now, terms.ticket_life, looks);
        let before = self.used;
        for _ in 0..looks {
            if self.table.next_due().is_none_or(|due| now < due) {
                break;
            }
            let Some((_, id, state)) = self.table.first_due() else {
                break;
            };
            let until = match state {
                State::Live(record) => record.expires_at(),
                State::Ended(ended) => ended.at + REMEMBERED,
            };
            if now < until {
                self.table.postpone(id, until);
            } else {
                self.forget(terms, id);
            }
        }
        before.minus(self.used)
    }

    /// Counts the steps taken here.
    pub(crate) const fn count_step(&mut self) -> usize {
        self.steps = self.steps.wrapping_add(1);
        self.steps
    }

    /// Whether a session may not be made under `id`.
    fn is_taken(&self, id: SessionId, now: Timestamp) -> bool {
        !matches!(self.load(id, now), Loaded::Absent)
    }

    /// Ends `leaving` and begins `record`, if there is room for it then.
    fn begin(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        id: SessionId,
        record: &Record,
        leaving: &[SessionId],
    ) -> Result<(), Refused> {
        if !self.table.has_room() {
            return Err(Refused::NoRoom);
        }
        // What is left under the id is neither live nor remembered.
        self.forget(terms, id);
        let leaving: Vec<_> = leaving
            .iter()
            .filter_map(|id| match self.table.get(*id)? {
                State::Live(record) => Some((*id, record.clone())),
                State::Ended(_) => None,
            })
            .collect();
        let (mut given, mut taken) = (Usage::default(), Usage::of(record));
        for (_, record) in &leaving {
            given = given.plus(Usage::of(record));
            taken = taken.plus(Usage::of_ended());
        }
        let is_anonymous = record.subject().is_none();
        terms.capacity.exchange(given, taken, is_anonymous)?;
        for (id, record) in leaving {
            self.end(terms, now, id, &record);
        }
        self.used = self.used.plus(Usage::of(record));
        self.table.insert(id, record.clone());
        Ok(())
    }

    /// Ends a live session, which gives room.
    fn destroy(&mut self, terms: &Terms, now: Timestamp, id: SessionId, record: &Record) {
        terms.capacity.give(Usage::of(record), Usage::of_ended());
        self.end(terms, now, id, record);
    }

    /// Ends a live session of which the capacity knows.
    fn end(&mut self, terms: &Terms, now: Timestamp, id: SessionId, record: &Record) {
        self.used = self.used.minus(Usage::of(record)).plus(Usage::of_ended());
        self.table.end(id, Ended::of(record, now), now + REMEMBERED);
        terms.feed.ended(id);
    }

    /// Forgets a session that has expired, or whose end need no longer be remembered.
    fn forget(&mut self, terms: &Terms, id: SessionId) {
        let given = match self.table.remove(id) {
            Some(State::Live(record)) => {
                terms.feed.expired(id);
                Usage::of(&record)
            }
            Some(State::Ended(_)) => Usage::of_ended(),
            None => return,
        };
        self.used = self.used.minus(given);
        terms.capacity.give(given, Usage::default());
    }
}

/// Whether `change` is a touch of a session that was already seen at `now`.
fn changes_nothing(change: &Change, record: &Record, now: Timestamp) -> bool {
    change.is_pure_touch()
        && now <= record.last_seen_at()
        && record.is_live(now)
        && change
            .guard()
            .is_none_or(|guard| guard == record.revision())
}
