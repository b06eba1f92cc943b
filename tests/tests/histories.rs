//! Random histories, one call after another: a store and two models of the contract agree on every
//! answer.
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

use session_conformance::history::{Amount, Counts, UnderTest, sequential};
use session_conformance::reference::ReferenceStore;
use session_core::{ManualClock, SessionId, SessionStore, Shard};
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

fn under(store: impl SessionStore + Clone, clock: ManualClock) -> UnderTest {
    UnderTest {
        handles: vec![Arc::new(store.clone()), Arc::new(store)],
        clock: Some(clock),
        reads_copies: false,
    }
}

fn memory() -> UnderTest {
    let clock = ManualClock::default();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    under(store, clock)
}

fn reference() -> UnderTest {
    let clock = ManualClock::default();
    under(ReferenceStore::new(clock.clone()), clock)
}

/// Checks so many histories, in shares that run at the same time, each on a store of its own.
async fn check(open: fn() -> UnderTest, histories: u64) {
    let seed = given("SESSION_TEST_SEED");
    let histories = match seed {
        Some(_) => 1,
        None => given("SESSION_TEST_HISTORIES").unwrap_or(histories),
    };
    let shares = histories.min(4);
    let running: Vec<_> = (0..shares)
        .map(|share| {
            let amount = Amount {
                histories: (histories + share) / shares,
                calls: CALLS,
            };
            let seed = seed.unwrap_or_else(fresh_seed);
            tokio::spawn(async move { sequential::check(&open(), amount, seed).await })
        })
        .collect();
    let mut counts = Counts::default();
    for share in running {
        let checked = share.await.expect("a share of the histories ends");
        counts.add(&checked.unwrap_or_else(|violation| {
            let seed = violation.seed;
            panic!("{violation}run it again with SESSION_TEST_SEED={seed}")
        }));
    }
    println!("{counts}");
    assert_eq!(counts.histories, histories);
    if histories >= 1_000 {
        let short = [counts.shortfalls(true), counts.missed_details()].concat();
        assert!(short.is_empty(), "the histories are too tame: {short:#?}");
    }
}

/// SECURITY 24, 26, 28, 29, 32: whatever the order of calls and however far the clock moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_random_histories_pass_on_the_memory_store() {
    check(memory, 10_000).await;
}

/// SECURITY 28: what expired is still there, and only session-core's functions say that it is dead. (The
/// memory store drops it.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_pass_on_a_store_that_never_drops_what_expired() {
    check(reference, 1_000).await;
}
