//! The suite on a cluster of one node, by a test clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::ExitCode;

use session_conformance::{Opened, Suite};
use session_core::{Consistency, ManualClock};
use store_cluster::{ClusterStore, ClusterStoreBuilder};

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let builder = {
        let clock = clock.clone();
        move |name| {
            ClusterStore::builder(name)
                .listen("127.0.0.1:0")
                .clock(clock.clone())
        }
    };
    let (neighbour, bounded) = (builder.clone(), builder.clone());
    Suite::new(move || {
        let store = started(builder("one"));
        async move {
            let store = store.await;
            Opened::from(store.clone()).with_handle(store)
        }
    })
    .neighbour(move || started(neighbour("another")))
    .bounded(move |max| started(bounded("bounded").max_sessions(max)))
    .consistency(Consistency::Eventual)
    .clock(clock)
    .main()
}

async fn started(builder: ClusterStoreBuilder) -> ClusterStore {
    let store = builder.insecure_plaintext().start().await.unwrap();
    store.ready().await;
    store
}
