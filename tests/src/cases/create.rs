//! Clause 1: nothing overwrites a record.

use session_core::{Freshness, Loaded, NewRecord, Timeouts};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret};

pub(super) fn cases() -> Vec<Case> {
    cases![clause_01_create_makes_a_live_anonymous_session]
}

async fn clause_01_create_makes_a_live_anonymous_session(given: Context) {
    let store = given.store();
    let id = fresh_id();
    let new = NewRecord::new(fresh_secret(), Timeouts::default());
    store.create(id, &new).await.unwrap();
    assert!(matches!(
        store.load(id, Freshness::Source).await,
        Ok(Loaded::Live(_))
    ));
}
