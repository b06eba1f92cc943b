//! A store as plain as can be: one lock around maps. What the suite itself is tested with.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Change, Clock, Creation, Ended, ErrorKind, Feed, FeedItem,
    FeedSource, Fence, Freshness, Loaded, NewRecord, PurgeExpired, REMEMBERED, Record, Refusal,
    Scan, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, SystemClock,
    Ticket, Timestamp, Watch, admit,
};

const NAME: &str = "reference";

/// A store as plain as can be: one lock around maps, every verb one look at the clock and one step.
///
/// It passes the suite, and nothing in it is made to be fast. Clones share their sessions. Of what ended
/// it forgets only what [`PurgeExpired`] is asked to remove.
#[derive(Clone, Debug)]
pub struct ReferenceStore {
    facts: Arc<StoreFacts>,
    clock: Arc<dyn Clock>,
    feed: FeedSource,
    max: usize,
    state: Arc<Mutex<State>>,
}

/// What the store holds. Open to the planted faults that the suite is tested with.
#[doc(hidden)]
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "not part of the public interface")]
pub struct State {
    pub sessions: HashMap<SessionId, Record>,
    pub ended: HashMap<SessionId, Ended>,
    pub fences: HashMap<Subject, u64>,
    /// The latest try admitted under each ticket.
    pub tries: HashMap<u64, u32>,
}

impl ReferenceStore {
    /// A store that goes by `clock`.
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self {
            facts: Arc::new(StoreFacts::new(NAME)),
            clock: Arc::new(clock),
            feed: FeedSource::new(4096),
            max: usize::MAX,
            state: Arc::default(),
        }
    }

    /// Holds at most `max` sessions, and no anonymous one beyond 80 % of that.
    #[must_use]
    pub fn bounded(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// One atomic step, at the instant that the clock shows within it.
    #[doc(hidden)]
    pub fn step<T>(&self, step: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.now();
        step(&mut state, now)
    }

    #[doc(hidden)]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn tell_ended(&self, ended: &[SessionId]) {
        for id in ended {
            self.feed.send(FeedItem::Ended(*id));
        }
    }
}

impl Default for ReferenceStore {
    /// A store that goes by the operating system's clock.
    fn default() -> Self {
        Self::new(SystemClock)
    }
}

#[allow(missing_docs, reason = "not part of the public interface")]
impl State {
    #[must_use]
    pub fn live(&self, id: SessionId, now: Timestamp) -> Option<Record> {
        let record = self.sessions.get(&id)?;
        record.is_live(now).then(|| record.clone())
    }

    #[must_use]
    pub fn ended(&self, id: SessionId, now: Timestamp) -> Option<Ended> {
        let ended = self.ended.get(&id)?;
        (now < ended.at + REMEMBERED).then(|| ended.clone())
    }

    #[must_use]
    pub fn is_taken(&self, id: SessionId, now: Timestamp) -> bool {
        self.live(id, now).is_some() || self.ended(id, now).is_some()
    }

    #[must_use]
    pub fn live_of(&self, subject: &Subject, now: Timestamp) -> Vec<(SessionId, Record)> {
        let live = self.sessions.iter().filter(|(_, record)| {
            record.is_live(now) && record.subject() == Some(subject.as_str())
        });
        live.map(|(id, record)| (*id, record.clone())).collect()
    }

    #[must_use]
    pub fn fence(&self, subject: &Subject) -> Fence {
        Fence::from_u64(self.fences.get(subject).copied().unwrap_or_default())
    }

    /// Ends the session if it lives.
    pub fn end(&mut self, id: SessionId, now: Timestamp) -> bool {
        let Some(record) = self.live(id, now) else {
            return false;
        };
        self.sessions.remove(&id);
        self.ended.insert(id, Ended::of(&record, now));
        true
    }

    fn has_room(&self, max: usize, now: Timestamp) -> bool {
        max == usize::MAX
            || self
                .sessions
                .values()
                .filter(|held| held.is_live(now))
                .count()
                < max
    }
}

#[async_trait]
impl SessionStore for ReferenceStore {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        abilities.purge = Some(self);
        abilities.watch = Some(self);
        abilities.scan = Some(self);
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.step(|state, now| {
            if state.is_taken(id, now) {
                return Ok(Creation::Exists);
            }
            record
                .check(&self.facts.bounds)
                .map_err(|reason| StoreError::too_large(NAME, reason))?;
            if !state.has_room(self.max.saturating_mul(4) / 5, now) {
                return Err(StoreError::new(NAME, ErrorKind::Full));
            }
            let (record, _) = record.anonymous(now);
            state.sessions.insert(id, record.clone());
            Ok(Creation::Created(record))
        })
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        Ok(self.step(|state, now| match state.live(id, now) {
            Some(record) => Loaded::Live(record),
            None => state.ended(id, now).map_or(Loaded::Absent, Loaded::Ended),
        }))
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let outcome = self.step(|state, now| {
            let Some(previous) = state.live(id, now) else {
                return Ok(Application::Absent);
            };
            match previous.apply(change, now, &self.facts.bounds) {
                Ok(record) => {
                    state.sessions.insert(id, record.clone());
                    Ok(Application::Applied { previous, record })
                }
                Err(Refusal::Absent) => Ok(Application::Absent),
                Err(Refusal::Conflict) => Ok(Application::Conflict),
                Err(Refusal::TooLarge(reason)) => Err(StoreError::too_large(NAME, reason)),
            }
        });
        if let Ok(Application::Applied { previous, record }) = &outcome
            && !previous.slots().eq(record.slots())
        {
            self.feed.send(FeedItem::Renewed(id));
        }
        outcome
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let ended = self.step(|state, now| state.end(id, now));
        if ended {
            self.tell_ended(&[id]);
        }
        Ok(ended)
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        Ok(self.step(|state, now| Ticket::new(subject.clone(), state.fence(subject), now)))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if id.shard() != self.facts.sharding.shard_of(ticket.subject()) {
            return Err(StoreError::new(NAME, ErrorKind::Config));
        }
        let admission = self.step(|state, now| {
            let latest = state
                .tries
                .get(&ticket.nonce())
                .copied()
                .unwrap_or_default();
            if ticket.is_stale(now, self.facts.ticket_life)
                || *ticket.fence() != state.fence(ticket.subject())
                || ticket.attempt() < latest
            {
                return Ok(Admission::Revoked);
            }
            if state.is_taken(id, now) {
                return Ok(Admission::Exists);
            }
            let live = state.live_of(ticket.subject(), now);
            let Some(ended) = admit(ticket, record.predecessor(), &live, limit, now) else {
                return Ok(Admission::LimitReached);
            };
            record
                .check(&self.facts.bounds)
                .map_err(|reason| StoreError::too_large(NAME, reason))?;
            if !state.has_room(self.max.saturating_add(ended.len()), now) {
                return Err(StoreError::new(NAME, ErrorKind::Full));
            }
            for id in &ended {
                state.end(*id, now);
            }
            let (record, _) = record.signed_in(ticket, now);
            state.sessions.insert(id, record.clone());
            state.tries.insert(ticket.nonce(), ticket.attempt());
            Ok(Admission::Admitted { record, ended })
        });
        if let Ok(Admission::Admitted { ended, .. }) = &admission {
            self.tell_ended(ended);
        }
        admission
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(self.step(|state, now| state.live_of(subject, now)))
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.step(|state, now| {
            *state.fences.entry(subject.clone()).or_default() += 1;
            let ids = state.live_of(subject, now).into_iter().map(|(id, _)| id);
            let ended: Vec<_> = ids.filter(|id| Some(*id) != except).collect();
            for id in &ended {
                state.end(*id, now);
            }
            ended
        });
        self.tell_ended(&ended);
        Ok(ended)
    }
}

#[async_trait]
impl PurgeExpired for ReferenceStore {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        let removed = self.step(|state, now| {
            state.ended.retain(|_, ended| now < ended.at + REMEMBERED);
            let expired = state
                .sessions
                .iter()
                .filter(|(_, record)| !record.is_live(now));
            let expired: Vec<_> = expired.map(|(id, _)| *id).take(batch).collect();
            for id in &expired {
                state.sessions.remove(id);
            }
            expired
        });
        for id in &removed {
            self.feed.send(FeedItem::Expired(*id));
        }
        Ok(removed.len())
    }
}

#[async_trait]
impl Watch for ReferenceStore {
    fn watch(&self) -> Feed {
        self.feed.subscribe()
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        self.feed.send(FeedItem::Echo(nonce));
        Ok(())
    }
}

#[async_trait]
impl Scan for ReferenceStore {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(self.step(|state, now| {
            let mut live: Vec<_> = state
                .sessions
                .iter()
                .filter(|(id, record)| {
                    record.is_live(now) && after.is_none_or(|after| **id > after)
                })
                .map(|(id, record)| (*id, record.clone()))
                .collect();
            live.sort_by_key(|(id, _)| *id);
            live.truncate(limit);
            live
        }))
    }
}
