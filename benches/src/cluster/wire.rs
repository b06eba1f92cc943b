//! What a cluster sends.

use std::time::Duration;

use tokio::time::sleep;

use super::node::Order;
use super::process::{Node, Options, met};
use super::proxy::Proxy;
use super::{ClusterContender, ClusterRow, Figure, Run, row};

/// Names and values of what an update sends anyway: the entry `visits`, 45 bytes long.
const UPDATE: f64 = 51.0;
/// Until what was done last has been sent, touches too.
const SETTLE: Duration = Duration::from_millis(2_500);

/// A cluster whose every connection runs over cables that count.
pub(super) async fn cabled(
    run: &Run<'_>,
    contender: &ClusterContender,
    count: usize,
) -> (Vec<Node>, Vec<Proxy>) {
    let (mut nodes, mut proxies) = (Vec::new(), Vec::<Proxy>::new());
    for _ in 0..count {
        let proxy = Proxy::start().await;
        let options = Options {
            advertise: Some(proxy.addr),
            waits: false,
        };
        let mut node = run.start(contender, &nodes, options).await;
        proxy.lead_to(node.address.parse().unwrap());
        node.order(Order::Ready).await;
        node.address = proxy.addr.to_string();
        nodes.push(node);
        proxies.push(proxy);
    }
    met(&mut nodes).await;
    (nodes, proxies)
}

/// Bytes to and from the first of two nodes. One of the two made the connections.
fn passed(proxies: &[Proxy]) -> [f64; 2] {
    let [to_first, from_first] = proxies[0].passed();
    let [to_second, from_second] = proxies[1].passed();
    let float = |bytes: usize| f64::from(u32::try_from(bytes).unwrap());
    [float(to_first + from_second), float(from_first + to_second)]
}

/// Bytes that an update, a touch and an end put on the wire between two nodes.
pub(super) async fn counted(run: &Run<'_>) -> Vec<ClusterRow> {
    let contender = run.ours();
    let count = run.length.counted;
    let each = f64::from(u32::try_from(count).unwrap());
    let (mut nodes, proxies) = cabled(run, contender, 2).await;
    nodes[1].order(Order::Make(count)).await;
    nodes[0].at(Order::Sessions(count)).await;
    sleep(SETTLE).await;
    let orders = [
        (Figure::UpdateBusy, Order::FloodCount(count)),
        (Figure::UpdateAlone, Order::Write(count)),
        (Figure::Touch, Order::Touch(count)),
        (Figure::End, Order::End(count)),
    ];
    let mut rows = Vec::new();
    for (figure, order) in orders {
        let watch = crate::stopwatch::Stopwatch::start();
        let before = passed(&proxies);
        nodes[1].order(order).await;
        sleep(SETTLE).await;
        let (after, time) = (passed(&proxies), watch.seconds());
        // As much as goes on while nothing happens is not its own.
        sleep(SETTLE).await;
        let idle = passed(&proxies);
        let share = time / SETTLE.as_secs_f64();
        let own = [0, 1].map(|way| {
            let own = after[way] - before[way] - (idle[way] - after[way]) * share;
            own.max(0.0) / each
        });
        rows.push(match figure {
            Figure::UpdateBusy | Figure::UpdateAlone => {
                row(figure, contender, vec![own[0] - UPDATE, own[1]])
            }
            _ => row(figure, contender, vec![own[0]]),
        });
    }
    rows
}

/// Bytes a second that each of many nodes sends while nothing happens.
pub(super) async fn idle(run: &Run<'_>) -> Vec<ClusterRow> {
    let count = run.length.nodes[2];
    let (_nodes, proxies) = cabled(run, run.ours(), count).await;
    sleep(SETTLE).await;
    let sent = || -> usize { proxies.iter().flat_map(Proxy::passed).sum() };
    let before = sent();
    sleep(Duration::from_secs(run.length.idle)).await;
    let bytes = f64::from(u32::try_from(sent() - before).unwrap());
    let nodes = f64::from(u32::try_from(count).unwrap());
    let seconds = Duration::from_secs(run.length.idle).as_secs_f64();
    vec![row(Figure::Idle, run.ours(), vec![bytes / nodes / seconds])]
}
