//! A store that fails when it is told to: for the lab, in front of the real one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use session_core::{
    Abilities, Admission, Application, Change, Clock, Creation, ErrorKind, Freshness, Loaded,
    NewRecord, Record, SessionId, SessionStore, SharedStore, SignInLimit, StoreError, StoreFacts,
    Subject, SystemClock, Ticket, Timestamp,
};

/// How long a call hangs, at most: as a real store, this one keeps its time limit.
const HANGS: Duration = Duration::from_secs(2);

/// How a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// It does nothing and says so.
    Unavailable,
    /// It does what it was asked to, and its answer is lost.
    Unknown,
    /// It does nothing, and only its time limit ends the wait.
    Hang,
    /// It holds as much as it may.
    Full,
}

/// What goes wrong at present, and until when. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<(Fault, Timestamp)>>>);

impl Faults {
    /// From now on, calls fail like this for so long. A later one takes the place of an earlier.
    pub(crate) fn inject(&self, fault: Fault, lasts: Duration) {
        *self.0.lock() = Some((fault, SystemClock.now() + lasts));
    }

    fn now(&self) -> Option<Fault> {
        let fault = *self.0.lock();
        fault
            .filter(|(_, until)| SystemClock.now() < *until)
            .map(|(fault, _)| fault)
    }
}

/// The store in front.
#[derive(Debug)]
pub(crate) struct FaultStore {
    inner: SharedStore,
    faults: Faults,
}

impl FaultStore {
    pub(crate) const fn new(inner: SharedStore, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// Makes a call, or fails in its place.
    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let failure =
            |kind| StoreError::new(self.inner.facts().name, kind).because("a fault of the lab");
        match self.faults.now() {
            None => call.await,
            Some(Fault::Unavailable) => Err(failure(ErrorKind::Unavailable)),
            Some(Fault::Full) => Err(failure(ErrorKind::Full)),
            Some(Fault::Unknown) => {
                let _ = call.await;
                Err(failure(ErrorKind::Unavailable).unknown())
            }
            Some(Fault::Hang) => {
                tokio::time::sleep(HANGS).await;
                Err(failure(ErrorKind::Unavailable).unknown())
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for FaultStore {
    fn facts(&self) -> &StoreFacts {
        self.inner.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.call(self.inner.create(id, record)).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.call(self.inner.load(id, freshness)).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.call(self.inner.apply(id, change, seen)).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.call(self.inner.delete(id)).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.call(self.inner.ticket(subject)).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.call(self.inner.sign_in(ticket, id, record, limit))
            .await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.call(self.inner.sessions_of(subject)).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.call(self.inner.revoke(subject, except)).await
    }
}
