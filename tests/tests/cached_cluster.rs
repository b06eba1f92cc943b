//! The suite on two caches in front of a cluster of one node, by a test clock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cached;

use std::process::ExitCode;

use session_conformance::Suite;
use session_core::{Consistency, ManualClock};
use store_cluster::ClusterStore;

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    Suite::new(move || cached::open(by.clone(), two))
        .neighbour(move || cached::open(neighbour_by.clone(), two))
        .consistency(Consistency::Eventual)
        .clock(clock)
        .main()
}

async fn two(clock: ManualClock) -> [ClusterStore; 2] {
    let builder = ClusterStore::builder("one")
        .listen("127.0.0.1:0")
        .clock(clock);
    let store = builder.insecure_plaintext().start().await.unwrap();
    store.ready().await;
    [store.clone(), store]
}
