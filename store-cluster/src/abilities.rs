//! What the store can do besides the contract.

use async_trait::async_trait;
use session_core::{ErrorKind, Feed, FeedItem, Record, Scan, SessionId, StoreError, Watch};

use tokio::time::timeout;

use crate::store::{ClusterStore, NAME};

/// The feed tells of ends, renewals, changes and expired sessions, whichever node they happened on, once they
/// have reached this one. A reader that lags behind by more than 1,024 items is told of a gap.
///
/// A nonce comes back once every other node was asked and all that it had done by then has come. While one of
/// them cannot be asked, `echo` is `Unavailable`.
#[async_trait]
impl Watch for ClusterStore {
    fn watch(&self) -> Feed {
        self.node().feed.subscribe()
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        let node = self.node();
        let asking = node.ask(|replica, now, effects| Ok(replica.flush(now, effects)));
        match timeout(self.limit(), asking).await {
            Ok(Ok(true)) => {
                node.feed.send(FeedItem::Echo(nonce));
                Ok(())
            }
            _ => Err(StoreError::new(NAME, ErrorKind::Unavailable)),
        }
    }
}

/// What this node holds, in the order of ids.
#[async_trait]
impl Scan for ClusterStore {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        if !self.is_ready() {
            return Err(StoreError::new(NAME, ErrorKind::Unavailable));
        }
        Ok(self
            .node()
            .step(|replica, now, _| replica.scan(now, after, limit)))
    }
}
