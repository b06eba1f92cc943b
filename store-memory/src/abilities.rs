//! What the store can do besides the contract.

use async_trait::async_trait;
use session_core::{Feed, PurgeExpired, Record, Scan, SessionId, StoreError, Watch};

use crate::store::MemoryStore;

/// Every write removes some of what expired. A store that nobody writes to does not notice that time
/// passes: a call every few minutes gives its memory back.
///
/// One call holds no lock for more than 64 sessions at a time, and removes what is left of ended ones, and
/// fences, besides: they do not count.
#[async_trait]
impl PurgeExpired for MemoryStore {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        Ok(self.stripes().purge(batch))
    }
}

/// Besides what ended, expired or was renewed, the feed tells of changed entries, shortened deadlines and
/// settled predecessors; not of touches, and not of sessions that begin. A reader that lags behind by
/// more than 1,024 items is told of a gap. An expired session is told when it is removed.
#[async_trait]
impl Watch for MemoryStore {
    fn watch(&self) -> Feed {
        self.stripes().terms().feed.watch()
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        self.stripes().terms().feed.echo(nonce);
        Ok(())
    }
}

/// Each call reads at most as many of the store's 512 parts as it takes to find what it asks for, one lock
/// at a time: what lives throughout is found, what comes or goes meanwhile may be.
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
