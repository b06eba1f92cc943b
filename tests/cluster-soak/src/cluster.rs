//! The nodes, as they come and go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use session_core::{Clock as _, SystemClock};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::authority;
use crate::moment::now;
use crate::network::{Network, address};
use crate::order::{Answer, Order, Standing};
use crate::process::Process;

/// How many nodes there are.
pub(crate) const NODES: usize = 5;
/// How long it may take until a cluster that nothing is done to is whole again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(180);
/// How often it is looked whether something is so.
const LOOK: Duration = Duration::from_millis(20);
/// How long a node on a busy machine may take to sum up all its sessions.
const SUMMING_UP: Duration = Duration::from_secs(60);
/// What a node logs when what it hears of the others cannot be.
const ALARM: &str = "ERROR store_cluster::node:";
/// A node reads its clock at most so long after its process was made, in milliseconds.
const STARTING: u64 = 1_000;
const PORT: u16 = 7001;

/// Five nodes on one network.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// What goes wrong between them.
    pub(crate) network: Network,
    program: PathBuf,
    folder: TempDir,
    /// Whether changes wait for no other node.
    is_local: bool,
    seats: Vec<Seat>,
    lives: AtomicU64,
    peak_memory: AtomicU64,
}

/// A node, through all its lives.
#[derive(Debug, Default)]
struct Seat {
    process: Mutex<Option<Arc<Process>>>,
    /// Whether it is given work.
    is_served: AtomicBool,
    clock: AtomicI64,
    /// When it was last started, by its clock.
    started: AtomicU64,
    /// The highest wire version that its next life speaks; 0 is all.
    wire: AtomicU8,
}

impl Cluster {
    /// Starts all nodes, with `program` as what a node is.
    ///
    /// # Errors
    ///
    /// If one does not start, or they do not come together.
    pub(crate) async fn start(
        program: PathBuf,
        is_local: bool,
        wire: Option<u8>,
    ) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("cluster-soak-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        authority::certify(folder.path(), NODES)?;
        let cluster = Self {
            network: Network::make(NODES, Some(folder.path())).await?,
            program,
            folder,
            is_local,
            seats: (0..NODES).map(|_| Seat::default()).collect(),
            lives: AtomicU64::new(0),
            peak_memory: AtomicU64::new(0),
        };
        for node in 0..NODES {
            cluster.speaks(node, wire);
            cluster.spawn(node)?;
        }
        for node in 0..NODES {
            cluster.joined(node).await?;
        }
        Ok(cluster)
    }

    /// From its next life on a node speaks no later version than this.
    pub(crate) fn speaks(&self, node: usize, wire: Option<u8>) {
        let wire = wire.unwrap_or_default();
        self.seats[node].wire.store(wire, Ordering::Relaxed);
    }

    fn spawn(&self, node: usize) -> Result<(), String> {
        let seat = &self.seats[node];
        let folder = self.folder.path();
        let mut command = self.network.command(node, &self.program);
        command.args(["node", "--name", &format!("node{node}")]);
        command.args(["--listen", &format!("{}:{PORT}", address(node))]);
        for other in 0..NODES {
            command.args(["--seed", &format!("{}:{PORT}", address(other))]);
        }
        command.arg("--authority").arg(authority::authority(folder));
        let certificate = authority::certificate(folder, node);
        command.arg("--certificate").arg(certificate);
        command
            .arg("--key")
            .arg(authority::secret_key(folder, node));
        command.args(["--clock", &seat.clock.load(Ordering::Relaxed).to_string()]);
        if self.is_local {
            command.arg("--local");
        }
        match seat.wire.load(Ordering::Relaxed) {
            0 => {}
            wire => drop(command.args(["--wire", &wire.to_string()])),
        }
        let life = self.lives.fetch_add(1, Ordering::Relaxed) + 1;
        let process = Process::start(command, life, &self.log(node))?;
        seat.started
            .store(self.time_of(node) + STARTING, Ordering::Relaxed);
        *seat.process.lock() = Some(Arc::new(process));
        Ok(())
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("node{node}.log"))
    }

    /// Waits until a node holds what the others hold, and gives it work.
    async fn joined(&self, node: usize) -> Result<(), String> {
        let is_ready = async |process: &Process| {
            let standing = process.call(Order::Standing).await;
            matches!(standing, Ok(Answer::Standing(standing)) if standing.is_ready)
        };
        let begun = now();
        let process = self.process(node).ok_or("it was not started")?;
        while !is_ready(&process).await {
            if process.is_over() || begun.elapsed() > RECOVERY {
                let log = std::fs::read_to_string(self.log(node)).unwrap_or_default();
                return Err(format!("node {node} is not ready: {log}"));
            }
            sleep(LOOK).await;
        }
        self.seats[node].is_served.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn process(&self, node: usize) -> Option<Arc<Process>> {
        self.seats[node].process.lock().clone()
    }

    /// The process that serves, if one does.
    #[must_use]
    pub(crate) fn serving(&self, node: usize) -> Option<Arc<Process>> {
        let is_served = self.seats[node].is_served.load(Ordering::Relaxed);
        self.process(node).filter(|_| is_served)
    }

    /// Kills a node.
    pub(crate) async fn kill(&self, node: usize) -> Result<(), String> {
        let seat = &self.seats[node];
        let process = seat.process.lock().take().ok_or("it does not run")?;
        self.note_memory(&process);
        process.kill().await?;
        seat.is_served.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Starts a node that was ended, with an empty memory.
    pub(crate) async fn start_again(&self, node: usize) -> Result<(), String> {
        // One whose clock stands before its former start would be refused.
        while self.time_of(node) <= self.seats[node].started.load(Ordering::Relaxed) {
            sleep(LOOK).await;
        }
        self.spawn(node)?;
        self.joined(node).await
    }

    /// A node's clock.
    fn time_of(&self, node: usize) -> u64 {
        let offset = self.seats[node].clock.load(Ordering::Relaxed);
        SystemClock.now().shifted(offset).as_millis()
    }

    /// Has a node leave in peace, and starts it again.
    pub(crate) async fn renew(&self, node: usize) -> Result<(), String> {
        let seat = &self.seats[node];
        seat.is_served.store(false, Ordering::Relaxed);
        // What was sent before is answered by then.
        sleep(Duration::from_millis(100)).await;
        let process = seat.process.lock().take().ok_or("it does not run")?;
        self.note_memory(&process);
        // One that the others do not acknowledge in time has left all the same.
        let _ = process.call(Order::Leave).await;
        process.ended(RECOVERY).await?;
        self.start_again(node).await
    }

    /// Lets a node stand still for so long.
    pub(crate) async fn pause(&self, node: usize, time: Duration) -> Result<(), String> {
        let process = self.process(node).ok_or("it does not run")?;
        process.signal("STOP").await?;
        sleep(time).await;
        process.signal("CONT").await
    }

    /// Sets a node's clock off by so many milliseconds, and all others right.
    pub(crate) async fn step_clock(&self, node: usize, offset: i64) -> Result<(), String> {
        for (other, seat) in self.seats.iter().enumerate() {
            let offset = if other == node { offset } else { 0 };
            if seat.clock.swap(offset, Ordering::Relaxed) != offset {
                let process = self.process(other).ok_or("it does not run")?;
                let stepped = process.call(Order::Clock { offset }).await;
                stepped.map_err(|error| format!("the clock of node {other}: {error:?}"))?;
            }
        }
        Ok(())
    }

    /// How far all nodes have come; `None` while one does not answer or is not ready.
    pub(crate) async fn standings(&self) -> Option<Vec<Standing>> {
        let asked = (0..NODES).map(async |node| {
            let process = self.process(node)?;
            match process.call(Order::Standing).await {
                Ok(Answer::Standing(standing)) if standing.is_ready => Some(standing),
                _ => None,
            }
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Waits until everything that any node has by now is on all of them; says how long that took.
    ///
    /// # Errors
    ///
    /// If it takes too long.
    pub(crate) async fn spread(&self) -> Result<Duration, String> {
        let begun = now();
        let mut goal: Option<BTreeMap<u64, u64>> = None;
        let mut last = None;
        while begun.elapsed() < RECOVERY {
            if let Some(standings) = self.standings().await {
                let goal = goal.get_or_insert_with(|| greatest(&standings));
                if standings.iter().all(|it| has_reached(it, goal)) {
                    return Ok(begun.elapsed());
                }
                last = Some(standings);
            }
            sleep(LOOK).await;
        }
        Err(format!(
            "not everywhere after {RECOVERY:?}: {goal:?}, {last:?}"
        ))
    }

    /// Waits until all nodes hold the same, which they do once nobody asks anything of them; says how long
    /// that took.
    ///
    /// # Errors
    ///
    /// If it takes too long.
    pub(crate) async fn at_rest(&self) -> Result<Duration, String> {
        let begun = now();
        let mut last = Vec::new();
        while begun.elapsed() < RECOVERY {
            let margin = SUMMING_UP * 2;
            let after = (SystemClock.now() + margin).as_millis();
            let asked = (0..NODES).map(async |node| {
                let process = self.process(node)?;
                match process.call_for(Order::Digest { after }, SUMMING_UP).await {
                    Ok(Answer::Digest(digest)) => Some(digest),
                    _ => None,
                }
            });
            let digests = join_all(asked).await;
            if digests.iter().all(|it| it.is_some() && it == &digests[0]) {
                return Ok(begun.elapsed());
            }
            last = digests;
            sleep(LOOK).await;
        }
        Err(format!("the nodes do not come to hold the same: {last:?}"))
    }

    /// What nodes logged that must never be: that what they hold differs, or a panic.
    #[must_use]
    pub(crate) fn alarms(&self) -> Vec<String> {
        let logs = (0..NODES).map(|node| (node, std::fs::read_to_string(self.log(node))));
        logs.flat_map(|(node, log)| {
            let log = log.unwrap_or_default();
            let lines = log
                .lines()
                .filter(|line| line.contains(ALARM) || line.contains("panicked"));
            lines
                .map(|line| format!("node {node}: {line}"))
                .collect::<Vec<_>>()
        })
        .collect()
    }

    fn note_memory(&self, process: &Process) {
        let peak = process.peak_memory();
        self.peak_memory.fetch_max(peak, Ordering::Relaxed);
    }

    /// The most memory that any node had, in kibibytes.
    #[must_use]
    pub(crate) fn peak_memory(&self) -> u64 {
        for node in 0..NODES {
            if let Some(process) = self.process(node) {
                self.note_memory(&process);
            }
        }
        self.peak_memory.load(Ordering::Relaxed)
    }
}

fn greatest(standings: &[Standing]) -> BTreeMap<u64, u64> {
    let mut greatest = BTreeMap::new();
    for (life, number) in standings.iter().flat_map(|it| &it.known) {
        let known = greatest.entry(*life).or_default();
        *known = (*number).max(*known);
    }
    greatest
}

fn has_reached(standing: &Standing, goal: &BTreeMap<u64, u64>) -> bool {
    goal.iter().all(|(life, number)| {
        let known = standing.known.get(life).copied().unwrap_or_default();
        known >= *number
    })
}
