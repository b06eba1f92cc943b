//! Concurrent histories: some order of the calls explains every answer, and where it does not, because
//! a store takes two steps for one, the check says so. Calls that are dropped happen whole or not at all.
//!
//! `SESSION_TEST_SEED=<seed>` runs the history of that seed alone, as a failure prints it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod unlocked;

use std::sync::Arc;

use session_conformance::history::concurrent::{self, Schedule};
use session_conformance::history::{RACES, UnderTest, dropped};
use session_conformance::reference::ReferenceStore;
use session_core::{ManualClock, SessionId, SessionStore, Shard, SystemClock};
use store_memory::MemoryStore;
use unlocked::{Split, Unlocked};

fn given_seed() -> Option<u64> {
    let given = std::env::var("SESSION_TEST_SEED").ok();
    given.map(|seed| seed.parse().expect("a number"))
}

/// A seed that nobody chose.
fn fresh_seed() -> u64 {
    let id = SessionId::generate(Shard::random());
    u64::from_be_bytes(id.as_bytes()[8..].try_into().expect("eight bytes"))
}

fn under(store: impl SessionStore + Clone, clock: Option<ManualClock>) -> UnderTest {
    UnderTest {
        handles: vec![Arc::new(store.clone()), Arc::new(store)],
        clock,
        reads_copies: false,
    }
}

fn memory() -> UnderTest {
    let clock = ManualClock::default();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    under(store, Some(clock))
}

fn split(split: Split) -> UnderTest {
    let clock = ManualClock::default();
    let inner = ReferenceStore::new(clock.clone());
    under(Unlocked { inner, split }, Some(clock))
}

/// SECURITY 24, 27, 36: sign-ins, changes, ends and revokes of the same sessions at the same time.
#[tokio::test]
async fn concurrent_histories_on_the_memory_store_are_linearizable() {
    let histories = if given_seed().is_some() { 1 } else { 3_000 };
    let seed = given_seed().unwrap_or_else(fresh_seed);
    let checked = concurrent::check(&memory(), histories, Schedule::Interleaved, seed).await;
    let counts = checked.unwrap_or_else(|found| {
        panic!("{found}run it again with SESSION_TEST_SEED={}", found.seed)
    });
    println!("{counts}");
    if histories > 1 {
        let unfair = counts.unfair_races(&RACES, 5);
        assert!(unfair.is_empty(), "the histories are too tame: {unfair:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_histories_on_the_memory_store_are_linearizable() {
    let checked = concurrent::check(&memory(), 1_000, Schedule::Parallel, fresh_seed()).await;
    let counts = checked.unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(counts.histories, 1_000);
}

/// By the operating system's clock: instants are known only from the answers.
#[tokio::test]
async fn concurrent_histories_by_a_running_clock_are_linearizable() {
    let store = MemoryStore::builder().clock(SystemClock).build();
    let checked = concurrent::check(
        &under(store, None),
        500,
        Schedule::Interleaved,
        fresh_seed(),
    )
    .await;
    let counts = checked.unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(counts.histories, 500);
}

async fn is_caught(fault: Split) {
    let checked =
        concurrent::check(&split(fault), 1_000, Schedule::Interleaved, fresh_seed()).await;
    let found = checked.expect_err("a store that takes two steps is caught");
    println!("{found}");
}

#[tokio::test]
async fn an_unlocked_read_modify_write_is_caught() {
    is_caught(Split::Apply).await;
}

#[tokio::test]
async fn a_change_in_two_parts_is_caught() {
    is_caught(Split::Header).await;
}

#[tokio::test]
async fn a_look_before_an_insert_is_caught() {
    is_caught(Split::Create).await;
}

#[tokio::test]
async fn a_sign_in_that_decides_before_it_inserts_is_caught() {
    is_caught(Split::SignIn).await;
}

#[tokio::test]
async fn a_sign_in_that_makes_room_after_it_inserted_is_caught() {
    is_caught(Split::MakingRoom).await;
}

#[tokio::test]
async fn a_revoke_that_raises_the_fence_last_is_caught() {
    is_caught(Split::Revoke).await;
}

#[tokio::test]
async fn a_clock_read_before_the_step_is_caught() {
    is_caught(Split::Clock).await;
}

#[tokio::test]
async fn a_dropped_call_on_the_memory_store_happens_whole_or_not_at_all() {
    let seed = given_seed().unwrap_or_else(fresh_seed);
    let drops = dropped::check(&memory(), seed).await;
    let drops = drops.unwrap_or_else(|found| panic!("{found}"));
    println!("{drops:#?}");
    for name in dropped::DROPPED {
        let [not, happened] = drops.get(name).copied().unwrap_or_default();
        assert!(
            not > 0 && happened > 0,
            "{name} was dropped {not} and {happened} times"
        );
    }
}

#[tokio::test]
async fn a_dropped_call_by_a_running_clock_happens_whole_or_not_at_all() {
    let store = MemoryStore::builder().clock(SystemClock).build();
    let drops = dropped::check(&under(store, None), fresh_seed()).await;
    let drops = drops.unwrap_or_else(|found| panic!("{found}"));
    assert!(drops.values().all(|[_, happened]| *happened > 0));
}

async fn half_a_call_is_caught(fault: Split) {
    let checked = dropped::check(&split(fault), fresh_seed()).await;
    let found = checked.expect_err("a call that stops half-way is caught");
    println!("{found}");
}

#[tokio::test]
async fn half_a_change_is_caught() {
    half_a_call_is_caught(Split::Header).await;
}

#[tokio::test]
async fn half_a_sign_in_is_caught() {
    half_a_call_is_caught(Split::MakingRoom).await;
}

#[tokio::test]
async fn half_a_revoke_is_caught() {
    half_a_call_is_caught(Split::Revoke).await;
}
