//! Faults that were seen in other session software, played over HTTP against two servers that share one
//! Redis, and two that share one Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use store_postgres::sqlx;
use test_servers::{PostgresServer, RedisServer};

use support::{Client, Server, now_ms, problem, set_cookies};

enum Storage {
    Redis(RedisServer),
    Postgres(PostgresServer),
}

impl Storage {
    /// Durable: what it acknowledged survives that it is killed.
    fn redis() -> Self {
        Self::Redis(RedisServer::start(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]))
    }

    fn postgres() -> Self {
        Self::Postgres(PostgresServer::start(&[]))
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Postgres(server) => server.url(),
        }
    }

    fn pause(&mut self) {
        match self {
            Self::Redis(server) => server.pause(),
            Self::Postgres(server) => server.pause(),
        }
    }

    fn resume(&mut self) {
        match self {
            Self::Redis(server) => server.resume(),
            Self::Postgres(server) => server.resume(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Redis(server) => server.kill(),
            Self::Postgres(server) => server.kill(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Redis(server) => server.restart(),
            Self::Postgres(server) => server.restart(),
        }
    }
}

/// Two servers of one application.
struct Site {
    // The servers end before their storage does.
    one: Server,
    two: Server,
    storage: Storage,
}

impl Site {
    fn on(storage: Storage, flags: &[&str]) -> Self {
        let url = storage.url();
        let common = ["--insecure-cookies", "--lab", "--store", &url];
        let flags = [&common, flags].concat();
        let start = |node| Server::start(&[flags.as_slice(), &["--node", node]].concat());
        Self {
            one: start("one"),
            two: start("two"),
            storage,
        }
    }

    /// A client, as it meets the first server and the second.
    fn client(&self) -> (Client, Client) {
        let at_one = self.one.client();
        let at_two = at_one.at(&self.two);
        (at_one, at_two)
    }
}

async fn row_01_two_requests_set_different_keys_at_once(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.write("first", &json!(0)).await;
    let late = one.slow_in_flight().await;
    two.write("early", &json!(2)).await;
    assert_eq!(late.await.unwrap().status(), StatusCode::NO_CONTENT);
    let expected = json!({"first": 0, "early": 2, "late": 1});
    assert_eq!(one.session().await["entries"], expected);
    assert_eq!(two.session().await["entries"], expected);
}

async fn row_02_a_hundred_concurrent_increments(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.write("n", &json!(0)).await;
    let increments = (0..100).map(|turn| {
        let client = if turn % 2 == 0 {
            one.clone()
        } else {
            two.clone()
        };
        tokio::spawn(async move {
            let body = json!({"by": 1, "hold_ms": 5});
            let path = "/api/session/entries/n/increment";
            client.post(path, &body).send().await.unwrap().status()
        })
    });
    for increment in increments.collect::<Vec<_>>() {
        assert_eq!(increment.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(one.entry("n").await, 100);
}

async fn row_03_logout_while_a_slow_request_is_in_flight(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    let thief = two.copy();
    let late = one.slow_in_flight().await;
    let out = two.post("/api/sign-out", &json!({})).send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let late = late.await.unwrap();
    assert_eq!(set_cookies(&late), [""; 0]);
    assert_eq!(problem(late, 409).await, "ended");
    for client in [one, two, thief] {
        assert_eq!(client.session().await["id"], Value::Null);
    }
}

async fn row_05_wipe_then_sign_in_on_the_same_session_object(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.write("planted", &json!(1)).await;
    let (before, attacker) = (one.id().await, two.copy());
    two.post("/api/lab/wipe-and-sign-in", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(one.subject().await.as_deref(), Some("alice"));
    assert_ne!(one.id().await, before);
    assert_eq!(attacker.subject().await, None);
}

/// Row 6, and what comes after: the storage is killed and started again, and nothing is lost.
async fn row_06_the_store_fails_while_loading(storage: Storage) {
    let mut site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    one.write("n", &json!(7)).await;
    let cookie = one.cookie();
    site.storage.kill();
    let style = two.get("/assets/style.css").send().await.unwrap();
    assert_eq!(
        style.status(),
        StatusCode::OK,
        "where no session is used, nothing is wrong"
    );
    for client in [&one, &two] {
        let answer = client.get("/api/session").send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        problem(answer, 503).await;
        let answer = client.put("n", &json!(8)).send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        problem(answer, 503).await;
    }
    site.storage.restart();
    for client in [&one, &two] {
        support::eventually("it answers again", async || {
            client.get("/api/session").send().await.unwrap().status() == StatusCode::OK
        })
        .await;
        assert_eq!(client.cookie(), cookie);
        assert_eq!(client.subject().await.as_deref(), Some("alice"));
        assert_eq!(client.entry("n").await, 7);
    }
}

async fn row_10_remembered_for_thirty_days_then_any_write(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.try_sign_in("alice", true).await;
    let before = one.session().await;
    two.write("n", &json!(1)).await;
    one.write("n", &json!(2)).await;
    let after = two.session().await;
    let lives = after["deadline"].as_u64().unwrap() - after["created_at"].as_u64().unwrap();
    assert_eq!(lives, 30 * 86_400_000);
    assert_eq!(after["deadline"], before["deadline"]);
    assert_eq!(after["expires_at"], after["deadline"]);
}

async fn row_11_a_new_secret_and_then_a_5xx(storage: Storage) {
    let site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    let id = one.id().await;
    let answer = two
        .post("/api/lab/renew-then-500", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(set_cookies(&answer), [""; 0]);
    assert_eq!(problem(answer, 500).await, "internal");
    for client in [&one, &two] {
        assert_eq!(client.id().await, id);
        assert_eq!(client.subject().await.as_deref(), Some("alice"));
    }
}

/// The storage is stopped where it is: each request ends, in bounded time, and all is well afterwards.
#[allow(
    clippy::disallowed_methods,
    reason = "the time of real servers is the subject"
)]
async fn row_13_the_store_hangs(storage: Storage) {
    let mut site = Site::on(storage, &[]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    one.write("n", &json!(7)).await;
    site.storage.pause();
    let began = Instant::now();
    for client in [&one, &two] {
        let answer = client.get("/api/session").send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        problem(answer, 503).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    site.storage.resume();
    for client in [&one, &two] {
        support::eventually("it answers again", async || {
            client.get("/api/session").send().await.unwrap().status() == StatusCode::OK
        })
        .await;
        assert_eq!(client.entry("n").await, 7);
    }
}

async fn row_15_a_lifetime_of_two_seconds(storage: Storage) {
    let site = Site::on(storage, &["--absolute-timeout", "2s"]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    let deadline = one.session().await["deadline"].as_u64().unwrap();
    // A program that keeps the cookie for ever.
    let (one, two) = (one.copy(), two.copy());
    while now_ms() < deadline {
        let (asked, session) = (now_ms(), two.session().await);
        if session["id"].is_null() {
            assert!(
                now_ms() >= deadline,
                "gone {} ms too early",
                deadline - asked
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for client in [one, two] {
        assert_eq!(client.session().await["id"], Value::Null);
    }
}

/// Fifty sign-ins at once, through both servers, leave exactly three that work: the three listed.
async fn limit_of_three_under_fifty_sign_ins(storage: Storage) {
    let site = Site::on(storage, &["--max-sessions", "3"]);
    let sign_ins = (0..50).map(|turn| {
        let server = if turn % 2 == 0 { &site.one } else { &site.two };
        let client = server.client();
        tokio::spawn(async move {
            client.sign_in("alice").await;
            client
        })
    });
    let mut usable = Vec::new();
    for sign_in in futures_util::future::join_all(sign_ins).await {
        let client = sign_in.unwrap();
        usable.extend(client.id().await.map(|id| (id, client)));
    }
    assert_eq!(usable.len(), 3);
    let listed = usable[0].1.devices().await;
    let mut listed: Vec<_> = listed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let mut ids: Vec<_> = usable.iter().map(|(id, _)| id.as_str()).collect();
    listed.sort_unstable();
    ids.sort_unstable();
    assert_eq!(ids, listed);
}

/// Expired rows go in bounded batches, each once, whichever of the servers does it; and a server whose
/// clean-up met an error goes on with it.
#[tokio::test]
async fn row_17_expired_rows_of_postgres() {
    const EXPIRED: i64 = 3_000;
    let mut site = Site::on(Storage::postgres(), &[]);
    let (one, two) = site.client();
    one.sign_in("alice").await;
    one.write("n", &json!(7)).await;
    // The rows that each statement removes, counted by the server itself.
    let watch = "
        CREATE TABLE removed (rows bigint);
        CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO removed SELECT count(*) FROM gone HAVING count(*) > 0;
            RETURN NULL;
        END $$;
        CREATE TRIGGER count_removed AFTER DELETE ON session_records
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_removed()";
    run(&site, watch).await;
    // Long enough for each server to fail to clean up.
    site.storage.kill();
    for server in [&site.one, &site.two] {
        until("its clean-up fails", async || {
            server
                .log()
                .contains("expired sessions could not be removed")
        })
        .await;
    }
    site.storage.restart();
    let expired = format!(
        "INSERT INTO session_records (created_at, last_seen_at, deadline, due_at, revision,
            presented, id, secrets, entries)
        SELECT 1, 1, 2, 2, n, true, decode(md5(n::text), 'hex'), '', ''
        FROM generate_series(1, {EXPIRED}) AS n"
    );
    run(&site, &expired).await;
    let left = "SELECT count(*) FROM session_records WHERE deadline = 2";
    until("what expired is removed", async || {
        number(&site, left).await == 0
    })
    .await;
    let removed = "SELECT sum(rows)::bigint FROM removed";
    assert_eq!(number(&site, removed).await, EXPIRED);
    let most = number(&site, "SELECT max(rows) FROM removed").await;
    assert!(most <= 1_000, "one statement removed {most} rows");
    for client in [one, two] {
        assert_eq!(client.subject().await.as_deref(), Some("alice"));
        assert_eq!(client.entry("n").await, 7);
    }
}

/// As [`support::eventually`], for what happens every few seconds.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(support::LIMIT, waiting).await;
    assert!(waited.is_ok(), "it never happened: {what}");
}

async fn database(site: &Site) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(&site.storage.url())
        .await
        .expect("the database is there")
}

async fn run(site: &Site, statements: &str) {
    let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()));
    let mut database = database(site).await;
    database.execute(statements).await.expect("valid SQL");
}

async fn number(site: &Site, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&mut database(site).await)
        .await
        .expect("a number")
}

macro_rules! rows {
    ($storage:ident: $($row:ident)*) => {
        mod $storage {
            $(
                #[tokio::test]
                async fn $row() {
                    super::$row(super::Storage::$storage()).await;
                }
            )*
        }
    };
    ($($row:ident)*) => {
        rows!(redis: $($row)*);
        rows!(postgres: $($row)*);
    };
}

rows! {
    row_01_two_requests_set_different_keys_at_once
    row_02_a_hundred_concurrent_increments
    row_03_logout_while_a_slow_request_is_in_flight
    row_05_wipe_then_sign_in_on_the_same_session_object
    row_06_the_store_fails_while_loading
    row_10_remembered_for_thirty_days_then_any_write
    row_11_a_new_secret_and_then_a_5xx
    row_13_the_store_hangs
    row_15_a_lifetime_of_two_seconds
    limit_of_three_under_fifty_sign_ins
}
