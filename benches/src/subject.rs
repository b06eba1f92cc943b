//! What is measured, behind one trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use crate::numbers::Numbers;
use crate::payload::Payload;
use crate::stopwatch::Stopwatch;

/// A store of sessions, a floor that one stands on, or somebody else's store, filled with sessions.
///
/// Numbers of sessions count from zero. A call that fails stops the run: what is not done is not timed.
pub trait Subject: Send + Sync + 'static {
    /// Makes session number `at`, to be found under that number.
    fn prepare(&self, at: usize) -> impl Future<Output = ()> + Send;

    /// Loads a session.
    fn load(&self, at: usize) -> impl Future<Output = ()> + Send;

    /// Writes one small entry of a session, of which the caller holds what a load gave.
    fn write(&self, at: usize, value: usize) -> impl Future<Output = ()> + Send;

    /// Makes one more session, with an id and a secret of its own.
    fn create(&self) -> impl Future<Output = ()> + Send;
}

/// One verb of a [`Subject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// [`Subject::load`].
    Load,
    /// [`Subject::write`].
    Write,
    /// [`Subject::create`].
    Create,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Load, Self::Write, Self::Create];

    /// Its name in tables and filters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Write => "write",
            Self::Create => "create",
        }
    }
}

/// What one subject is asked to do in one round.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Which verb.
    pub operation: Operation,
    /// By how many tasks at once.
    pub in_flight: usize,
    /// For how long.
    pub time: Duration,
    /// How many calls a task makes before it looks at the time and lets others run.
    pub burst: usize,
    /// Which sessions, in which order.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls a second.
    pub rate: f64,
    /// Seconds that single calls took, one of eight of them; with one in flight only.
    pub latencies: Vec<f64>,
}

/// Something filled that can be ordered about: any [`Subject`].
pub trait Filled: Send + Sync {
    /// Carries out an order.
    fn run(&self, order: Order) -> BoxFuture<'static, Outcome>;
}

/// A way to open a subject on fresh ground.
pub struct Contender {
    /// Its name in tables.
    pub name: &'static str,
    /// What it is compared as.
    pub role: Role,
    /// Opens and fills it.
    pub open: Open,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Opens a subject and fills it.
pub type Open = Box<dyn Fn(Ground) -> BoxFuture<'static, Box<dyn Filled>> + Send + Sync>;

/// What a contender is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A store of this workspace.
    Ours,
    /// What a store stands on, with nothing around it.
    Floor,
    /// Somebody else's published store.
    Peer,
}

/// Where and with what a subject is filled.
#[derive(Clone, Debug)]
pub struct Ground {
    /// How many sessions it holds before it is measured.
    pub sessions: usize,
    /// What each of them holds.
    pub payload: Arc<Payload>,
    /// The server's URL, if there is one.
    pub url: String,
}

impl Contender {
    /// A contender that `open` opens.
    pub fn new<S, F>(
        name: &'static str,
        role: Role,
        open: impl Fn(Ground) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: Subject,
        F: Future<Output = S> + Send + 'static,
    {
        let open: Open = Box::new(move |ground| {
            let sessions = ground.sessions;
            let opening = open(ground);
            Box::pin(async move {
                let filled = Measured {
                    subject: Arc::new(opening.await),
                    sessions,
                };
                filled.fill().await;
                Box::new(filled) as Box<dyn Filled>
            })
        });
        Self { name, role, open }
    }
}

struct Measured<S> {
    subject: Arc<S>,
    sessions: usize,
}

/// How many sessions are made at once before anything is measured.
const FILLERS: usize = 64;
/// One of how many calls has its latency taken.
const SAMPLED: u32 = 8;

impl<S: Subject> Measured<S> {
    async fn fill(&self) {
        let next = Arc::new(AtomicUsize::new(0));
        let fillers = (0..FILLERS).map(|_| {
            let (subject, next, sessions) =
                (Arc::clone(&self.subject), Arc::clone(&next), self.sessions);
            tokio::spawn(async move {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= sessions {
                        break;
                    }
                    subject.prepare(at).await;
                }
            })
        });
        for filler in join_all(fillers).await {
            filler.unwrap();
        }
    }
}

impl<S: Subject> Filled for Measured<S> {
    fn run(&self, order: Order) -> BoxFuture<'static, Outcome> {
        let (subject, sessions) = (Arc::clone(&self.subject), self.sessions);
        Box::pin(async move {
            let start = Stopwatch::start();
            let workers = (0..order.in_flight).map(|worker| {
                let numbers = Numbers::from_seed(order.seed.wrapping_add(worker as u64 * 7919));
                tokio::spawn(work(Arc::clone(&subject), sessions, order, numbers))
            });
            let (mut calls, mut latencies) = (0, Vec::new());
            for done in join_all(workers).await {
                let (count, mut seen) = done.unwrap();
                calls += count;
                latencies.append(&mut seen);
            }
            Outcome {
                rate: f64::from(calls) / start.seconds(),
                latencies,
            }
        })
    }
}

async fn work<S: Subject>(
    subject: Arc<S>,
    sessions: usize,
    order: Order,
    mut numbers: Numbers,
) -> (u32, Vec<f64>) {
    let start = Stopwatch::start();
    let (mut calls, mut latencies) = (0_u32, Vec::new());
    let takes_latencies = order.in_flight == 1;
    while start.seconds() < order.time.as_secs_f64() {
        for _ in 0..order.burst {
            let at = numbers.below(sessions);
            let sampled = takes_latencies && calls.is_multiple_of(SAMPLED);
            let call = sampled.then(Stopwatch::start);
            match order.operation {
                Operation::Load => subject.load(at).await,
                Operation::Write => subject.write(at, numbers.below(1_000_000)).await,
                Operation::Create => subject.create().await,
            }
            latencies.extend(call.map(|call| call.seconds()));
            calls += 1;
        }
        tokio::task::yield_now().await;
    }
    (calls, latencies)
}
