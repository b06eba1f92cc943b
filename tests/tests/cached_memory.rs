//! The suite on two caches in front of one store in memory, by a test clock.

mod cached;

use std::process::ExitCode;

use session_conformance::Suite;
use session_core::ManualClock;
use store_memory::{MemoryStore, MemoryStoreBuilder};

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by, bounded_by) = (clock.clone(), clock.clone(), clock.clone());
    Suite::new(move || cached::open(by.clone(), two))
        .neighbour(move || cached::open(neighbour_by.clone(), two))
        .bounded(move |max| {
            let clock = bounded_by.clone();
            async move { cached::cached(builder(&clock).max_sessions(max).build(), &clock) }
        })
        .clock(clock)
        .main()
}

async fn two(clock: ManualClock) -> [MemoryStore; 2] {
    let store = builder(&clock).build();
    [store.clone(), store]
}

fn builder(clock: &ManualClock) -> MemoryStoreBuilder {
    MemoryStore::builder().clock(clock.clone())
}
