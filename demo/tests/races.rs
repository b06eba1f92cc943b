//! Requests at the same time, and answers that come late or never.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use support::{Client, Server, pair, problem, set_cookies};

async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no task panics"));
    }
    answers
}

/// Does what is asked, and never gets the answer.
async fn lose(client: &Client, after: &str) {
    let lost = client.post("/api/lab/lose-response", &json!({"after": after}));
    assert!(lost.send().await.is_err(), "the answer came");
}

async fn renew(client: &Client) -> reqwest::Response {
    let answer = client
        .post("/api/lab/renew", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer
}

async fn sign_out(client: &Client) {
    let answer = client
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_hundred_increments_beside_other_writes_make_a_hundred() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(0)).await;
    let answers = together((0..120).map(|number| {
        let client = client.copy();
        async move {
            let answer = if number % 6 == 5 {
                client
                    .put(&format!("other-{number}"), &json!(number))
                    .send()
                    .await
            } else {
                let path = "/api/session/entries/n/increment";
                let body = json!({"by": 1, "hold_ms": 5});
                client.post(path, &body).send().await
            };
            answer.unwrap().status()
        }
    }))
    .await;
    assert!(answers.iter().all(StatusCode::is_success));
    let entries = client.session().await["entries"].clone();
    assert_eq!(entries["n"], 100);
    assert_eq!(entries.as_object().unwrap().len(), 21);
}

/// SECURITY 38: of fifty sign-ins at once under a limit of three, exactly three survive; which, the list
/// says.
#[tokio::test]
async fn fifty_sign_ins_at_once_leave_three_sessions_and_they_are_the_ones_listed() {
    let server = Server::start(&["--insecure-cookies", "--max-sessions", "3"]);
    let clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    let answers = together(
        clients
            .iter()
            .cloned()
            .map(|client| async move { client.try_sign_in("alice", false).await.status() }),
    )
    .await;
    assert!(answers.iter().all(StatusCode::is_success));
    let mut usable = BTreeSet::new();
    let mut listed = BTreeSet::new();
    for client in clients {
        if let Some(id) = client.id().await {
            listed = client
                .devices()
                .await
                .iter()
                .map(|device| device["id"].as_str().unwrap().to_owned())
                .collect();
            usable.insert(id);
        }
    }
    assert_eq!(usable.len(), 3);
    assert_eq!(usable, listed);
}

#[tokio::test]
async fn a_cookie_handed_out_while_all_are_signed_out_works_exactly_if_it_is_listed() {
    let server = Server::lab();
    for _ in 0..5 {
        let first = server.client();
        first.sign_in("alice").await;
        let clients: Vec<_> = (0..20).map(|_| server.client()).collect();
        let mut tasks: Vec<_> = clients
            .iter()
            .cloned()
            .map(|client| tokio::spawn(async move { client.try_sign_in("alice", false).await }))
            .collect();
        let everywhere = tokio::spawn(async move {
            let out = first.post("/api/sign-out-everywhere", &json!({}));
            out.send().await.unwrap().status()
        });
        tasks.rotate_left(10);
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status() != StatusCode::OK {
                assert_eq!(problem(answer, 401).await, "revoked");
            }
        }
        assert_eq!(everywhere.await.unwrap(), StatusCode::OK);
        let last = server.client();
        last.sign_in("alice").await;
        let listed: BTreeSet<_> = last
            .devices()
            .await
            .iter()
            .map(|device| device["id"].as_str().unwrap().to_owned())
            .collect();
        let mut usable = BTreeSet::from([last.id().await.unwrap()]);
        for client in &clients {
            usable.extend(client.id().await);
        }
        assert_eq!(usable, listed);
        last.post("/api/sign-out-everywhere", &json!({}))
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_answer_to_a_renewal_is_lost() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    client.write("cart", &json!({"assam": 1})).await;
    let (id, cookie) = (client.id().await, client.cookie());
    // More often than there is room for secrets that were never seen.
    for _ in 0..6 {
        lose(&client, "renew").await;
        assert_eq!(client.id().await, id);
        assert_eq!(client.cookie(), cookie);
    }
    assert_eq!(client.entry("cart").await, json!({"assam": 1}));
    renew(&client).await;
    assert_ne!(client.cookie(), cookie);
    let after = client.session().await;
    assert_eq!(after["id"].as_str(), id.as_deref());
    assert_eq!(after["subject"], "alice");
    assert_eq!(after["entries"]["cart"], json!({"assam": 1}));
}

#[tokio::test]
async fn the_answer_to_a_sign_in_is_lost() {
    let server = Server::start(&["--insecure-cookies", "--lab", "--max-sessions", "1"]);
    let client = server.client();
    client.write("cart", &json!({"assam": 1})).await;
    let before = client.session().await;
    for _ in 0..3 {
        lose(&client, "sign-in").await;
        let session = client.session().await;
        assert_eq!(session["id"], before["id"]);
        assert_eq!(session["subject"], Value::Null);
        assert_eq!(session["entries"], json!({"cart": {"assam": 1}}));
    }
    // What nobody holds a cookie of keeps nobody out, and its cart comes along.
    client.sign_in("alice").await;
    let session = client.session().await;
    assert_eq!(session["subject"], "alice");
    assert_eq!(session["entries"], json!({"cart": {"assam": 1}}));
    assert_eq!(client.devices().await.len(), 1);
    assert_eq!(server.metric("session_store_sessions").await, 1);
}

#[tokio::test]
async fn the_answer_to_signing_in_again_is_lost() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    client.write("cart", &json!({"assam": 1})).await;
    let before = client.session().await;
    lose(&client, "sign-in").await;
    let session = client.session().await;
    assert_eq!(session["id"], before["id"]);
    assert_eq!(session["subject"], "alice");
    assert_eq!(session["entries"], json!({"cart": {"assam": 1}}));
}

#[tokio::test]
async fn the_answer_to_a_sign_out_is_lost() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let stale = client.cookie();
    lose(&client, "sign-out").await;
    assert_eq!(client.cookie(), stale);
    assert_eq!(client.id().await, None);
    // A write is refused for as long as a newer cookie may be on its way, and no cookie is set.
    let refused = client.put("n", &json!(1)).send().await.unwrap();
    assert_eq!(set_cookies(&refused), [""; 0]);
    assert_eq!(problem(refused, 409).await, "superseded");
    // Signing out again does no harm; signing in gets rid of the stale cookie.
    sign_out(&client).await;
    client.sign_in("bob").await;
    assert_ne!(client.cookie(), stale);
    assert_eq!(client.subject().await.as_deref(), Some("bob"));
    client.write("n", &json!(1)).await;
}

/// SECURITY 25: a late answer never sets or removes a cookie, whatever happened meanwhile.
#[tokio::test]
async fn a_late_answer_leaves_a_newer_cookie_alone() {
    let server = Server::lab();
    for meanwhile in ["sign-in", "again", "renew", "sign-out", "sign-out-and-in"] {
        let client = server.client();
        if meanwhile == "sign-in" {
            client.write("n", &json!(1)).await;
        } else {
            client.sign_in("alice").await;
        }
        let late = client.slow_in_flight().await;
        match meanwhile {
            "sign-in" | "again" => {
                client.sign_in("alice").await;
                // Presented: that ends the session before it.
                client.id().await;
            }
            "renew" => {
                renew(&client).await;
                client.id().await;
            }
            "sign-out" => sign_out(&client).await,
            _ => {
                sign_out(&client).await;
                client.sign_in("alice").await;
            }
        }
        let newer = client.cookie();
        let late = late.await.unwrap();
        assert_eq!(set_cookies(&late), [""; 0], "{meanwhile}");
        assert_eq!(
            late.status().is_success(),
            meanwhile == "renew",
            "{meanwhile}"
        );
        assert_eq!(client.cookie(), newer, "{meanwhile}");
        let subject = client.subject().await;
        let expected = (meanwhile != "sign-out").then_some("alice");
        assert_eq!(subject.as_deref(), expected, "{meanwhile}");
        // It wrote where it belongs, or nowhere.
        let written = client.entry("late").await;
        let expected = if meanwhile == "renew" {
            json!(1)
        } else {
            Value::Null
        };
        assert_eq!(written, expected, "{meanwhile}");
    }
}

#[tokio::test]
async fn whichever_of_two_answers_comes_last_its_cookie_works() {
    let server = Server::lab();
    for keep in [0, 1] {
        let client = server.client();
        client.sign_in("alice").await;
        client.write("n", &json!(1)).await;
        let id = client.id().await;
        let answers = together(
            [client.copy(), client.copy()].map(|client| async move { renew(&client).await }),
        )
        .await;
        client.plant(pair(&set_cookies(&answers[keep])[0]));
        for _ in 0..3 {
            assert_eq!(client.id().await, id);
        }
        assert_eq!(client.entry("n").await, 1);
    }
    for keep in [0, 1] {
        let client = server.client();
        client.write("n", &json!(1)).await;
        let answers = together(
            [client.copy(), client.copy()]
                .map(|client| async move { client.try_sign_in("alice", false).await }),
        )
        .await;
        client.plant(pair(&set_cookies(&answers[keep])[0]));
        for _ in 0..3 {
            assert_eq!(client.subject().await.as_deref(), Some("alice"));
        }
        assert_eq!(client.entry("n").await, 1);
    }
}

/// SECURITY 30.
#[tokio::test]
async fn of_many_requests_at_the_renewal_interval_one_answer_brings_a_new_cookie() {
    let server = Server::start(&["--insecure-cookies", "--renew-every", "1s"]);
    let client = server.client();
    client.sign_in("alice").await;
    client.write("n", &json!(1)).await;
    let (id, cookie) = (client.id().await, client.cookie().unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let answers = together((0..20).map(|_| {
        let client = client.copy();
        async move { set_cookies(&client.get("/api/session").send().await.unwrap()) }
    }))
    .await;
    let set: Vec<_> = answers.concat();
    assert_eq!(set.len(), 1);
    assert_ne!(pair(&set[0]), cookie);
    // Old and new reach the same session.
    assert_eq!(client.id().await, id);
    client.plant(pair(&set[0]));
    assert_eq!(client.id().await, id);
    assert_eq!(client.entry("n").await, 1);
}

/// As a courtesy; but never where a newer cookie may be on its way, or in advance.
#[tokio::test]
async fn a_navigation_forgets_a_cookie_that_is_unknown_and_none_that_was_superseded() {
    let server = Server::lab();
    let unknown = server.client();
    unknown.plant("id=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let superseded = server.client();
    superseded.sign_in("alice").await;
    lose(&superseded, "sign-out").await;
    let navigates = [("sec-fetch-mode", "navigate")].as_slice();
    let prefetches = [("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")].as_slice();
    let fetches = [("sec-fetch-mode", "cors")].as_slice();
    for (client, headers, forgets) in [
        (&unknown, fetches, false),
        (&unknown, prefetches, false),
        (&superseded, fetches, false),
        (&superseded, navigates, false),
        (&unknown, navigates, true),
    ] {
        let before = client.cookie();
        let mut request = client.get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            set_cookies(&answer).len(),
            usize::from(forgets),
            "{headers:?}"
        );
        assert_eq!(client.cookie(), before.filter(|_| !forgets));
    }
}
