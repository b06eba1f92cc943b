//! Two processes of mixed load on one server, while that server and the way there fail at random.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use session_core::{SharedStore, TokenFormat};
use store_postgres::sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::event::{Event, Journal};
use crate::faults::Fault;
use crate::ledger::{Finding, Findings, Ledger};
use crate::proxy::Proxy;
use crate::recorded::{Recorded, now};
use crate::rng::Rng;
use crate::target::{Durability, Kind, Machine, open, prepare};
use crate::timed::Timed;
use crate::worker::{self, Load};

/// How long a call to a store may take here.
const LIMIT: Duration = Duration::from_secs(1);
/// How much longer it may take before it counts as hung: the machine may be busy with other things.
const GRACE: Duration = Duration::from_secs(4);
/// How long a store may take to work again.
const RECOVERY: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// On which kind of server.
    pub kind: Kind,
    /// What that server has after a crash.
    pub durability: Durability,
    /// For how long.
    pub length: Duration,
    /// What all that is random follows from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// What was found.
    pub findings: Findings,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Whether all is as it must be: nothing is broken, but by a server that itself lost what it had
    /// acknowledged, and then the ledger saw it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let findings = &self.findings;
        let damage = findings.count(Finding::Lost) + findings.count(Finding::Revived);
        match self.plan.durability {
            Durability::Lossless => findings.broken.is_empty(),
            Durability::Lossy => damage > 0 && damage == findings.broken.len(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        let seconds = plan.length.as_secs();
        let (kind, durability) = (plan.kind, plan.durability);
        writeln!(
            f,
            "{kind:?}, {durability:?}, {seconds} s, seed {}",
            plan.seed
        )?;
        writeln!(f, "  faults: {:?}", self.faults)?;
        write!(f, "  {}", self.findings)
    }
}

/// Runs a plan, with `program` as what a worker is: it calls [`work`].
///
/// # Errors
///
/// If a worker dies, or a store does not work again after the last fault.
pub async fn run(plan: Plan, program: &Path) -> Result<Report, String> {
    println!("{plan:?}");
    let mut machine = Machine::start(plan.kind, plan.durability);
    let told = |error: session_core::StoreError| format!("{error}: {:?}", error_source(&error));
    prepare(&machine.url()).await.map_err(told)?;
    if let Machine::Postgres(server) = &machine {
        checkpoint(&server.url()).await?;
    }
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let store = open(&machine.url(), LIMIT).await.map_err(told)?;
    let counters = counters(SharedStore::clone(&store), &ledger).await?;
    let proxies = [
        Proxy::start(machine.port()).await,
        Proxy::start(machine.port()).await,
    ];
    let mut workers = Vec::new();
    for (number, proxy) in proxies.iter().enumerate() {
        let orders = Orders {
            url: machine.url_at(proxy.port()),
            seed: plan
                .seed
                .wrapping_add(u64::try_from(number).unwrap_or(0) + 1),
            name: format!("worker{number}"),
            counters: counters.clone(),
        };
        workers.push(Worker::start(program, &orders, &ledger).await?);
    }
    let faults = trouble(plan, &mut machine, &proxies).await;
    for worker in &workers {
        worker.goes_on().await?;
    }
    for worker in workers {
        worker.stop().await?;
    }
    recovered(&store).await?;
    Ledger::audit(&ledger, store).await.map_err(told)?;
    let findings = ledger.lock().findings();
    Ok(Report {
        plan,
        findings,
        faults,
    })
}

/// Has faults happen until the time is over; then none is left.
async fn trouble(
    plan: Plan,
    machine: &mut Machine,
    proxies: &[Proxy],
) -> BTreeMap<&'static str, usize> {
    let mut rng = Rng::new(plan.seed);
    let mut faults = BTreeMap::new();
    let end = now() + plan.length;
    while now() < end {
        sleep(rng.millis(300, 2500)).await;
        let fault = Fault::random(&mut rng, plan.kind, plan.durability);
        *faults.entry(fault.name()).or_insert(0) += 1;
        fault.happen(machine, proxies).await;
    }
    if plan.durability == Durability::Lossy {
        sleep(Duration::from_secs(1)).await;
        let fault = Fault::Killed(Duration::ZERO);
        *faults.entry(fault.name()).or_insert(0) += 1;
        fault.happen(machine, proxies).await;
    }
    faults
}

/// Makes the sessions that all workers count in; their tokens as text.
async fn counters(store: SharedStore, ledger: &Arc<Mutex<Ledger>>) -> Result<Vec<String>, String> {
    let recorded = Recorded::new(store, into(ledger));
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let own = recorded.create(None).await.map_err(|e| e.to_string())?;
        tokens.push(recorded.sessions().encode(&own.token));
    }
    Ok(tokens)
}

fn into(ledger: &Arc<Mutex<Ledger>>) -> Journal {
    let ledger = Arc::clone(ledger);
    Arc::new(move |event| ledger.lock().add(event))
}

/// Has what was set up not be lost by the first crash.
async fn checkpoint(url: &str) -> Result<(), String> {
    let told = |error: store_postgres::sqlx::Error| error.to_string();
    let mut admin = PgConnection::connect(url).await.map_err(told)?;
    admin.execute("CHECKPOINT").await.map_err(told)?;
    admin.close().await.map_err(told)
}

/// Waits until the store works again, which it must by itself.
async fn recovered(store: &SharedStore) -> Result<(), String> {
    let recorded = Recorded::new(SharedStore::clone(store), Arc::new(|_| ()));
    let works = async {
        while recorded.create(None).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = timeout(RECOVERY, works).await;
    in_time.map_err(|_| "the store does not work again".to_owned())
}

fn error_source(error: &session_core::StoreError) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// What a worker is told, in one line.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    url: String,
    seed: u64,
    name: String,
    counters: Vec<String>,
}

struct Worker {
    name: String,
    process: Child,
    orders: ChildStdin,
    reading: JoinHandle<()>,
    acknowledged: Arc<AtomicU64>,
}

impl Worker {
    async fn start(
        program: &Path,
        orders: &Orders,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", orders.name);
        let mut process = Command::new(program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(told)?;
        let mut stdin = process.stdin.take().ok_or("no input")?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let line = serde_json::to_string(orders).map_err(|error| error.to_string())?;
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .map_err(told)?;
        let acknowledged = Arc::new(AtomicU64::new(0));
        let reading = tokio::spawn(read(stdout, Arc::clone(ledger), Arc::clone(&acknowledged)));
        let worker = Self {
            name: orders.name.clone(),
            process,
            orders: stdin,
            reading,
            acknowledged,
        };
        worker.goes_on().await?;
        Ok(worker)
    }

    /// Waits until another change is acknowledged, which must be within a bounded time.
    async fn goes_on(&self) -> Result<(), String> {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let more = async {
            while self.acknowledged.load(Ordering::Relaxed) < before + 10 {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = timeout(RECOVERY, more).await;
        in_time.map_err(|_| format!("{} does not go on", self.name))
    }

    async fn stop(mut self) -> Result<(), String> {
        drop(self.orders);
        let ended = timeout(RECOVERY, self.process.wait()).await;
        let status = ended
            .map_err(|_| format!("{} does not stop", self.name))?
            .map_err(|error| error.to_string())?;
        let read = timeout(RECOVERY, self.reading).await;
        match (status.success(), read) {
            (true, Ok(Ok(()))) => Ok(()),
            _ => Err(format!("{}: {status}", self.name)),
        }
    }
}

async fn read(from: ChildStdout, ledger: Arc<Mutex<Ledger>>, acknowledged: Arc<AtomicU64>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Event = serde_json::from_str(&line).expect("an event");
        if let Event::Wrote { span, .. } | Event::Began { span, .. } = &event
            && span.ended.is_some()
        {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        ledger.lock().add(event);
    }
}

/// What a worker's process does: reads its orders, prints its journal, and stops when its input ends.
///
/// # Errors
///
/// If the orders cannot be followed.
pub async fn work() -> Result<(), String> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let told = |error: std::io::Error| error.to_string();
    let line = input.next_line().await.map_err(told)?.ok_or("no orders")?;
    let orders: Orders = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let (journal, written) = printed();
    let store = open(&orders.url, LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    let store = Timed::new(store, LIMIT, GRACE, Arc::clone(&journal));
    let recorded = Recorded::new(Arc::new(store), journal);
    let counters = orders.counters.iter();
    let counters = counters.filter_map(|text| TokenFormat::default().decode(text.as_bytes()));
    let load = Load {
        seed: orders.seed,
        name: orders.name,
        actors: 24,
        pace: Duration::from_millis(40),
        counters: counters.collect(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(worker::run(recorded, load, Arc::clone(&stop)));
    while let Ok(Some(_)) = input.next_line().await {}
    stop.store(true, Ordering::Relaxed);
    working.await.map_err(|error| error.to_string())?;
    // The last journal is gone with the actors.
    tokio::task::block_in_place(|| written.join()).map_err(|_| "the journal is lost".to_owned())
}

/// A journal on the standard output.
fn printed() -> (Journal, std::thread::JoinHandle<()>) {
    let (sender, events) = std::sync::mpsc::channel::<Event>();
    let written = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut output = std::io::BufWriter::new(std::io::stdout().lock());
        let mut next = events.recv().ok();
        while let Some(event) = next {
            serde_json::to_writer(&mut output, &event).expect("an event");
            output.write_all(b"\n").expect("somebody reads");
            next = events.try_recv().ok().or_else(|| {
                output.flush().expect("somebody reads");
                events.recv().ok()
            });
        }
    });
    let journal: Journal = Arc::new(move |event| {
        // Who reads is gone only when this process is about to be.
        let _ = sender.send(event);
    });
    (journal, written)
}
