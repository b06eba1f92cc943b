//! Random histories, one call after another: the memory store and two models of the contract agree on
//! every answer.
//!
//! `SESSION_TEST_SEED=<seed>` runs the history of that seed alone, as a failure prints it;
//! `SESSION_TEST_HISTORIES=<number>` more or fewer than 10,000.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use session_conformance::history::{Amount, Counts, Subjects, sequential};
use session_core::{ManualClock, SessionId, Shard};
use store_memory::MemoryStore;

const CALLS: usize = 60;

fn given(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// A seed that nobody chose.
fn fresh_seed() -> u64 {
    let id = SessionId::generate(Shard::random());
    u64::from_be_bytes(id.as_bytes()[8..].try_into().expect("eight bytes"))
}

fn under_test() -> Subjects {
    let clock = ManualClock::default();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    Subjects {
        handles: vec![Arc::new(store.clone()), Arc::new(store)],
        clock: Some(clock),
        reads_copies: false,
    }
}

/// SECURITY 24, 26, 28, 29, 32: whatever the order of calls and however far the clock moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_random_histories_pass_on_the_memory_store() {
    let seed = given("SESSION_TEST_SEED");
    let histories = match seed {
        Some(_) => 1,
        None => given("SESSION_TEST_HISTORIES").unwrap_or(10_000),
    };
    // Each on a store of its own, at the same time.
    let shares = histories.min(4);
    let running: Vec<_> = (0..shares)
        .map(|share| {
            let amount = Amount {
                histories: (histories + share) / shares,
                calls: CALLS,
            };
            let seed = seed.unwrap_or_else(fresh_seed);
            tokio::spawn(async move { sequential::check(&under_test(), amount, seed).await })
        })
        .collect();
    let mut counts = Counts::default();
    for share in running {
        let checked = share.await.expect("a share of the histories ends");
        counts.add(&checked.unwrap_or_else(|violation| {
            panic!(
                "{violation}run it again with SESSION_TEST_SEED={}",
                violation.seed
            )
        }));
    }
    println!("{counts}");
    assert_eq!(counts.histories, histories);
    if histories >= 1_000 {
        let short = [counts.shortfalls(true), counts.missed_details()].concat();
        assert!(short.is_empty(), "the histories are too tame: {short:#?}");
    }
}
