//! Faults in how sessions are deleted: clause 13.

use std::time::Duration;

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_core::{Ended, Record, SessionId, SessionStore, StoreError, Timestamp};

use crate::fault::{Fault, pause, suite};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "DeleteAlwaysSaysYes",
            || suite(DeletesIf(|_, _| true, true)),
            &["clause_13_delete_ends_once_and_says_so"],
        ),
        caught(
            "DeleteNeedsAnIdleTimeout",
            || suite(DeletesIf(|record, _| record.header().idle.is_some(), false)),
            &["clause_13_delete_works_whatever_the_limits_in_time"],
        ),
        caught(
            "DeleteNeedsAnUnchangedSession",
            || suite(DeletesIf(|record, _| record.slots().count() == 1, false)),
            &["clause_13_delete_works_on_a_session_never_touched_and_on_one_much_used"],
        ),
        caught(
            "DeletesNothingWithAPredecessor",
            || suite(DeletesIf(|record, _| record.predecessor().is_none(), false)),
            &["clause_13_delete_works_on_a_session_never_touched_and_on_one_much_used"],
        ),
        caught(
            "DeletesOnlyWhatIsSmall",
            || {
                suite(DeletesIf(
                    |record, _| record.as_bytes().len() < 1 << 20,
                    false,
                ))
            },
            &["clause_13_delete_works_on_a_huge_session"],
        ),
        caught(
            "DeletesNothingAboutToExpire",
            || {
                suite(DeletesIf(
                    |record, now| record.expires_at().since(now) >= Duration::from_secs(1),
                    false,
                ))
            },
            &["clause_13_delete_works_a_millisecond_before_the_expiry"],
        ),
        caught(
            "DeletesTheExpired",
            || suite(DeletesTheExpired),
            &["clause_13_delete_of_an_expired_session_ends_nothing"],
        ),
        caught(
            "ChecksThenDeletes",
            || suite(ChecksThenDeletes),
            &["clause_13_of_concurrent_deletes_exactly_one_ends_the_session"],
        ),
    ]
}

/// Deletes only some sessions, and says otherwise what it did.
#[derive(Clone, Debug)]
struct DeletesIf(fn(&Record, Timestamp) -> bool, bool);

#[async_trait]
impl Fault for DeletesIf {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let record = sound.step(|state, now| state.live(id, now));
        let now = sound.now();
        if record.is_some_and(|record| !(self.0)(&record, now)) {
            return Ok(self.1);
        }
        Ok(sound.delete(id).await? || self.1)
    }
}

#[derive(Clone, Debug)]
struct DeletesTheExpired;

#[async_trait]
impl Fault for DeletesTheExpired {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        Ok(sound.step(|state, now| {
            let removed = state.sessions.remove(&id);
            let ended = removed.map(|record| Ended::of(&record, now));
            ended.map(|ended| state.ended.insert(id, ended)).is_some()
        }))
    }
}

#[derive(Clone, Debug)]
struct ChecksThenDeletes;

#[async_trait]
impl Fault for ChecksThenDeletes {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let is_there = sound.step(|state, now| state.live(id, now).is_some());
        pause().await;
        sound.delete(id).await?;
        Ok(is_there)
    }
}
