//! Settling what a store could not say: whether a change was applied.

use crate::change::Change;
use crate::error::{Applied, StoreError};
use crate::id::SessionId;
use crate::record::Record;
use crate::store::{Application, Consistency, Freshness, Loaded, SharedStore};

const TRIES: usize = 3;

/// Applies a change and, if its outcome is unknown, finds out from the source: our revision stands
/// there, so it was applied; or the one we started from does, so it is safe to send again, guarded. Else
/// it stays unknown, and the error says so.
pub(super) async fn apply(
    store: &SharedStore,
    id: SessionId,
    change: &Change,
    seen: &Record,
) -> Result<Application, StoreError> {
    let mut guarded = None;
    for _ in 1..TRIES {
        let error = match store
            .apply(id, guarded.as_ref().unwrap_or(change), Some(seen))
            .await
        {
            // The guard was ours: somebody changed the record, and that may have been the first try.
            Ok(Application::Conflict) if guarded.is_some() && change.guard().is_none() => {
                return match found(store, id, change, seen).await? {
                    Found::Applied(application) => Ok(application),
                    Found::NotApplied | Found::Unknown => Err(StoreError::new(
                        store.facts().name,
                        crate::ErrorKind::Unavailable,
                    )
                    .unknown()),
                };
            }
            Err(error) if error.applied() == Applied::Unknown => error,
            answer => return answer,
        };
        if change.is_pure_touch() || store.facts().consistency != Consistency::Linearizable {
            return Err(error);
        }
        match found(store, id, change, seen).await {
            Ok(Found::Applied(application)) => return Ok(application),
            Ok(Found::NotApplied) => guarded = Some(change.clone().guarded_by(seen.revision())),
            Ok(Found::Unknown) | Err(_) => return Err(error),
        }
    }
    store
        .apply(id, guarded.as_ref().unwrap_or(change), Some(seen))
        .await
}

enum Found {
    Applied(Application),
    NotApplied,
    Unknown,
}

async fn found(
    store: &SharedStore,
    id: SessionId,
    change: &Change,
    seen: &Record,
) -> Result<Found, StoreError> {
    Ok(match store.load(id, Freshness::Source).await? {
        Loaded::Live(record) if record.revision() == change.revision() => {
            Found::Applied(Application::Applied {
                previous: seen.clone(),
                record,
            })
        }
        Loaded::Live(record) if record.revision() == seen.revision() => Found::NotApplied,
        Loaded::Live(_) => Found::Unknown,
        Loaded::Ended(_) | Loaded::Absent => Found::Applied(Application::Absent),
    })
}
