//! What the store can do besides the contract.

use async_trait::async_trait;
use session_core::{Feed, PurgeExpired, Record, Scan, SessionId, StoreError, Watch};

use crate::store::MemoryStore;

/// Every write removes some of what expired, so a store in use needs no purging. One that is idle does
/// not know that time passes: a call every few minutes gives its memory back.
#[async_trait]
impl PurgeExpired for MemoryStore {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        Ok(self.stripes().purge(batch))
    }
}

/// Besides what ended and what was renewed, the feed tells of changed entries, shortened deadlines and
/// settled predecessors. It does not tell of touches.
impl Watch for MemoryStore {
    fn watch(&self) -> Feed {
        self.stripes().terms().feed.watch()
    }
}

#[async_trait]
impl Scan for MemoryStore {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(self.stripes().scan(after, limit))
    }
}
