//! The program as those who run it meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use support::{Server, set_cookies};

#[tokio::test]
async fn told_to_stop_it_finishes_what_is_in_flight() {
    let mut server = Server::lab();
    let client = server.client();
    client.write("n", &json!(1)).await;
    let listening = client.get("/live").send().await.unwrap();
    let late = client.slow_in_flight().await;
    let anonymous = server.client().slow_in_flight().await;
    server.terminate();
    assert_eq!(late.await.unwrap().status(), StatusCode::NO_CONTENT);
    let anonymous = anonymous.await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::NO_CONTENT);
    assert_eq!(set_cookies(&anonymous).len(), 1);
    // Panels are told no more: they would keep it from ending.
    listening.bytes().await.unwrap();
    assert!(server.wait(), "{}", server.log());
    let refused = client.get("/healthz").send().await;
    assert!(refused.unwrap_err().is_connect());
}

#[tokio::test]
async fn it_is_ready_and_counts_what_it_answers() {
    let server = Server::start(&["--node", "north"]);
    let client = server.client();
    let health = client.get("/healthz").send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(client.session().await["node"], "north");
    assert_eq!(client.session().await["store"], "memory");
    for _ in 0..3 {
        client.get("/nowhere").send().await.unwrap();
        client.get("/elsewhere").send().await.unwrap();
    }
    let labels = "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}";
    assert_eq!(server.metric(labels).await, 6);
    let labels = "http_requests_total{method=\"GET\",route=\"/api/session\",status=\"200\"}";
    assert_eq!(server.metric(labels).await, 2);
}

#[tokio::test]
async fn a_cache_in_front_of_the_store_is_counted_and_shown() {
    let server = Server::start(&["--insecure-cookies", "--cache", "10s"]);
    let client = server.client();
    client.write("n", &json!(1)).await;
    support::eventually("it answers from memory", async || {
        assert_eq!(client.entry("n").await, 1);
        server.metric("session_cache_hits_total").await > 0
    })
    .await;
    assert_eq!(server.metric("session_cache_holds_lease").await, 1);
    let page = client.get("/").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("behind a cache"), "{page}");
}

#[tokio::test]
async fn expired_sessions_leave_the_store_without_being_asked_for() {
    let server = Server::start(&["--insecure-cookies", "--absolute-timeout", "200ms"]);
    for _ in 0..3 {
        server.client().write("n", &json!(1)).await;
    }
    support::eventually("the store is empty", async || {
        server.metric("session_store_sessions").await == 0
    })
    .await;
    support::eventually("all are told as expired", async || {
        server.events("expired").await == 3
    })
    .await;
}

#[test]
fn certificates_are_made_once_and_what_is_missing_is_told_with_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    let demo = |arguments: &[&str]| {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        let output = demo.current_dir(&place).args(arguments).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&told).into_owned(),
        )
    };
    let missing = "cluster://shop@127.0.0.1:0?certs=mine";
    let (is_done, told) = demo(&["--listen", "127.0.0.1:0", "--store", missing]);
    assert!(!is_done);
    assert!(told.contains("certs shop --dir mine"), "{told}");
    let (is_done, told) = demo(&["certs", "shop", "--dir", "mine"]);
    assert!(is_done, "{told}");
    assert!(told.starts_with("made mine/ca.pem"), "{told}");
    let key = std::fs::read(place.path().join("mine/node.key")).unwrap();
    let (is_done, told) = demo(&["certs", "shop", "--dir", "mine"]);
    assert!(is_done, "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    let now = std::fs::read(place.path().join("mine/node.key")).unwrap();
    assert!(now == key);
    let _server = Server::start_in(
        place.path(),
        &["--listen", "127.0.0.1:0", "--store", missing],
    );
}

#[test]
fn flags_that_make_no_sense_are_refused_with_a_reason() {
    for (flags, reason) in [
        (["--store", "carrier-pigeon:"], "carrier-pigeon"),
        (["--store", "memory:?max=none"], "max=none"),
        (["--store", "nothing at all"], "nothing at all"),
        (["--store", "redis://127.0.0.1:1/"], "out of reach"),
        (["--idle-timeout", "soon"], "--idle-timeout"),
        (["--max-sessions", "0"], "--max-sessions"),
        (["--listen", "nowhere"], "--listen"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(
                ["--listen", "127.0.0.1:0"]
                    .iter()
                    .filter(|_| flags[0] != "--listen"),
            )
            .args(flags)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{flags:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(reason), "{told}");
        assert_eq!(output.stdout, b"", "it says that it serves, and does not");
    }
}
