//! The second opinion: a store made of session-core's pure functions, as every store is.

use std::collections::BTreeMap;

use session_core::{
    Applied, Ended, ErrorKind, Fence, NewRecord, REMEMBERED, Record, Refusal, SessionId,
    SignInLimit, StoreFacts, Subject, Ticket, Timestamp, admit,
};

use super::answer::Answer;
use super::call::Call;
use super::plain::Grave;

/// What [`Record::apply`] and [`admit`] make of a history.
#[derive(Clone, Debug)]
pub(super) struct Functions {
    facts: StoreFacts,
    pub(super) now: Timestamp,
    records: BTreeMap<SessionId, Record>,
    ended: BTreeMap<SessionId, Ended>,
    /// The fences under which tickets were given out since the last revoke.
    fences: BTreeMap<Subject, Vec<Fence>>,
    /// The latest try under each ticket that was admitted, and that came at all.
    tries: BTreeMap<u64, (u32, u32)>,
}

impl Functions {
    pub(super) fn new(facts: &StoreFacts, now: u64) -> Self {
        Self {
            facts: facts.clone(),
            now: Timestamp::from_millis(now),
            records: BTreeMap::new(),
            ended: BTreeMap::new(),
            fences: BTreeMap::new(),
            tries: BTreeMap::new(),
        }
    }

    /// What the answer is. Where the contract leaves a choice, `heard` makes it.
    pub(super) fn step(&mut self, call: &Call, heard: &Answer<Record>) -> Answer<Record> {
        match call {
            Call::Create { id, draft } => {
                if self.refuses(*id, heard) {
                    return Answer::Exists;
                }
                match self.inserted(*id, &draft.record, None) {
                    Some(record) => Answer::Created(record),
                    None => too_large(),
                }
            }
            Call::Load { id, .. } => match (self.live(*id), self.ended.get(id)) {
                (Some(record), _) => Answer::Live(record.clone()),
                (None, Some(ended)) if self.now < ended.at + REMEMBERED => {
                    Answer::Ended(Grave::of(ended))
                }
                _ => Answer::Absent,
            },
            Call::Apply { id, plan, .. } => {
                let Some(previous) = self.live(*id).cloned() else {
                    return Answer::Absent;
                };
                match previous.apply(&plan.change, self.now, &self.facts.bounds) {
                    Ok(record) => {
                        self.records.insert(*id, record.clone());
                        Answer::Applied { previous, record }
                    }
                    Err(Refusal::Absent) => Answer::Absent,
                    Err(Refusal::Conflict) => Answer::Conflict,
                    Err(Refusal::TooLarge(_)) => too_large(),
                }
            }
            Call::Delete { id } => Answer::Deleted(self.end(*id)),
            Call::Ticket { subject } => {
                let Answer::Ticket(ticket) = heard else {
                    return Answer::Never("a ticket is never refused");
                };
                let fences = self.fences.entry(subject.clone()).or_default();
                if !fences.contains(ticket.fence()) {
                    fences.push(ticket.fence().clone());
                }
                Answer::Ticket(ticket.clone())
            }
            Call::SignIn {
                ticket,
                id,
                draft,
                limit,
            } => self.sign_in(ticket, *id, &draft.record, *limit, heard),
            Call::SessionsOf { subject } => Answer::Sessions(self.live_of(subject)),
            Call::Revoke { subject, except } => {
                self.fences.remove(subject);
                let mut ended: Vec<_> = self.live_of(subject).iter().map(|(id, _)| *id).collect();
                ended.retain(|id| Some(*id) != *except && self.end(*id));
                Answer::EndedAll(ended)
            }
            Call::Advance(duration) => {
                self.now = self.now + *duration;
                Answer::Advanced
            }
        }
    }

    fn sign_in(
        &mut self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
        heard: &Answer<Record>,
    ) -> Answer<Record> {
        if id.shard() != self.facts.sharding.shard_of(ticket.subject()) {
            return Answer::Failed(ErrorKind::Config, Applied::No);
        }
        let fences = self.fences.get(ticket.subject());
        let stands = fences.is_some_and(|fences| fences.contains(ticket.fence()));
        let stale = ticket.is_stale(self.now, self.facts.ticket_life);
        let (admitted, came) = self.tries.get(&ticket.nonce()).copied().unwrap_or_default();
        let tries = (admitted, came.max(ticket.attempt()));
        self.tries.insert(ticket.nonce(), tries);
        let live = self.live_of(ticket.subject());
        let room = admit(ticket, record.predecessor(), &live, limit, self.now);
        match heard {
            // Refusals for which there is a reason, whichever the store looked for first.
            Answer::Exists if self.refuses(id, heard) => return Answer::Exists,
            Answer::LimitReached if room.is_none() => return Answer::LimitReached,
            Answer::Revoked if ticket.attempt() < came => return Answer::Revoked,
            _ => {}
        }
        if stale || !stands || ticket.attempt() < admitted {
            return Answer::Revoked;
        }
        if self.refuses(id, heard) {
            return Answer::Exists;
        }
        let Some(mut ended) = room else {
            return Answer::LimitReached;
        };
        if record.check(&self.facts.bounds).is_err() {
            return too_large();
        }
        let tries = (admitted.max(ticket.attempt()), tries.1);
        self.tries.insert(ticket.nonce(), tries);
        ended.sort_unstable();
        for id in &ended {
            self.end(*id);
        }
        match self.inserted(id, record, Some(ticket)) {
            Some(record) => Answer::Admitted { record, ended },
            None => too_large(),
        }
    }

    fn live(&self, id: SessionId) -> Option<&Record> {
        self.records
            .get(&id)
            .filter(|record| record.is_live(self.now))
    }

    fn live_of(&self, subject: &Subject) -> Vec<(SessionId, Record)> {
        self.records
            .iter()
            .filter(|(_, record)| record.subject() == Some(subject.as_str()))
            .filter(|(_, record)| record.is_live(self.now))
            .map(|(id, record)| (*id, record.clone()))
            .collect()
    }

    fn refuses(&self, id: SessionId, heard: &Answer<Record>) -> bool {
        let expired = |record: &Record| self.now < record.expires_at() + REMEMBERED;
        let ended = |ended: &Ended| self.now < ended.at + REMEMBERED;
        self.live(id).is_some()
            || self.ended.get(&id).is_some_and(ended)
            || *heard == Answer::Exists && self.records.get(&id).is_some_and(expired)
    }

    fn inserted(
        &mut self,
        id: SessionId,
        record: &NewRecord,
        ticket: Option<&Ticket>,
    ) -> Option<Record> {
        record.check(&self.facts.bounds).ok()?;
        let (record, _) = ticket.map_or_else(
            || record.anonymous(self.now),
            |ticket| record.signed_in(ticket, self.now),
        );
        self.ended.remove(&id);
        self.records.insert(id, record.clone());
        Some(record)
    }

    fn end(&mut self, id: SessionId) -> bool {
        let Some(record) = self.live(id).cloned() else {
            return false;
        };
        self.records.remove(&id);
        self.ended.insert(id, Ended::of(&record, self.now));
        true
    }
}

fn too_large() -> Answer<Record> {
    Answer::Failed(ErrorKind::TooLarge, Applied::No)
}
