//! Three nodes behind one handle.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Freshness, Loaded, NewRecord, Record,
    SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};
use store_cluster::ClusterStore;

/// Sends every call to another node than the one before.
#[derive(Debug)]
pub(crate) struct Turns {
    nodes: Vec<ClusterStore>,
    calls: AtomicUsize,
}

impl Turns {
    pub(crate) fn new(nodes: Vec<ClusterStore>) -> Self {
        Self {
            nodes,
            calls: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &ClusterStore {
        &self.nodes[self.calls.fetch_add(1, Ordering::Relaxed) % self.nodes.len()]
    }
}

#[async_trait]
impl SessionStore for Turns {
    fn facts(&self) -> &StoreFacts {
        self.nodes[0].facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = self.next().abilities();
        // A feed is that of one node, and tells what happened on all.
        abilities.watch = self.nodes[0].abilities().watch;
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.next().create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.next().load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.next().apply(id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.next().delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.next().ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.next().sign_in(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.next().sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.next().revoke(subject, except).await
    }
}
