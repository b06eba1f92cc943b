//! A memory store that fails, or holds sign-ins back, when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};
use store_memory::MemoryStore;
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Faulty {
    inner: MemoryStore,
    loads_fail: AtomicBool,
    writes_fail: AtomicBool,
    /// How many sign-ins may pass.
    admitted: Semaphore,
    /// How many sign-ins have come.
    pub(crate) sign_ins: Semaphore,
}

impl Faulty {
    pub(crate) fn new(inner: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            loads_fail: AtomicBool::new(false),
            writes_fail: AtomicBool::new(false),
            admitted: Semaphore::new(1000),
            sign_ins: Semaphore::new(0),
        })
    }

    pub(crate) fn fail_loads(&self, fail: bool) {
        self.loads_fail.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn fail_writes(&self, fail: bool) {
        self.writes_fail.store(fail, Ordering::SeqCst);
    }

    /// Holds sign-ins back from now on.
    pub(crate) fn hold_sign_ins(&self) {
        self.admitted.forget_permits(1000);
    }

    pub(crate) fn release_sign_ins(&self) {
        self.admitted.add_permits(1000);
    }

    fn check(&self, fails: &AtomicBool) -> Result<(), StoreError> {
        if fails.load(Ordering::SeqCst) {
            Err(StoreError::new("faulty", ErrorKind::Unavailable))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SessionStore for Faulty {
    fn facts(&self) -> &StoreFacts {
        self.inner.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.check(&self.writes_fail)?;
        self.inner.create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.check(&self.loads_fail)?;
        self.inner.load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.check(&self.writes_fail)?;
        self.inner.apply(id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.check(&self.writes_fail)?;
        self.inner.delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.inner.ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.check(&self.writes_fail)?;
        self.sign_ins.add_permits(1);
        let _admitted = self.admitted.acquire().await.unwrap();
        self.inner.sign_in(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.check(&self.writes_fail)?;
        self.inner.revoke(subject, except).await
    }
}
