//! How a fault is planted in a sound store.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_conformance::{Opened, Suite};
use session_core::{
    Abilities, Admission, Application, Bounds, Change, Creation, Feed, Freshness, Header, Loaded,
    ManualClock, NewRecord, PurgeExpired, Record, Refusal, Scan, SessionId, SessionStore,
    SignInLimit, StoreError, StoreFacts, Subject, Ticket, Timestamp, Watch,
};

/// What a store does instead of the right thing; by default, the right thing.
#[async_trait]
pub(crate) trait Fault: fmt::Debug + Send + Sync + 'static {
    fn facts<'a>(&'a self, sound: &'a ReferenceStore) -> &'a StoreFacts {
        sound.facts()
    }

    async fn purge(&self, sound: &ReferenceStore, batch: usize) -> Result<usize, StoreError> {
        sound.purge_expired(batch).await
    }

    fn watch(&self, sound: &ReferenceStore) -> Feed {
        sound.watch()
    }

    async fn echo(&self, sound: &ReferenceStore, nonce: u64) -> Result<(), StoreError> {
        sound.echo(nonce).await
    }

    async fn scan(
        &self,
        sound: &ReferenceStore,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        sound.scan(after, limit).await
    }

    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        sound.create(id, new).await
    }

    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        sound.load(id, freshness).await
    }

    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        sound.apply(id, change, seen).await
    }

    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        sound.delete(id).await
    }

    async fn ticket(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Ticket, StoreError> {
        sound.ticket(subject).await
    }

    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        sound.sign_in(ticket, id, new, limit).await
    }

    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        sound.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        sound.revoke(subject, except).await
    }
}

/// A sound store with a fault in it. Clones share both.
#[derive(Debug)]
pub(crate) struct Broken<F> {
    pub(crate) sound: ReferenceStore,
    pub(crate) fault: Arc<F>,
}

impl<F> Broken<F> {
    pub(crate) fn new(sound: ReferenceStore, fault: F) -> Self {
        let fault = Arc::new(fault);
        Self { sound, fault }
    }
}

impl<F> Clone for Broken<F> {
    fn clone(&self) -> Self {
        Self {
            sound: self.sound.clone(),
            fault: Arc::clone(&self.fault),
        }
    }
}

#[async_trait]
impl<F: Fault> SessionStore for Broken<F> {
    fn facts(&self) -> &StoreFacts {
        self.fault.facts(&self.sound)
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        abilities.purge = Some(self);
        abilities.watch = Some(self);
        abilities.scan = Some(self);
        abilities
    }

    async fn create(&self, id: SessionId, new: &NewRecord) -> Result<Creation, StoreError> {
        self.fault.create(&self.sound, id, new).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.fault.load(&self.sound, id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.fault.apply(&self.sound, id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.fault.delete(&self.sound, id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.fault.ticket(&self.sound, subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.fault
            .sign_in(&self.sound, ticket, id, new, limit)
            .await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.fault.sessions_of(&self.sound, subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.fault.revoke(&self.sound, subject, except).await
    }
}

#[async_trait]
impl<F: Fault> PurgeExpired for Broken<F> {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        self.fault.purge(&self.sound, batch).await
    }
}

#[async_trait]
impl<F: Fault> Watch for Broken<F> {
    fn watch(&self) -> Feed {
        self.fault.watch(&self.sound)
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        self.fault.echo(&self.sound, nonce).await
    }
}

#[async_trait]
impl<F: Fault> Scan for Broken<F> {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.fault.scan(&self.sound, after, limit).await
    }
}

/// The suite on a store with this fault, by a test clock, with two handles.
pub(crate) fn suite<F: Fault + Clone>(fault: F) -> Suite {
    let clock = ManualClock::default();
    let sound = ReferenceStore::new(clock.clone());
    let neighbour = ReferenceStore::new(clock.clone());
    let (bounded, times) = (fault.clone(), clock.clone());
    let store = Broken::new(sound, fault);
    Suite::new(move || ready(Opened::from(store.clone()).with_handle(store.clone())))
        .neighbour(move || ready(neighbour.clone()))
        .bounded(move |max| {
            let sound = ReferenceStore::new(times.clone()).bounded(max);
            ready(Broken::new(sound, bounded.clone()))
        })
        .clock(clock)
}

/// As [`suite`], by a clock that runs.
pub(crate) fn running_suite<F: Fault + Clone>(fault: F) -> Suite {
    Suite::new(move || ready(Broken::new(ReferenceStore::default(), fault.clone())))
}

/// Lets others in: what lies before and after is not one step.
pub(crate) async fn pause() {
    tokio::task::yield_now().await;
}

/// One change as a step sees it.
pub(crate) struct Step<'a> {
    pub(crate) previous: &'a Record,
    pub(crate) change: &'a Change,
    pub(crate) seen: Option<&'a Record>,
    pub(crate) now: Timestamp,
    pub(crate) bounds: &'a Bounds,
}

impl Step<'_> {
    /// What the contract says.
    pub(crate) fn soundly(&self) -> Result<Record, Refusal> {
        self.apply(self.change)
    }

    pub(crate) fn apply(&self, change: &Change) -> Result<Record, Refusal> {
        self.previous.apply(change, self.now, self.bounds)
    }
}

/// Makes the next record of a live session otherwise, in one atomic step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppliesBy(pub(crate) fn(&Step<'_>) -> Result<Record, Refusal>);

#[async_trait]
impl Fault for AppliesBy {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        sound.step(|state, now| {
            let Some(previous) = state.live(id, now) else {
                return Ok(Application::Absent);
            };
            let bounds = &sound.facts().bounds;
            let step = Step {
                previous: &previous,
                change,
                seen,
                now,
                bounds,
            };
            let next = (self.0)(&step);
            if let Ok(next) = &next {
                state.sessions.insert(id, next.clone());
            }
            answer(previous, next)
        })
    }
}

pub(crate) fn answer(
    previous: Record,
    next: Result<Record, Refusal>,
) -> Result<Application, StoreError> {
    match next {
        Ok(record) => Ok(Application::Applied { previous, record }),
        Err(Refusal::Absent) => Ok(Application::Absent),
        Err(Refusal::Conflict) => Ok(Application::Conflict),
        Err(Refusal::TooLarge(reason)) => Err(StoreError::too_large("reference", reason)),
    }
}

/// Reads records otherwise than they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadsAs(pub(crate) fn(Record) -> Record);

#[async_trait]
impl Fault for ReadsAs {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        Ok(match sound.load(id, freshness).await? {
            Loaded::Live(record) => Loaded::Live((self.0)(record)),
            other => other,
        })
    }
}

/// `record` with another header.
pub(crate) fn with_header(record: Record, edit: impl FnOnce(&mut Header)) -> Record {
    let mut header = record.header();
    edit(&mut header);
    Record::from_parts(&header, record.entries_block()).unwrap_or(record)
}

/// `record` with the entries that `edits` makes of its own, and nothing else changed.
pub(crate) fn with_edits(record: &Record, edits: &Change) -> Record {
    let bounds = Bounds {
        value_bytes: usize::MAX,
        session_bytes: usize::MAX,
        entries: usize::MAX,
    };
    let edited = record.apply(edits, record.last_seen_at(), &bounds);
    let block = edited.as_ref().map_or(record, |edited| edited);
    Record::from_parts(&record.header(), block.entries_block()).unwrap_or_else(|_| record.clone())
}
