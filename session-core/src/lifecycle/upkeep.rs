//! What has to be done although no request asks for it.

use std::time::Duration;

use super::event::EventKind;
use super::sessions::Sessions;
use crate::error::StoreError;
use crate::feed::FeedItem;

/// How many expired sessions are removed in one step.
const BATCH: usize = 1_000;

impl Sessions {
    /// Removes expired sessions, in bounded steps, until none is left; returns how many. Stores whose
    /// server does that by itself have nothing to remove.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    #[doc(alias = "delete_expired")]
    pub async fn purge_expired(&self) -> Result<usize, StoreError> {
        let Some(purge) = self.store().abilities().purge else {
            return Ok(0);
        };
        let mut purged = 0;
        loop {
            match purge.purge_expired(BATCH).await? {
                0 => return Ok(purged),
                batch => purged += batch,
            }
            tokio::task::yield_now().await;
        }
    }

    /// Removes expired sessions every `interval`, survives the store's failures, and tells observers of
    /// each session that expired. Never returns: spawn it once in each server.
    pub async fn upkeep(&self, interval: Duration) {
        tokio::join!(self.purge_for_ever(interval), self.tell_expired());
    }

    async fn purge_for_ever(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.purge_expired().await {
                tracing::warn!(%error, "expired sessions could not be removed; trying again");
            }
        }
    }

    async fn tell_expired(&self) {
        let Some(watch) = self.store().abilities().watch else {
            return;
        };
        let mut feed = watch.watch();
        while let Some(item) = feed.next().await {
            if let FeedItem::Expired(id) = item {
                self.tell(EventKind::Expired, Some(id), None);
            }
        }
    }
}
