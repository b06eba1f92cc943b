//! What two stores can do besides, together.

use async_trait::async_trait;

use super::Draining;
use crate::error::StoreError;
use crate::feed::{Feed, FeedSource};
use crate::id::SessionId;
use crate::record::Record;
use crate::store::{Abilities, PurgeExpired, Scan, SessionStore, Watch};

impl<New: SessionStore, Old: SessionStore> Draining<New, Old> {
    /// It purges if either needs it; it watches and scans if both can, for half a feed is none.
    pub(super) fn joint_abilities(&self) -> Abilities<'_> {
        let (new, old) = (self.0.new.abilities(), self.0.old.abilities());
        Abilities {
            purge: (new.purge.is_some() || old.purge.is_some()).then_some(self as _),
            watch: (new.watch.is_some() && old.watch.is_some()).then_some(self as _),
            scan: (new.scan.is_some() && old.scan.is_some()).then_some(self as _),
        }
    }
}

#[async_trait]
impl<New: SessionStore, Old: SessionStore> PurgeExpired for Draining<New, Old> {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        let mut purged = 0;
        for abilities in [self.0.new.abilities(), self.0.old.abilities()] {
            if let Some(purge) = abilities.purge
                && purged < batch
            {
                purged += purge.purge_expired(batch - purged).await?;
            }
        }
        Ok(purged)
    }
}

#[async_trait]
impl<New: SessionStore, Old: SessionStore> Watch for Draining<New, Old> {
    fn watch(&self) -> Feed {
        let (new, old) = (self.0.new.abilities(), self.0.old.abilities());
        match (new.watch, old.watch) {
            (Some(new), Some(old)) => Feed::merged(new.watch(), old.watch()),
            _ => FeedSource::new(1).subscribe(),
        }
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        for abilities in [self.0.new.abilities(), self.0.old.abilities()] {
            if let Some(watch) = abilities.watch {
                watch.echo(nonce).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl<New: SessionStore, Old: SessionStore> Scan for Draining<New, Old> {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut found = Vec::new();
        for abilities in [self.0.new.abilities(), self.0.old.abilities()] {
            if let Some(scan) = abilities.scan {
                found.extend(scan.scan(after, limit).await?);
            }
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        found.truncate(limit);
        Ok(found)
    }
}
