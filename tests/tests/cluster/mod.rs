//! Nodes of a cluster in one process, for tests.

pub(crate) mod authority;

use std::time::Duration;

use store_cluster::ClusterStore;

/// Waits until every node has a link to every other.
pub(crate) async fn are_linked(nodes: &[ClusterStore]) {
    let all = || {
        nodes.iter().all(|node| {
            let members = node.members();
            let linked = members
                .iter()
                .filter(|it| it.is_linked && it.is_up && it.is_ready);
            linked.count() + 1 == nodes.len()
        })
    };
    let waiting = async {
        while !all() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(
        waited.is_ok(),
        "{:#?}",
        nodes.iter().map(ClusterStore::members).collect::<Vec<_>>()
    );
}
