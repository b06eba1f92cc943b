//! Sessions that every node of a cluster holds: our store, what it stands on, and somebody else's, each
//! node a process of its own on this machine.

mod faults;
mod figure;
mod floor;
mod node;
mod ours;
mod process;
mod proxy;
mod speed;
mod wire;

use std::path::Path;

use futures_util::future::BoxFuture;

pub use figure::ClusterRow;
pub(crate) use figure::{Figure, row};
pub(crate) use node::serve;
pub use node::{NodeSetup, Seen};

use crate::group::Filter;
use crate::numbers::Numbers;
use crate::subject::Role;

/// The name of this group in filters.
pub const CLUSTER: &str = "cluster";

/// One node of a cluster that holds every session.
///
/// Numbers of sessions count from zero, and are those of this node: it changes only what it made. A call
/// that fails stops the run.
#[async_trait::async_trait]
pub trait Replicated: Send + Sync {
    /// Where others find it, in words of its own.
    fn address(&self) -> String;
    /// Waits until it holds what the others hold.
    async fn ready(&self);
    /// How many other nodes are reached.
    fn peers(&self) -> usize;
    /// How many sessions it holds.
    fn sessions(&self) -> usize;
    /// Makes session number `number`.
    async fn make(&self, number: usize);
    /// Changes one entry of a session to this JSON text. Every other node tells [`Seen`] of it.
    async fn write(&self, number: usize, value: &str);
    /// Notes that a session was used.
    async fn touch(&self, number: usize);
    /// Ends a session.
    async fn end(&self, number: usize);
}

/// A way to start nodes.
pub struct ClusterContender {
    /// Its name in tables.
    pub name: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// Whether it keeps sessions; else it only carries them.
    pub keeps: bool,
    /// Whether a write can wait until another node has it.
    pub acknowledges: bool,
    /// Starts a node.
    pub open: fn(NodeSetup) -> BoxFuture<'static, Box<dyn Replicated>>,
}

impl std::fmt::Debug for ClusterContender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterContender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ClusterContender {
    /// Our store and the floor that it stands on.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![ours::store_cluster(), floor::tls()]
    }
}

/// How long and how large a run is.
#[derive(Clone, Copy, Debug)]
pub struct ClusterLength {
    rounds: usize,
    /// Numbers of nodes among which writes are propagated.
    nodes: [usize; 3],
    /// Writes of one round of propagation, or of latencies.
    writes: usize,
    /// Seconds that one round of writes without a pause takes.
    flood: u64,
    /// Sessions that a new node learns.
    bootstrap: usize,
    /// Sessions that a node misses while it is cut off.
    missed: usize,
    /// Updates, touches and ends of which the bytes are counted.
    counted: usize,
    /// Seconds for which an idle cluster is listened to.
    idle: u64,
}

impl ClusterLength {
    /// For figures.
    pub const WHOLE: Self = Self {
        rounds: 3,
        nodes: [3, 5, 16],
        writes: 2_000,
        flood: 2,
        bootstrap: 1_000_000,
        missed: 100_000,
        counted: 5_000,
        idle: 10,
    };
    /// For a look.
    pub const QUICK: Self = Self {
        rounds: 1,
        nodes: [3, 5, 16],
        writes: 1_000,
        flood: 1,
        bootstrap: 100_000,
        missed: 20_000,
        counted: 2_000,
        idle: 4,
    };
    /// Only to see that it works.
    pub const SMOKE: Self = Self {
        rounds: 1,
        nodes: [2, 3, 3],
        writes: 20,
        flood: 1,
        bootstrap: 200,
        missed: 100,
        counted: 20,
        idle: 1,
    };
}

/// What every part of the measurement works with.
struct Run<'a> {
    contenders: &'a [ClusterContender],
    /// The program that is a node when it is told so.
    program: &'a Path,
    length: ClusterLength,
    authority: process::Authority,
}

/// Measures what the filter chooses. `program` must serve a node when its argument says so, as
/// [`Bench::main`](crate::Bench::main) does.
///
/// # Panics
///
/// When a node fails.
pub async fn measure_clusters(
    contenders: &[ClusterContender],
    program: &Path,
    filter: &Filter,
    length: ClusterLength,
    seed: u64,
) -> Vec<ClusterRow> {
    let run = Run {
        contenders,
        program,
        length,
        authority: process::Authority::new(),
    };
    let mut numbers = Numbers::from_seed(seed);
    let mut rows = Vec::new();
    let parts = [
        "propagation",
        "writes",
        "latency",
        "wire",
        "idle",
        "bootstrap",
        "tombstones",
        "heal",
        "failure",
    ];
    for part in parts {
        if !filter.chooses(&[CLUSTER, part]) {
            continue;
        }
        eprintln!("{CLUSTER}/{part}");
        rows.extend(match part {
            "propagation" => speed::propagation(&run, &mut numbers).await,
            "writes" => speed::writes(&run, &mut numbers).await,
            "latency" => speed::latency(&run, &mut numbers).await,
            "wire" => wire::counted(&run).await,
            "idle" => wire::idle(&run).await,
            "bootstrap" => faults::bootstrap(&run).await,
            "tombstones" => faults::tombstones(&run).await,
            "heal" => faults::heal(&run).await,
            _ => faults::failure(&run).await,
        });
    }
    rows
}
