//! The naive oracle: the contract's words once more, in plain data, without any of session-core's
//! functions. Stores share those, so a fault in them would pass every comparison with itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Applied, ErrorKind, Record, SessionId, Sharding, SignInLimit, StoreFacts, Subject, Ticket,
};

use super::answer::Answer;
use super::call::{Call, Draft, Edit, Plan};
use super::plain::{Owner, Secret, Session, Stands, millis};
use super::secrets::{promote, renew};
use super::state::{FOREVER, Issued, State, Taken, after};

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

fn too_large() -> Answer<Session> {
    Answer::Failed(ErrorKind::TooLarge, Applied::No)
}
