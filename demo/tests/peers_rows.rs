//! Faults that were seen in other session software, played over HTTP against the demo. One test each,
//! named after its row in the list of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use reqwest::StatusCode;
use serde_json::{Value, json};

use support::{Server, json_of, now_ms, pair, problem, set_cookies};

/// A well-formed token that no server issued: 43 characters of base64url.
const INVENTED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[tokio::test]
async fn row_01_two_requests_set_different_keys_at_once() {
    let server = Server::lab();
    let client = server.client();
    client.write("first", &json!(0)).await;
    let late = client.slow_in_flight().await;
    client.write("early", &json!(2)).await;
    assert_eq!(late.await.unwrap().status(), StatusCode::NO_CONTENT);
    let entries = client.session().await["entries"].clone();
    assert_eq!(entries, json!({"first": 0, "early": 2, "late": 1}));
}

#[tokio::test]
async fn row_02_a_hundred_concurrent_increments() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(0)).await;
    let increments = (0..100).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let body = json!({"by": 1, "hold_ms": 5});
            let path = "/api/session/entries/n/increment";
            client.post(path, &body).send().await.unwrap().status()
        })
    });
    for increment in increments.collect::<Vec<_>>() {
        assert_eq!(increment.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(client.entry("n").await, 100);
}

/// SECURITY 24, SECURITY 25.
#[tokio::test]
async fn row_03_logout_while_a_slow_request_is_in_flight() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let thief = client.copy();
    let late = client.slow_in_flight().await;
    let out = client
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let late = late.await.unwrap();
    assert_eq!(set_cookies(&late), [""; 0]);
    assert_eq!(problem(late, 409).await, "ended");
    assert_eq!(client.cookie(), None);
    for client in [client, thief] {
        let session = client.session().await;
        assert_eq!(session["id"], Value::Null);
        assert_eq!(session["entries"], json!({}));
    }
    assert_eq!(server.metric("session_store_sessions").await, 0);
}

/// SECURITY 4.
#[tokio::test]
async fn row_04_a_cookie_that_the_client_invented() {
    let server = Server::lab();
    for invented in [INVENTED, "hello", "0123456789012345678901"] {
        let client = server.client();
        client.plant(&format!("id={invented}"));
        assert_eq!(client.id().await, None, "{invented}");
        assert_eq!(server.metric("session_store_sessions").await, 0);
    }
    assert_eq!(server.events("unknown_token").await, 3);
    let client = server.client();
    client.plant(&format!("id={INVENTED}"));
    client.write("n", &json!(1)).await;
    assert_ne!(client.cookie().unwrap(), format!("id={INVENTED}"));
    // The first half of the invented token spells an id: that is not the one of the new session.
    let id = client.id().await.unwrap();
    assert_ne!(id, "000102030405060708090a0b0c0d0e0f");
}

/// SECURITY 21, SECURITY 22.
#[tokio::test]
async fn row_05_wipe_then_sign_in_on_the_same_session_object() {
    let server = Server::lab();
    let client = server.client();
    client.write("planted", &json!(1)).await;
    let (before, attacker) = (client.id().await, client.copy());
    let answer = client
        .post("/api/lab/wipe-and-sign-in", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(set_cookies(&answer).len(), 1);
    let after = json_of(answer).await;
    assert_eq!(after["subject"], "alice");
    assert_eq!(after["entries"], json!({}));
    assert_ne!(after["id"].as_str(), before.as_deref());
    assert_ne!(client.cookie(), attacker.cookie());
    assert_eq!(client.subject().await.as_deref(), Some("alice"));
    assert_eq!(attacker.subject().await, None);
}

/// SECURITY 42.
#[tokio::test]
async fn row_06_the_store_fails_while_loading() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    client.write("n", &json!(7)).await;
    let cookie = client.cookie();
    let fault = json!({"kind": "unavailable", "ms": 60_000});
    client
        .post("/api/lab/store-fault", &fault)
        .send()
        .await
        .unwrap();

    // Where no session is used, nothing is wrong.
    let style = client.get("/assets/style.css").send().await.unwrap();
    assert_eq!(style.status(), StatusCode::OK);
    assert_eq!(
        client.get("/api/nowhere").send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    for refused in [
        client.get("/api/session").send().await.unwrap(),
        client.put("n", &json!(8)).send().await.unwrap(),
        client
            .post("/api/sign-out", &json!({}))
            .send()
            .await
            .unwrap(),
        client.try_sign_in("alice", false).await,
    ] {
        assert_eq!(set_cookies(&refused), [""; 0]);
        assert_eq!(problem(refused, 503).await, "unavailable");
    }
    let page = client.get("/devices").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    let health = client.get("/healthz").send().await.unwrap();
    assert_eq!(problem(health, 503).await, "not-ready");

    let over = json!({"kind": "unavailable", "ms": 0});
    client
        .post("/api/lab/store-fault", &over)
        .send()
        .await
        .unwrap();
    assert_eq!(client.cookie(), cookie);
    assert_eq!(client.subject().await.as_deref(), Some("alice"));
    assert_eq!(client.entry("n").await, 7);
}

#[tokio::test]
async fn row_07_the_client_disconnects_during_a_request() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let thief = client.copy();
    let late = client.slow_in_flight().await;
    late.abort();
    assert!(late.await.is_err());
    let out = client
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(thief.id().await, None);
    assert_eq!(server.metric("session_store_sessions").await, 0);
}

#[tokio::test]
async fn row_09_a_bounded_store_full_of_warm_sessions() {
    let server = Server::start(&["--insecure-cookies", "--store", "memory:?max=20"]);
    let mut clients = Vec::new();
    for number in 0..20 {
        let client = server.client();
        client.sign_in(["alice", "bob"][number % 2]).await;
        clients.push(client);
    }
    for _ in 0..20 {
        let one_more = server.client();
        let refused = one_more.try_sign_in("alice", false).await;
        assert_eq!(set_cookies(&refused), [""; 0]);
        assert_eq!(problem(refused, 503).await, "full");
        let visitor = server.client();
        let refused = visitor.put("n", &json!(1)).send().await.unwrap();
        assert_eq!(problem(refused, 503).await, "full");
    }
    for (number, client) in clients.iter().enumerate() {
        let subject = client.subject().await;
        assert_eq!(subject.as_deref(), Some(["alice", "bob"][number % 2]));
    }
    clients[0]
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap();
    server.client().sign_in("bob").await;
}

#[tokio::test]
async fn row_10_remembered_for_thirty_days_then_any_write() {
    const DAY: u64 = 86_400_000;
    let server = Server::lab();
    let client = server.client();
    let answer = client.try_sign_in("alice", true).await;
    let cookie = set_cookies(&answer).concat();
    let (_, max_age) = cookie.split_once("Max-Age=").unwrap();
    assert!((2_591_900..=2_592_000).contains(&max_age.parse::<u64>().unwrap()));
    let before = client.session().await;
    client.write("n", &json!(1)).await;
    client.write("n", &json!(2)).await;
    let after = client.session().await;
    let lives = after["deadline"].as_u64().unwrap() - after["created_at"].as_u64().unwrap();
    assert_eq!(lives, 30 * DAY);
    assert_eq!(after["deadline"], before["deadline"]);
    assert_eq!(after["expires_at"], after["deadline"]);
}

#[tokio::test]
async fn row_11_a_new_secret_and_then_a_5xx() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    client.write("kept", &json!(1)).await;
    let id = client.id().await;
    for path in ["/api/lab/renew-then-500", "/api/lab/panic"] {
        let answer = client.post(path, &json!({})).send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        assert_eq!(problem(answer, 500).await, "internal");
        let session = client.session().await;
        assert_eq!(session["id"].as_str(), id.as_deref());
        assert_eq!(session["subject"], "alice");
        assert_eq!(session["entries"], json!({"kept": 1}));
    }
}

#[tokio::test]
async fn row_12_update_on_an_existing_key() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(40)).await;
    for _ in 0..2 {
        let path = "/api/session/entries/n/increment";
        client.post(path, &json!({})).send().await.unwrap();
    }
    assert_eq!(client.copy().entry("n").await, 42);
}

/// SECURITY 20.
#[tokio::test]
async fn row_14_a_hundred_requests_without_a_cookie() {
    let server = Server::lab();
    for path in ["/", "/sign-in", "/devices", "/api/session", "/live"] {
        for _ in 0..20 {
            let answer = server.client().get(path).send().await.unwrap();
            assert!(!answer.status().is_server_error());
            assert_eq!(set_cookies(&answer), [""; 0], "{path}");
        }
    }
    assert_eq!(server.metric("session_store_sessions").await, 0);
    assert_eq!(server.events("created").await, 0);
}

/// SECURITY 29.
#[tokio::test]
async fn row_15_a_short_lifetime_is_kept_to_the_millisecond() {
    let server = Server::start(&["--insecure-cookies", "--absolute-timeout", "2s"]);
    let client = server.client();
    client.write("n", &json!(1)).await;
    let client = client.copy();
    let expires_at = client.session().await["expires_at"].as_u64().unwrap();
    let (mut lived, mut died) = (0, 0);
    while died < 20 {
        let asked = now_ms();
        let is_there = client.id().await.is_some();
        let answered = now_ms();
        if answered < expires_at {
            assert!(is_there, "{} ms too early", expires_at - answered);
            lived += 1;
        }
        if asked >= expires_at {
            assert!(!is_there, "{} ms too late", asked - expires_at);
            died += 1;
        }
    }
    assert!(lived > 0);
}

/// SECURITY 8.
#[tokio::test]
async fn row_16_the_host_prefix_is_the_default_and_is_read_back() {
    let server = Server::start(&[]);
    let client = server.client();
    let answer = client.put("n", &json!(1)).send().await.unwrap();
    let cookies = set_cookies(&answer);
    assert_eq!(cookies.len(), 1);
    let (value, attributes) = cookies[0].split_once("; ").unwrap();
    assert!(value.starts_with("__Host-id="));
    let (attributes, max_age) = attributes.split_once("; Max-Age=").unwrap();
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
    assert!((43_100..=43_200).contains(&max_age.parse::<u64>().unwrap()));
    let read = client
        .get("/api/session")
        .header("cookie", pair(&cookies[0]))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(read).await["entries"], json!({"n": 1}));
}
