//! The suite on a cluster of three nodes, linked by TLS, where every call goes to another node than the one
//! before and returns once all have acknowledged it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cluster;
#[path = "cluster/turns.rs"]
mod turns;

use std::process::ExitCode;

use cluster::authority::Authority;
use session_conformance::Suite;
use session_core::{Consistency, ManualClock};
use std::sync::Arc;
use std::time::Duration;
use store_cluster::{ClusterStore, WriteAck};
use turns::Turns;

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let authority = Arc::new(Authority::new());
    let open = {
        let clock = clock.clone();
        move |cluster, max| three(Arc::clone(&authority), cluster, max, clock.clone())
    };
    let (neighbour, bounded) = (open.clone(), open.clone());
    Suite::new(move || open("sessions.test", usize::MAX))
        .neighbour(move || neighbour("others.test", usize::MAX))
        .bounded(move |max| bounded("bounded.test", max))
        .consistency(Consistency::Eventual)
        .across_nodes()
        .clock(clock)
        .main()
}

async fn three(
    authority: Arc<Authority>,
    cluster: &'static str,
    max: usize,
    clock: ManualClock,
) -> Turns {
    let mut nodes: Vec<ClusterStore> = Vec::new();
    for _ in 0..3 {
        let seeds: Vec<_> = nodes
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        let node = ClusterStore::builder(cluster)
            .listen("127.0.0.1:0")
            .seeds(seeds.iter().map(String::as_str))
            .credentials(authority.credentials(cluster))
            .clock(clock.clone())
            .max_sessions(max)
            .acknowledge(WriteAck::AllAlive)
            .acknowledge_touches(WriteAck::AllAlive)
            // The machine may be busy with other tests.
            .time_limit(Duration::from_secs(30))
            .start()
            .await
            .unwrap();
        node.ready().await;
        nodes.push(node);
    }
    cluster::are_linked(&nodes).await;
    Turns::new(nodes)
}
