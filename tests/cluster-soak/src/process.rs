//! One life of a node: its process, and the way to it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::order::{Answer, Numbered, Order};

/// How many orders wait to be written at most, while a node stands still.
const ORDERS: usize = 8192;
/// How long an answer is waited for: the store ends every call within a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The order never left.
    Unsent,
    /// The node ended, or did not answer in time.
    Unanswered,
}

/// A node's process. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Process {
    /// Which life of its node it is, counted over all nodes.
    pub(crate) life: u64,
    pid: u32,
    child: tokio::sync::Mutex<Child>,
    calls: Arc<Calls>,
}

#[derive(Debug)]
struct Calls {
    orders: mpsc::Sender<Vec<u8>>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    numbers: AtomicU64,
    is_over: AtomicBool,
}

impl Process {
    /// Starts it; what it says besides answers goes to the end of `log`.
    pub(crate) fn start(mut command: Command, life: u64, log: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("a node: {error}");
        let log = std::fs::File::options().create(true).append(true).open(log);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(told)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(told)?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = child.stdout.take().ok_or("no output")?;
        let pid = child.id().ok_or("it has ended")?;
        let (orders, to_write) = mpsc::channel(ORDERS);
        let calls = Arc::new(Calls {
            orders,
            waiting: Mutex::default(),
            numbers: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        tokio::spawn(write(to_write, input));
        tokio::spawn(read(output, Arc::clone(&calls)));
        Ok(Self {
            life,
            pid,
            child: tokio::sync::Mutex::new(child),
            calls,
        })
    }

    /// Gives an order, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Failed`].
    pub(crate) async fn call(&self, order: Order) -> Result<Answer, Failed> {
        self.calls.call(order, PATIENCE).await
    }

    /// As [`Process::call`], with more patience.
    pub(crate) async fn call_for(
        &self,
        order: Order,
        patience: Duration,
    ) -> Result<Answer, Failed> {
        self.calls.call(order, patience).await
    }

    /// Whether it cannot answer any more.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        self.calls.is_over.load(Ordering::Relaxed)
    }

    /// Ends it at once: kill -9.
    ///
    /// # Errors
    ///
    /// If it cannot be killed.
    pub(crate) async fn kill(&self) -> Result<(), String> {
        let killed = self.child.lock().await.kill().await;
        killed.map_err(|error| format!("kill {}: {error}", self.pid))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    ///
    /// If it does not in time, or not in peace.
    pub(crate) async fn ended(&self, limit: Duration) -> Result<(), String> {
        let mut child = self.child.lock().await;
        match timeout(limit, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            other => Err(format!("node {} was to end: {other:?}", self.pid)),
        }
    }

    /// Has it stand still, or go on.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    pub(crate) async fn signal(&self, signal: &str) -> Result<(), String> {
        let script = format!("kill -{signal} {}", self.pid);
        let status = Command::new("sh").args(["-c", &script]).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{script}: {other:?}")),
        }
    }

    /// The most memory that it had, in kibibytes.
    #[must_use]
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).unwrap_or_default()
    }
}

impl Calls {
    async fn call(&self, what: Order, patience: Duration) -> Result<Answer, Failed> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Numbered { number, what }).expect("an order");
        line.push(b'\n');
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().insert(number, answer);
        if self.is_over.load(Ordering::Relaxed) || self.orders.try_send(line).is_err() {
            self.waiting.lock().remove(&number);
            return Err(Failed::Unsent);
        }
        let answer = timeout(patience, answered).await;
        self.waiting.lock().remove(&number);
        answer.ok().and_then(Result::ok).ok_or(Failed::Unanswered)
    }
}

async fn write(mut orders: mpsc::Receiver<Vec<u8>>, mut input: ChildStdin) {
    let mut ready = Vec::new();
    while orders.recv_many(&mut ready, 256).await > 0 {
        let bytes = ready.concat();
        ready.clear();
        if input.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(output: ChildStdout, calls: Arc<Calls>) {
    let mut lines = BufReader::with_capacity(64 << 10, output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // The last line of one that was killed may be cut short.
        let Ok(Numbered { number, what }) = serde_json::from_str(&line) else {
            break;
        };
        if let Some(waiting) = calls.waiting.lock().remove(&number) {
            // Who waited may be gone.
            let _ = waiting.send(what);
        }
    }
    calls.is_over.store(true, Ordering::Relaxed);
    calls.waiting.lock().clear();
}
