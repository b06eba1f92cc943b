//! Settling what a store could not say: whether a change was applied.

use crate::change::Change;
use crate::error::{Applied, StoreError};
use crate::id::SessionId;
use crate::record::Record;
use crate::store::{Application, Consistency, Freshness, Loaded, SharedStore};

/// How often one change is sent.
const TRIES: usize = 3;

/// Applies a change and, if its outcome is unknown, finds out from the source: our revision stands
/// there, so it was applied; or the one we started from does, so it is safe to send again, guarded. Else
/// it stays unknown, and the error says so.
///
/// A try whose answer never came may arrive at any later time. So once there was one, neither a conflict
/// nor an error of a later try says that nothing was done: only what stands at the source does.
pub(super) async fn apply(
    store: &SharedStore,
    id: SessionId,
    change: &Change,
    seen: &Record,
) -> Result<Application, StoreError> {
    let mut doubt = match store.apply(id, change, Some(seen)).await {
        Err(error) if error.applied() == Applied::Unknown => error,
        answer => return answer,
    };
    if change.is_pure_touch() || store.facts().consistency == Consistency::Eventual {
        return Err(doubt);
    }
    // Of all tries the guard lets one in.
    let guarded = change.clone().guarded_by(seen.revision());
    for _ in 1..TRIES {
        match found(store, id, change, seen).await {
            Ok(Found::Applied(application)) => return Ok(application),
            Ok(Found::NotApplied) => {}
            Ok(Found::Unknown) | Err(_) => return Err(doubt),
        }
        match store.apply(id, &guarded, Some(seen)).await {
            // Somebody was faster: an earlier try, or another change.
            Ok(Application::Conflict) => {}
            Ok(application) => return Ok(application),
            Err(error) => doubt = error.unknown(),
        }
    }
    match found(store, id, change, seen).await {
        Ok(Found::Applied(application)) => Ok(application),
        Ok(Found::NotApplied | Found::Unknown) | Err(_) => Err(doubt),
    }
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
