//! A node's process: it does what its standard input says, line by line, and answers on its standard
//! output.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{ClusterContender, Replicated};
use crate::stopwatch::{Stopwatch, wall_micros};
use crate::weight::resident;

/// What a node is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSetup {
    /// Which node of the cluster it is, from zero.
    pub number: usize,
    /// The addresses of those that were started before.
    pub joins: Vec<String>,
    /// Where others reach it, if not where it listens.
    pub advertise: Option<SocketAddr>,
    /// Whether a write returns once another node has it; else at once.
    pub waits: bool,
    /// The authority's certificate, the node's own, and its key, for the name [`NAME`](Self::NAME).
    pub tls: [String; 3],
    /// Who is told of writes.
    #[serde(skip)]
    pub seen: Seen,
    pub(crate) contender: String,
}

impl NodeSetup {
    /// The cluster's name.
    pub const NAME: &'static str = "bench.internal";
    /// How large sessions are.
    pub const BYTES: usize = 200;
}

/// The writes of others that a node has come to know, and when.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Vec<(u64, u64)>>>);

impl Seen {
    /// Notes that the write of this value is here.
    pub fn note(&self, value: &str) {
        // What is no number was written for something else.
        if let Ok(number) = value.trim_matches('"').trim_start_matches('0').parse() {
            self.0.lock().push((number, wall_micros()));
        }
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.0.lock())
    }
}

/// What a node is told to do. Times are microseconds by the wall clock that all processes share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To wait until it holds what the others hold.
    Ready,
    /// To make so many sessions.
    Make(usize),
    /// To write value after value, from 1 on, at most one a millisecond, each to another session. Answers
    /// when each began.
    Write(usize),
    /// To wait until so many writes of others were seen, or some of them must be lost. Answers which and
    /// when.
    Seen(usize),
    /// To write for so long with 64 in flight. Answers how many in how many seconds.
    Flood(Duration),
    /// The same, until so many are written.
    FloodCount(usize),
    /// To write one after the other. Answers the seconds that each took.
    Latencies(usize),
    /// To touch so many sessions.
    Touch(usize),
    /// To end so many sessions.
    End(usize),
    /// Bytes that are resident.
    Resident,
    /// To wait until so many others are reached.
    Met(usize),
    /// To wait until just so many others are reached. Answers when.
    Peers(usize),
    /// To wait until just so many sessions are held. Answers when.
    Sessions(usize),
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Open(String),
    Done,
    At(u64),
    Times(Vec<u64>),
    Seconds(Vec<f64>),
    Marks(Vec<(u64, u64)>),
    Rate(usize, f64),
    Bytes(usize),
}

/// What was not seen for so long counts as seen then.
pub(super) const LOST: Duration = Duration::from_secs(30);
/// Calls at once, where many are in flight.
const IN_FLIGHT: usize = 64;
/// Of a value that is written: as long as an entry of a small session.
const VALUE: usize = 45;

/// The JSON text of `VALUE` bytes that stands for a number.
fn value(number: usize) -> String {
    format!("\"{number:0width$}\"", width = VALUE - 2)
}

/// Is a node until standard input ends.
pub(crate) async fn serve(contenders: &[ClusterContender]) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let Some(line) = lines.next_line().await.unwrap() else {
        return;
    };
    let setup: NodeSetup = serde_json::from_str(&line).unwrap();
    let seen = setup.seen.clone();
    let contender = contenders.iter().find(|it| it.name == setup.contender);
    let node: Arc<dyn Replicated> = Arc::from((contender.unwrap().open)(setup).await);
    let mut made = 0;
    answer(&Reply::Open(node.address()));
    while let Some(line) = lines.next_line().await.unwrap() {
        let order = serde_json::from_str(&line).unwrap();
        answer(&obey(&node, &seen, order, &mut made).await);
    }
}

/// Whoever started this node is gone if it fails, and so is the node in a moment.
fn answer(reply: &Reply) {
    println!("{}", serde_json::to_string(reply).unwrap());
}

async fn obey(node: &Arc<dyn Replicated>, seen: &Seen, order: Order, made: &mut usize) -> Reply {
    match order {
        Order::Ready => {
            node.ready().await;
            Reply::Done
        }
        Order::Make(count) => {
            let first = *made;
            *made += count;
            each(node, count, move |node, at| async move {
                node.make(first + at).await;
            })
            .await;
            Reply::Done
        }
        Order::Write(count) => {
            let mut ticks = interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut times = Vec::with_capacity(count);
            for number in 0..count {
                let value = value(number + 1);
                ticks.tick().await;
                times.push(wall_micros());
                node.write(number % *made, &value).await;
            }
            Reply::Times(times)
        }
        Order::Seen(count) => {
            // Not all that is compared here loses nothing.
            let _ = timeout(LOST, until(|| seen.len() >= count)).await;
            Reply::Marks(seen.take())
        }
        Order::Flood(time) => flood(node, *made, usize::MAX, time).await,
        Order::FloodCount(count) => flood(node, *made, count, Duration::MAX).await,
        Order::Latencies(count) => {
            let mut seconds = Vec::with_capacity(count);
            for number in 0..count {
                let value = value(number + 1);
                let call = Stopwatch::start();
                node.write(number % *made, &value).await;
                seconds.push(call.seconds());
            }
            Reply::Seconds(seconds)
        }
        Order::Touch(count) => {
            each(node, count, |node, at| async move { node.touch(at).await }).await;
            Reply::Done
        }
        Order::End(count) => {
            each(node, count, |node, at| async move { node.end(at).await }).await;
            Reply::Done
        }
        Order::Resident => Reply::Bytes(resident()),
        Order::Met(count) => Reply::At(until(|| node.peers() >= count).await),
        Order::Peers(count) => Reply::At(until(|| node.peers() == count).await),
        Order::Sessions(count) => Reply::At(until(|| node.sessions() == count).await),
    }
}

/// Does something with the numbers below `count`, many at once.
async fn each<F: Future<Output = ()> + Send + 'static>(
    node: &Arc<dyn Replicated>,
    count: usize,
    act: impl Fn(Arc<dyn Replicated>, usize) -> F + Send + Sync + 'static,
) {
    let (next, act) = (Arc::new(AtomicUsize::new(0)), Arc::new(act));
    let workers = (0..IN_FLIGHT).map(|_| {
        let (node, next, act) = (Arc::clone(node), Arc::clone(&next), Arc::clone(&act));
        tokio::spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    break;
                }
                act(Arc::clone(&node), at).await;
                tokio::task::consume_budget().await;
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
}

async fn flood(node: &Arc<dyn Replicated>, sessions: usize, count: usize, time: Duration) -> Reply {
    let start = Stopwatch::start();
    let done = Arc::new(AtomicUsize::new(0));
    let workers = (0..IN_FLIGHT).map(|worker| {
        let (node, done) = (Arc::clone(node), Arc::clone(&done));
        tokio::spawn(async move {
            let mut at = worker;
            while start.seconds() < time.as_secs_f64() {
                if done.fetch_add(1, Ordering::Relaxed) >= count {
                    done.fetch_sub(1, Ordering::Relaxed);
                    break;
                }
                // Values that no one waits for.
                node.write(at % sessions, &value(0)).await;
                at += IN_FLIGHT;
                tokio::task::consume_budget().await;
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    Reply::Rate(done.load(Ordering::Relaxed), start.seconds())
}

/// Waits for it, looking every half millisecond. Says when it was so.
async fn until(is_so: impl Fn() -> bool) -> u64 {
    while !is_so() {
        sleep(Duration::from_micros(500)).await;
    }
    wall_micros()
}
