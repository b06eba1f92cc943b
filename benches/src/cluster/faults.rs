//! Nodes that come, go, and come back.

use std::time::Duration;

use tokio::time::sleep;

use super::node::{Order, Reply};
use super::process::{Node, Options};
use super::proxy::Cable;
use super::speed::milliseconds;
use super::wire::cabled;
use super::{ClusterRow, Figure, Run, row};
use crate::stopwatch::{Stopwatch, wall_micros};
use crate::subject::Role;

/// Seconds until a new node holds what another holds; a million sessions ours alone, since others take
/// minutes to make them.
pub(super) async fn bootstrap(run: &Run<'_>) -> Vec<ClusterRow> {
    let mut rows = Vec::new();
    for (figure, count) in [
        (Figure::Bootstrap, run.length.bootstrap),
        (Figure::BootstrapOfTenth, run.length.bootstrap / 10),
    ] {
        let is_tenth = figure == Figure::BootstrapOfTenth;
        for contender in run.keepers().filter(|it| is_tenth || it.role == Role::Ours) {
            let mut nodes = run.cluster(contender, 1, Options::default()).await;
            nodes[0].order(Order::Make(count)).await;
            let watch = Stopwatch::start();
            let mut new = run.join(contender, &nodes, Options::default()).await;
            new.at(Order::Sessions(count)).await;
            rows.push(row(figure, contender, vec![watch.seconds()]));
        }
    }
    rows
}

/// Bytes that each remembered end takes in a node that learned of it.
pub(super) async fn tombstones(run: &Run<'_>) -> Vec<ClusterRow> {
    let (contender, count) = (run.ours(), run.length.bootstrap);
    let mut nodes = run.cluster(contender, 1, Options::default()).await;
    let empty = learned(run, &nodes).await;
    nodes[0].order(Order::Make(count)).await;
    nodes[0].order(Order::End(count)).await;
    let full = learned(run, &nodes).await;
    let each = f64::from(u32::try_from(count).unwrap());
    let bytes = (full - empty).max(0.0) / each;
    vec![row(Figure::Tombstone, contender, vec![bytes])]
}

/// Resident bytes of a node that has just learned all that the others know.
async fn learned(run: &Run<'_>, nodes: &[Node]) -> f64 {
    let mut new = run.join(run.ours(), nodes, Options::default()).await;
    match new.order(Order::Resident).await {
        Reply::Bytes(bytes) => f64::from(u32::try_from(bytes).unwrap()),
        other => panic!("{other:?} is no size"),
    }
}

/// Seconds until a node that was cut off has what it missed.
pub(super) async fn heal(run: &Run<'_>) -> Vec<ClusterRow> {
    let (mut nodes, proxies) = cabled(run, run.ours(), 2).await;
    let turn = |cable| proxies.iter().for_each(|proxy| proxy.turn(cable));
    turn(Cable::Unplugged);
    nodes[1].at(Order::Peers(0)).await;
    nodes[1].order(Order::Make(run.length.missed)).await;
    let healed = wall_micros();
    turn(Cable::Whole);
    let at = nodes[0].at(Order::Sessions(run.length.missed)).await;
    let seconds = milliseconds(healed, at) / 1e3;
    vec![row(Figure::Heal, run.ours(), vec![seconds])]
}

/// How long it takes until nodes notice that another is gone.
pub(super) async fn failure(run: &Run<'_>) -> Vec<ClusterRow> {
    let contender = run.ours();
    let mut rows = Vec::new();
    for (figure, signal, unit) in [(Figure::Killed, "-KILL", 1.0), (Figure::Hung, "-STOP", 1e3)] {
        let mut nodes = run.cluster(contender, 3, Options::default()).await;
        let since = wall_micros();
        nodes[2].signal(signal);
        let at = nodes[0].at(Order::Peers(1)).await;
        let last = nodes[1].at(Order::Peers(1)).await.max(at);
        rows.push(row(
            figure,
            contender,
            vec![milliseconds(since, last) / unit],
        ));
    }
    let (mut nodes, proxies) = cabled(run, contender, 2).await;
    sleep(Duration::from_millis(500)).await;
    let since = wall_micros();
    proxies.iter().for_each(|proxy| proxy.turn(Cable::Silent));
    let at = nodes[0].at(Order::Peers(0)).await;
    let last = nodes[1].at(Order::Peers(0)).await.max(at);
    let seconds = milliseconds(since, last) / 1e3;
    rows.push(row(Figure::Partitioned, contender, vec![seconds]));
    rows
}
