//! Faults that the random histories catch.

use std::future::ready;

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_conformance::{Opened, Suite};
use session_core::{Application, Change, ManualClock, Record, SessionId, SessionStore, StoreError};

use crate::Planted;
use crate::fault::{Fault, suite};
use crate::unlocked::{Split, Unlocked};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        Planted {
            fault: "TrustsAHintOfThisRevision",
            suite: || suite(TrustsAHintOfThisRevision),
            caught_by: &["history_random_calls_are_answered_as_the_contract_says"],
        },
        Planted {
            fault: "ReadsModifiesWrites",
            suite: || split(Split::Apply),
            caught_by: &["history_concurrent_calls_have_an_order_that_explains_them"],
        },
        Planted {
            fault: "DecidesBeforeItSignsIn",
            suite: || split(Split::SignIn),
            caught_by: &["history_concurrent_calls_have_an_order_that_explains_them"],
        },
        Planted {
            fault: "WritesEntriesThenHeader",
            suite: || split(Split::Header),
            caught_by: &["history_a_dropped_call_happens_whole_or_not_at_all"],
        },
        Planted {
            fault: "EndsSessionsThenRaisesTheFence",
            suite: || split(Split::Revoke),
            caught_by: &["history_a_dropped_call_happens_whole_or_not_at_all"],
        },
    ]
}

fn split(split: Split) -> Suite {
    let clock = ManualClock::default();
    let inner = ReferenceStore::new(clock.clone());
    let store = Unlocked { inner, split };
    Suite::new(move || ready(Opened::from(store.clone()))).clock(clock)
}

/// Starts from the caller's copy if the revision is right: a touch since then is undone.
#[derive(Clone, Debug)]
struct TrustsAHintOfThisRevision;

#[async_trait]
impl Fault for TrustsAHintOfThisRevision {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        sound.step(|state, now| {
            let stored = state.live(id, now);
            if let (Some(stored), Some(seen)) = (stored, seen)
                && stored.revision() == seen.revision()
                && seen.is_live(now)
            {
                state.sessions.insert(id, seen.clone());
            }
        });
        sound.apply(id, change, seen).await
    }
}
