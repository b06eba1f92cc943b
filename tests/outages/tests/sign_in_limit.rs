//! Fifty sign-ins of one subject at the same time, from two processes, under a limit of three: three are
//! left, each time, on every kind of server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use session_core::{SessionId, Shard, Subject};
use session_outages::{Durability, Kind, Machine, open, prepare};
use test_servers::{RedisCluster, RedisSentinel};

const ROUNDS: usize = 100;
const LIMIT: usize = 3;
const EACH: usize = 25;

/// Another process, which signs in as it is told.
struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_soak"))
            .args(["sign-in", "--url", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self {
            child,
            orders,
            answers,
        };
        assert_eq!(process.answer(), "ready");
        process
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.wait();
    }
}

async fn three_are_left_each_time(url: &str) {
    prepare(url).await.unwrap();
    let store = open(url, Duration::from_secs(10)).await.unwrap();
    let mut processes = [Process::start(url), Process::start(url)];
    for round in 0..ROUNDS {
        let name = SessionId::generate(Shard::random()).to_string();
        let refuses = round % 2 == 1;
        let policy = if refuses { "refuse" } else { "oldest" };
        for process in &mut processes {
            process.order(&format!("{name} {LIMIT} {policy} {EACH}"));
        }
        let admitted: usize = processes
            .iter_mut()
            .map(|process| process.answer().parse::<usize>().unwrap())
            .sum();
        let all = if refuses { LIMIT } else { 2 * EACH };
        assert_eq!(admitted, all, "round {round}");
        let subject = Subject::new(name).unwrap();
        let left = store.sessions_of(&subject).await.unwrap();
        assert_eq!(left.len(), LIMIT, "round {round}");
    }
}

/// SECURITY 38
#[tokio::test(flavor = "multi_thread")]
async fn on_one_redis() {
    let machine = Machine::start(Kind::Redis, Durability::Lossy);
    three_are_left_each_time(&machine.url()).await;
}

/// SECURITY 38
#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let machine = Machine::start(Kind::Postgres, Durability::Lossy);
    three_are_left_each_time(&machine.url()).await;
}

/// SECURITY 38
#[tokio::test(flavor = "multi_thread")]
async fn on_a_redis_cluster() {
    let cluster = tokio::task::block_in_place(|| RedisCluster::start(false));
    three_are_left_each_time(&cluster.url()).await;
}

/// SECURITY 38
#[tokio::test(flavor = "multi_thread")]
async fn on_a_redis_that_sentinels_watch() {
    let sentinel = tokio::task::block_in_place(RedisSentinel::start);
    three_are_left_each_time(&sentinel.url()).await;
}
