//! A store in memory that fails at a chosen call, and whose calls take uneven time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};
use store_memory::MemoryStore;
use tokio::task::yield_now;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused before anything happened.
    OutOfReach,
    /// It takes effect, and its answer is lost.
    AnswerLost,
}

/// Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Uneven {
    pub(crate) inner: MemoryStore,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The call that fails, counted from 0, and how; all later ones, too, if it says so.
    fault: Mutex<Option<(u64, Fault, bool)>>,
    calls: AtomicU64,
    /// Where the pauses come from; none from 0.
    pauses: AtomicU64,
}

impl Uneven {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        let shared = Arc::default();
        Self { inner, shared }
    }

    /// The call number `at` from now fails.
    pub(crate) fn fail_at(&self, at: u64, fault: Fault) {
        self.shared.calls.store(0, Ordering::SeqCst);
        *self.shared.fault.lock() = Some((at, fault, false));
    }

    /// Every call from now on fails.
    pub(crate) fn go_away(&self) {
        self.shared.calls.store(0, Ordering::SeqCst);
        *self.shared.fault.lock() = Some((0, Fault::OutOfReach, true));
    }

    /// No call fails any more. Says how many were made since the last fault was planned.
    pub(crate) fn heal(&self) -> u64 {
        *self.shared.fault.lock() = None;
        self.shared.calls.swap(0, Ordering::SeqCst)
    }

    /// Calls take a while before and after they take effect, as follows from `seed`.
    pub(crate) fn pause(&self, seed: u64) {
        self.shared.pauses.store(seed | 1, Ordering::SeqCst);
    }

    async fn wait(&self) {
        let seed = self.shared.pauses.load(Ordering::SeqCst);
        if seed != 0 {
            let next = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            self.shared.pauses.store(next | 1, Ordering::SeqCst);
            for _ in 0..(next >> 33) % 6 {
                yield_now().await;
            }
        }
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.wait().await;
        let number = self.shared.calls.fetch_add(1, Ordering::SeqCst);
        let planned = *self.shared.fault.lock();
        let fault = planned.filter(|(at, _, on)| *at == number || *on && *at < number);
        let failure = StoreError::new("uneven", ErrorKind::Unavailable);
        let answer = match fault {
            Some((_, Fault::OutOfReach, _)) => Err(failure),
            Some((_, Fault::AnswerLost, _)) => call.await.and(Err(failure.unknown())),
            None => call.await,
        };
        self.wait().await;
        answer
    }
}

#[async_trait]
impl SessionStore for Uneven {
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
