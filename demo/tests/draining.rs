//! Moving to another store over HTTP, while requests go on: nobody is signed out, nobody is revived.
//!
//! `SESSION_DRAINING_RATE` is how many requests a second the loaded servers get, and a test fails where they get
//! less; `SESSION_DRAINING_SECONDS` is for how long after each step.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and the time of real servers is the subject"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use support::{Client, Server, eventually};
use test_servers::{PostgresServer, RedisServer};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const LEFT: &str = "session_store_left";
const RATE: &str = "SESSION_DRAINING_RATE";
const SECONDS: &str = "SESSION_DRAINING_SECONDS";

fn given(name: &str) -> Option<f64> {
    let given = std::env::var(name).ok()?;
    Some(given.parse().expect("a number"))
}

#[tokio::test]
async fn a_running_server_moves_from_memory_to_redis_at_one_switch() {
    let redis = RedisServer::start(&[]);
    let server = Server::start(&[
        "--insecure-cookies",
        "--lab",
        "--store",
        "memory:",
        "--drain-to",
        &redis.url(),
    ]);
    let before = server.client();
    before.sign_in("alice").await;
    before.write("cart", &json!(["a book"])).await;
    eventually("the session is counted", async || {
        server.metric(LEFT).await == 1
    })
    .await;

    let switched = before.post("/api/lab/switch", &json!({})).send().await;
    assert_eq!(switched.unwrap().status(), StatusCode::NO_CONTENT);
    let after = server.client();
    after.sign_in("alice").await;
    assert_eq!(before.entry("cart").await, json!(["a book"]));
    assert_eq!(before.devices().await.len(), 2);
    assert_eq!(server.metric(LEFT).await, 1);

    let out = before.post("/api/sign-out", &json!({})).send().await;
    assert!(out.unwrap().status().is_success());
    eventually("the old store is empty", async || {
        server.metric(LEFT).await == 0
    })
    .await;
    eventually("that is said", async || {
        server.log().contains("can be taken out")
    })
    .await;
    assert_eq!(after.subject().await.as_deref(), Some("alice"));

    // Redis alone has what is left.
    let alone = Server::start(&["--insecure-cookies", "--store", &redis.url()]);
    assert_eq!(after.at(&alone).subject().await.as_deref(), Some("alice"));
    assert_eq!(after.at(&alone).devices().await.len(), 1);
}

#[tokio::test]
async fn a_switch_to_nowhere_is_refused() {
    let server = Server::lab();
    let switched = server.client().post("/api/lab/switch", &json!({})).send();
    assert_eq!(switched.await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// What the clients met.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    unanswered: AtomicU64,
    signed_out: AtomicU64,
    lost_writes: AtomicU64,
    revived: AtomicU64,
    failed: AtomicU64,
}

struct Site {
    servers: Vec<RwLock<Arc<Server>>>,
    counts: Counts,
    clients: AtomicU32,
    is_over: AtomicBool,
}

impl Site {
    fn server(&self, number: u32) -> Arc<Server> {
        let place = usize::try_from(number).unwrap() % self.servers.len();
        Arc::clone(&self.servers[place].read().unwrap())
    }

    /// Starts each server anew with these flags, one after the other. The one before finishes what it has.
    async fn restart(&self, flags: &[&str], pause: Duration) {
        for place in &self.servers {
            let before = std::mem::replace(&mut *place.write().unwrap(), start(flags));
            before.terminate();
            tokio::time::sleep(pause).await;
        }
    }
}

fn start(flags: &[&str]) -> Arc<Server> {
    Arc::new(Server::start(&[&["--insecure-cookies"], flags].concat()))
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A signed-in client that goes on counting at one server and looks at the other; at its end it signs out, and
/// tries again.
async fn counts(site: Arc<Site>, client: Client, number: u32, rate: f64) {
    // All clients together make the rate, however many there are.
    let every = || Duration::from_secs_f64(f64::from(site.clients.load(Ordering::Relaxed)) / rate);
    let mut next = Instant::now() + every().mul_f64(f64::from(number % 10) / 10.0);
    let (mut stored, mut turn) = (0_u64, number);
    while !site.is_over.load(Ordering::Relaxed) {
        tokio::time::sleep_until(next).await;
        next += every();
        turn += 1;
        let at = |turn| client.at(&site.server(turn));
        if turn.is_multiple_of(2) {
            let sent = at(turn / 2).put("count", &json!(stored + 1)).send().await;
            match sent {
                Ok(answer) if answer.status() == StatusCode::NO_CONTENT => {
                    add(&site.counts.answered);
                    stored += 1;
                }
                Ok(answer) => {
                    let status = answer.status();
                    let text = answer.text().await.unwrap_or_default();
                    eprintln!("{status}: {text}");
                    add(&site.counts.failed);
                }
                // The server is being restarted: a balancer would ask the other one.
                Err(error) if error.is_connect() => add(&site.counts.unanswered),
                Err(_) => {
                    add(&site.counts.unanswered);
                    // Nobody knows whether it was stored.
                    let found = at(turn).entry("count").await;
                    stored = found.as_u64().unwrap_or(stored);
                }
            }
        } else if let Ok(answer) = at(turn / 2 + 1).get("/api/session").send().await {
            let session = support::json_of(answer).await;
            add(&site.counts.answered);
            if session["subject"].as_str().is_none() {
                add(&site.counts.signed_out);
            } else if session["entries"]["count"].as_u64().unwrap_or(0) != stored {
                add(&site.counts.lost_writes);
            }
        } else {
            add(&site.counts.unanswered);
        }
    }
    let token = client.cookie().unwrap();
    let at = client.at(&site.server(number));
    at.post("/api/sign-out", &json!({})).send().await.unwrap();
    for number in 0..2 {
        let again = site.server(number).client();
        again.plant(&token);
        if again.subject().await.is_some() {
            add(&site.counts.revived);
        }
    }
}

/// Two loads at the same time would take each other's processors.
static ONE_LOAD: Mutex<()> = Mutex::const_new(());

/// Clients that count, at a steady rate, while their servers move.
struct Load {
    site: Arc<Site>,
    rate: f64,
    pause: Duration,
    clients: Vec<JoinHandle<()>>,
    /// Steps that were slower than somebody asked for.
    slow: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Load {
    async fn on(many: usize, flags: &[&str]) -> Self {
        let alone = ONE_LOAD.lock().await;
        let servers = (0..many).map(|_| RwLock::new(start(flags))).collect();
        let site = Site {
            servers,
            counts: Counts::default(),
            clients: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        };
        Self {
            site: Arc::new(site),
            rate: given(RATE).unwrap_or(100.0),
            pause: Duration::from_secs_f64(given(SECONDS).unwrap_or(1.0)),
            clients: Vec::new(),
            slow: Vec::new(),
            _alone: alone,
        }
    }

    async fn join(&mut self, many: u32) {
        for _ in 0..many {
            let number = u32::try_from(self.clients.len()).unwrap();
            let client = self.site.server(number).client();
            let user = ["alice", "bob"][usize::from(number.is_multiple_of(2))];
            client.sign_in(user).await;
            self.site.clients.fetch_add(1, Ordering::Relaxed);
            let counting = counts(Arc::clone(&self.site), client, number, self.rate);
            self.clients.push(tokio::spawn(counting));
        }
    }

    /// Takes a step, and says at what rate requests were answered from its beginning to its end.
    async fn step(&mut self, name: &str, step: impl AsyncFnOnce(&Site, Duration)) {
        let answered = || self.site.counts.answered.load(Ordering::Relaxed);
        let (before, began) = (answered(), Instant::now());
        step(&self.site, self.pause).await;
        let (many, took) = (answered() - before, began.elapsed());
        #[allow(clippy::cast_precision_loss, reason = "they are few")]
        let reached = many as f64 / took.as_secs_f64();
        let line = format!("{name}: {many} requests in {took:.1?}, {reached:.0} a second");
        println!("{line}");
        if given(RATE).is_some_and(|wanted| reached < wanted * 0.95) {
            self.slow.push(line);
        }
    }

    /// Waits until the old store is known to hold so many, has all clients sign out, and judges.
    async fn ends(self, left: u64) {
        let server = self.site.server(0);
        eventually("what is left is counted", async || {
            server.metric(LEFT).await == left
        })
        .await;
        self.site.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        eventually("the old store is empty", async || {
            server.metric(LEFT).await == 0
        })
        .await;
        eventually("that is said", async || {
            server.log().contains("can be taken out")
        })
        .await;
        let counts = &self.site.counts;
        println!("{counts:?}");
        let faults = [
            &counts.signed_out,
            &counts.lost_writes,
            &counts.revived,
            &counts.failed,
        ];
        let faults = faults.map(|count| count.load(Ordering::Relaxed));
        assert_eq!(
            faults, [0; 4],
            "signed out, lost, revived, failed: {counts:?}"
        );
        assert!(counts.answered.load(Ordering::Relaxed) > 100);
        assert!(self.slow.is_empty(), "slower than asked: {:?}", self.slow);
    }
}

async fn nothing_changes(_: &Site, pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loaded_server_moves_from_memory_to_redis() {
    let redis = RedisServer::start(&[]);
    let flags = ["--lab", "--store", "memory:", "--drain-to", &redis.url()];
    let mut load = Load::on(1, &flags).await;
    load.join(20).await;
    load.step("in memory", nothing_changes).await;
    load.step("a switch, then Redis", async |site, pause| {
        let switch = site.server(0).client().post("/api/lab/switch", &json!({}));
        let switched = switch.send().await.unwrap();
        assert_eq!(switched.status(), StatusCode::NO_CONTENT);
        tokio::time::sleep(pause).await;
    })
    .await;
    load.join(20).await;
    load.step("old ones in memory, new ones on Redis", nothing_changes)
        .await;
    load.ends(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loaded_servers_move_from_redis_to_postgres() {
    let (redis, postgres) = (RedisServer::start(&[]), PostgresServer::start(&[]));
    let (old, new) = (redis.url(), postgres.url());
    let mut load = Load::on(2, &["--store", &old]).await;
    load.join(20).await;
    load.step("on Redis", nothing_changes).await;
    load.step("each restarted to drain", async |site, pause| {
        let flags = ["--store", &old, "--drain-to", &new];
        site.restart(&flags, pause).await;
    })
    .await;
    load.join(10).await;
    load.step(
        "each restarted to create in the new one",
        async |site, pause| {
            let flags = ["--store", &new, "--drain-from", &old];
            site.restart(&flags, pause).await;
        },
    )
    .await;
    load.join(10).await;
    load.step("old ones on Redis, new ones in PostgreSQL", nothing_changes)
        .await;
    load.ends(30).await;
}
