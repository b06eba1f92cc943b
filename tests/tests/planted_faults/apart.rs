//! Faults between stores, and between handles to one: clauses 15 and 16.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_conformance::{Opened, Suite};
use session_core::{
    Consistency, Freshness, Loaded, ManualClock, SessionId, SessionStore, StoreError, StoreFacts,
};

use crate::fault::{Fault, suite};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "IgnoresItsPrefix",
            ignores_its_prefix,
            &[
                "clause_15_one_id_is_two_sessions_in_two_stores",
                "clause_15_a_neighbour_neither_reads_nor_ends_anything",
                "clause_15_a_subject_is_two_subjects_in_two_stores",
                "clause_15_a_neighbours_end_refuses_no_id",
                "clause_15_a_neighbour_scans_its_own_sessions_only",
                "clause_15_a_neighbours_feed_tells_of_its_own_sessions_only",
            ],
        ),
        caught(
            "HandlesShareNothing",
            handles_share_nothing,
            &[
                "clause_16_what_one_handle_wrote_the_other_reads",
                "clause_16_what_one_handle_ended_is_dead_to_the_other",
                "clause_16_a_limit_holds_over_all_handles",
                "clause_16_a_ticket_and_a_fence_hold_over_all_handles",
                "clause_01_of_concurrent_creates_on_one_id_exactly_one_wins",
            ],
        ),
        caught(
            "AnswersNotAlways",
            || suite(AnswersNotAlways::default()).time_limit(Duration::from_millis(500)),
            &["clause_16_a_burst_of_calls_ends_with_an_answer_to_each"],
        ),
        caught(
            "SaysItIsEventual",
            || suite(SaysItIsEventual::default()),
            &["facts_state_what_the_store_is"],
        ),
    ]
}

fn ignores_its_prefix() -> Suite {
    let clock = ManualClock::default();
    let store = ReferenceStore::new(clock.clone());
    let neighbour = store.clone();
    Suite::new(move || ready(store.clone()))
        .neighbour(move || ready(neighbour.clone()))
        .clock(clock)
}

fn handles_share_nothing() -> Suite {
    let clock = ManualClock::default();
    let times = clock.clone();
    Suite::new(move || {
        let store = ReferenceStore::new(times.clone());
        ready(Opened::from(store).with_handle(ReferenceStore::new(times.clone())))
    })
    .clock(clock)
}

#[derive(Clone, Debug, Default)]
struct AnswersNotAlways(Arc<AtomicUsize>);

#[async_trait]
impl Fault for AnswersNotAlways {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        if self.0.fetch_add(1, Ordering::Relaxed) == 20 {
            pending::<()>().await;
        }
        sound.load(id, freshness).await
    }
}

#[derive(Clone, Debug)]
struct SaysItIsEventual(StoreFacts);

impl Default for SaysItIsEventual {
    fn default() -> Self {
        let mut facts = StoreFacts::new("reference");
        facts.consistency = Consistency::Eventual;
        Self(facts)
    }
}

#[async_trait]
impl Fault for SaysItIsEventual {
    fn facts<'a>(&'a self, _: &'a ReferenceStore) -> &'a StoreFacts {
        &self.0
    }
}
