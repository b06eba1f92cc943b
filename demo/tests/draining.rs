//! Moving to another store over HTTP, while requests go on: nobody is signed out, nobody is revived.
//!
//! `SESSION_DRAINING_RATE` is how many requests a second the two servers get, `SESSION_DRAINING_SECONDS` for
//! how long after each step.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use support::{Client, Server, eventually};
use test_servers::{PostgresServer, RedisServer};

const LEFT: &str = "session_store_left";
const CLIENTS: u32 = 40;

fn given(name: &str, or: f64) -> f64 {
    let given = std::env::var(name).ok();
    given.map_or(or, |text| text.parse().expect("a number"))
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
    requests: AtomicU64,
    signed_out: AtomicU64,
    lost_writes: AtomicU64,
    revived: AtomicU64,
    failed: AtomicU64,
}

struct Site {
    servers: [RwLock<Arc<Server>>; 2],
    counts: Counts,
    is_over: AtomicBool,
}

impl Site {
    fn server(&self, number: u32) -> Arc<Server> {
        Arc::clone(
            &self.servers[usize::from(!number.is_multiple_of(2))]
                .read()
                .unwrap(),
        )
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

/// A signed-in client that goes on counting, at either server; at its end it signs out, and tries again.
async fn counts(site: Arc<Site>, client: Client, number: u32, every: Duration) {
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(every * number / CLIENTS).await;
    let mut ticks = tokio::time::interval(every);
    let (mut stored, mut turn) = (0_u64, number);
    while !site.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        turn += 1;
        add(&site.counts.requests);
        let client = client.at(&site.server(turn / 2));
        if turn.is_multiple_of(2) {
            match client.put("count", &json!(stored + 1)).send().await {
                Ok(answer) if answer.status() == StatusCode::NO_CONTENT => stored += 1,
                Ok(answer) => {
                    eprintln!(
                        "{}: {}",
                        answer.status(),
                        answer.text().await.unwrap_or_default()
                    );
                    add(&site.counts.failed);
                }
                // The server is being restarted: a balancer would ask the other one.
                Err(error) if error.is_connect() => {}
                Err(_) => {
                    // Nobody knows whether it was stored.
                    stored = match client.at(&site.server(turn)).entry("count").await.as_u64() {
                        Some(count) => count,
                        None => stored,
                    };
                }
            }
        } else if let Ok(answer) = client.get("/api/session").send().await {
            let session = support::json_of(answer).await;
            if session["subject"].as_str().is_none() {
                add(&site.counts.signed_out);
            } else if session["entries"]["count"].as_u64().unwrap_or(0) != stored {
                add(&site.counts.lost_writes);
            }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loaded_servers_move_from_redis_to_postgres() {
    let rate = given("SESSION_DRAINING_RATE", 100.0);
    let pause = Duration::from_secs_f64(given("SESSION_DRAINING_SECONDS", 1.0));
    let (redis, postgres) = (RedisServer::start(&[]), PostgresServer::start(&[]));
    let (old, new) = (redis.url(), postgres.url());
    let alone = ["--store", old.as_str()];
    let site = Arc::new(Site {
        servers: [RwLock::new(start(&alone)), RwLock::new(start(&alone))],
        counts: Counts::default(),
        is_over: AtomicBool::new(false),
    });
    let every = Duration::from_secs_f64(f64::from(CLIENTS) / rate);
    let mut clients = Vec::new();
    let join = async |clients: &mut Vec<_>, from: u32, to: u32| {
        for number in from..to {
            let client = site.server(number).client();
            client
                .sign_in(["alice", "bob"][usize::from(number.is_multiple_of(2))])
                .await;
            clients.push(tokio::spawn(counts(
                Arc::clone(&site),
                client,
                number,
                every,
            )));
        }
    };
    join(&mut clients, 0, CLIENTS / 2).await;
    tokio::time::sleep(pause).await;
    site.restart(&["--store", &old, "--drain-to", &new], pause)
        .await;
    join(&mut clients, CLIENTS / 2, CLIENTS * 3 / 4).await;
    site.restart(&["--store", &new, "--drain-from", &old], pause)
        .await;
    join(&mut clients, CLIENTS * 3 / 4, CLIENTS).await;
    tokio::time::sleep(pause).await;
    let left = u64::from(CLIENTS) * 3 / 4;
    let server = site.server(0);
    eventually("what is left is counted", async || {
        server.metric(LEFT).await == left
    })
    .await;

    site.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    eventually("the old store is empty", async || {
        server.metric(LEFT).await == 0
    })
    .await;
    let counts = &site.counts;
    println!("{rate} requests a second: {counts:?}");
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
    assert!(counts.requests.load(Ordering::Relaxed) > 100);
}
