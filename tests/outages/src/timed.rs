//! A store whose calls are cut off, and told of, when they go on past their time limit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Applied, Change, Creation, ErrorKind, Freshness, Loaded,
    NewRecord, Record, SessionId, SessionStore, SharedStore, SignInLimit, StoreError, StoreFacts,
    Subject, Ticket,
};

use crate::event::{Event, Journal};

/// A store that tells of each call that hung: that did not end within its time limit and a `grace`
/// for a busy machine.
pub struct Timed {
    store: SharedStore,
    limit: Duration,
    journal: Journal,
    in_doubt: Arc<AtomicU64>,
}

impl Timed {
    /// Watches over the calls to `store`, which are to end within `limit` and `grace`.
    #[must_use]
    pub fn new(store: SharedStore, limit: Duration, grace: Duration, journal: Journal) -> Self {
        Self {
            store,
            limit: limit + grace,
            journal,
            in_doubt: Arc::default(),
        }
    }

    /// How many calls left it unknown what came of them.
    #[must_use]
    pub fn in_doubt(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.in_doubt)
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => {
                if matches!(&answer, Err(error) if error.applied() == Applied::Unknown) {
                    self.in_doubt.fetch_add(1, Ordering::Relaxed);
                }
                answer
            }
            Err(_) => {
                let verb = verb.to_owned();
                (self.journal)(Event::Hung { verb });
                Err(StoreError::new(self.store.facts().name, ErrorKind::Unavailable).unknown())
            }
        }
    }
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed")
            .field("store", &self.store)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Timed {
    fn facts(&self) -> &StoreFacts {
        self.store.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.store.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.call("create", self.store.create(id, record)).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.call("load", self.store.load(id, freshness)).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.call("apply", self.store.apply(id, change, seen)).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.call("delete", self.store.delete(id)).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.call("ticket", self.store.ticket(subject)).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let call = self.store.sign_in(ticket, id, record, limit);
        self.call("sign_in", call).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.call("sessions_of", self.store.sessions_of(subject))
            .await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.call("revoke", self.store.revoke(subject, except))
            .await
    }
}
