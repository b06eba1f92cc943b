//! All sessions of a subject, as they stood at one instant in both stores.

use std::collections::BTreeMap;

use super::{Draining, Place};
use crate::error::StoreError;
use crate::id::SessionId;
use crate::name::Subject;
use crate::record::Record;
use crate::store::SessionStore;

/// A session of a subject.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: SessionId,
    pub(super) record: Record,
    pub(super) place: Place,
}

impl<New: SessionStore, Old: SessionStore> Draining<New, Old> {
    /// Whether the sign-in that made a session is over.
    pub(super) fn has_begun(&self, record: &Record) -> bool {
        record.get(self.0.waits.as_str()).is_none()
    }

    /// Sessions that all lived when the old store was read, whether begun or not: an id is in the new store
    /// before and after only if it was there in between. Of a session that began meanwhile the record is the
    /// one from before.
    pub(super) async fn snapshot(&self, subject: &Subject) -> Result<Vec<Seen>, StoreError> {
        let before = self.0.new.sessions_of(subject).await?;
        let old = self.0.old.sessions_of(subject).await?;
        let seen = |place| move |(id, record)| Seen { id, record, place };
        // One store alone answers for one instant.
        if old.is_empty() || before.is_empty() {
            let new = before.into_iter().map(seen(Place::New));
            return Ok(new.chain(old.into_iter().map(seen(Place::Old))).collect());
        }
        let after = self.0.new.sessions_of(subject).await?;
        let mut after: BTreeMap<_, _> = after.into_iter().collect();
        let new = before.into_iter().filter_map(|(id, record)| {
            let later = after.remove(&id)?;
            let record = if self.has_begun(&record) {
                later
            } else {
                record
            };
            Some((id, record))
        });
        Ok(new
            .map(seen(Place::New))
            .chain(old.into_iter().map(seen(Place::Old)))
            .collect())
    }
}
