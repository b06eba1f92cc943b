//! A session store written from the README alone: one lock around a few maps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Clock, Creation, Ended, ErrorKind, Fence, Freshness,
    Loaded, NewRecord, REMEMBERED, Record, Refusal, SessionId, SessionStore, SignInLimit,
    StoreError, StoreFacts, Subject, Ticket, Timestamp, admit,
};

/// Sessions in this process. Clones share them.
#[derive(Clone, Debug)]
pub struct MyStore {
    facts: StoreFacts,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions, and what is kept of them for 60 s after their end.
    sessions: HashMap<SessionId, Loaded>,
    /// How often each subject was revoked.
    fences: HashMap<Subject, u64>,
    /// The latest try under each ticket.
    tries: HashMap<u64, u32>,
}

impl MyStore {
    /// An empty store that goes by `clock`.
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self {
            facts: StoreFacts::new("my"),
            clock: Arc::new(clock),
            state: Arc::default(),
        }
    }

    /// One atomic step: it holds the lock, then reads the clock.
    fn step<T>(&self, step: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        step(&mut state, now)
    }
}

impl State {
    fn find(&self, id: SessionId, now: Timestamp) -> Loaded {
        match self.sessions.get(&id) {
            Some(Loaded::Live(record)) if record.is_live(now) => Loaded::Live(record.clone()),
            Some(Loaded::Ended(ended)) if now < ended.at + REMEMBERED => {
                Loaded::Ended(ended.clone())
            }
            _ => Loaded::Absent,
        }
    }

    fn of(&self, subject: &Subject, now: Timestamp) -> Vec<(SessionId, Record)> {
        let is_theirs = |record: &Record| record.subject() == Some(subject.as_str());
        let live = self.sessions.iter().filter_map(|(id, kept)| match kept {
            Loaded::Live(record) if record.is_live(now) => Some((*id, record)),
            _ => None,
        });
        live.filter(|(_, record)| is_theirs(record))
            .map(|(id, record)| (id, record.clone()))
            .collect()
    }

    fn fence(&self, subject: &Subject) -> Fence {
        Fence::from_u64(self.fences.get(subject).copied().unwrap_or(0))
    }

    fn end(&mut self, id: SessionId, now: Timestamp) -> bool {
        let Loaded::Live(record) = self.find(id, now) else {
            return false;
        };
        self.sessions
            .insert(id, Loaded::Ended(Ended::of(&record, now)));
        true
    }
}

#[async_trait]
impl SessionStore for MyStore {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::default()
    }

    async fn create(&self, id: SessionId, new: &NewRecord) -> Result<Creation, StoreError> {
        self.step(|state, now| {
            if !matches!(state.find(id, now), Loaded::Absent) {
                return Ok(Creation::Exists);
            }
            new.check(&self.facts.bounds)
                .map_err(|why| StoreError::too_large("my", why))?;
            let (record, _) = new.anonymous(now);
            state.sessions.insert(id, Loaded::Live(record.clone()));
            Ok(Creation::Created(record))
        })
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        Ok(self.step(|state, now| state.find(id, now)))
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.step(|state, now| {
            let Loaded::Live(previous) = state.find(id, now) else {
                return Ok(Application::Absent);
            };
            match previous.apply(change, now, &self.facts.bounds) {
                Ok(record) => {
                    state.sessions.insert(id, Loaded::Live(record.clone()));
                    Ok(Application::Applied { previous, record })
                }
                Err(Refusal::Absent) => Ok(Application::Absent),
                Err(Refusal::Conflict) => Ok(Application::Conflict),
                Err(Refusal::TooLarge(why)) => Err(StoreError::too_large("my", why)),
            }
        })
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.step(|state, now| state.end(id, now)))
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        Ok(self.step(|state, now| Ticket::new(subject.clone(), state.fence(subject), now)))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let subject = ticket.subject();
        if id.shard() != self.facts.sharding.shard_of(subject) {
            return Err(StoreError::new("my", ErrorKind::Config));
        }
        self.step(|state, now| {
            let came_late = state.tries.get(&ticket.nonce()) > Some(&ticket.attempt());
            if came_late
                || ticket.is_stale(now, self.facts.ticket_life)
                || *ticket.fence() != state.fence(subject)
            {
                return Ok(Admission::Revoked);
            }
            if !matches!(state.find(id, now), Loaded::Absent) {
                return Ok(Admission::Exists);
            }
            let live = state.of(subject, now);
            let Some(ended) = admit(ticket, new.predecessor(), &live, limit, now) else {
                return Ok(Admission::LimitReached);
            };
            new.check(&self.facts.bounds)
                .map_err(|why| StoreError::too_large("my", why))?;
            for id in &ended {
                state.end(*id, now);
            }
            let (record, _) = new.signed_in(ticket, now);
            state.sessions.insert(id, Loaded::Live(record.clone()));
            state.tries.insert(ticket.nonce(), ticket.attempt());
            Ok(Admission::Admitted { record, ended })
        })
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(self.step(|state, now| state.of(subject, now)))
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.step(|state, now| {
            *state.fences.entry(subject.clone()).or_default() += 1;
            let theirs = state.of(subject, now).into_iter().map(|(id, _)| id);
            theirs
                .filter(|id| Some(*id) != except && state.end(*id, now))
                .collect()
        }))
    }
}
