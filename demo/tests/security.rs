//! Statements about security that take a whole server to test. Each carries its number.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use support::{Client, Server, json_of, now_ms, pair, problem, set_cookies};

/// A well-formed token that no server issued.
const INVENTED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn token(client: &Client) -> String {
    let cookie = client.cookie().expect("a cookie");
    cookie.strip_prefix("id=").expect("ours").to_owned()
}

async fn sign_out(client: &Client) -> reqwest::Response {
    client
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap()
}

/// SECURITY 6: a token in the address or the body is ignored.
#[tokio::test]
async fn a_token_anywhere_but_in_the_cookie_is_ignored() {
    let server = Server::lab();
    let victim = server.client();
    victim.sign_in("alice").await;
    let (token, id) = (token(&victim), victim.id().await.unwrap());
    let thief = server.client();
    for path in [
        format!("/api/session?id={token}"),
        format!("/api/session?__Host-id={token}&session={id}"),
        format!("/api/session;id={token}"),
        format!("/api/session/{token}"),
    ] {
        let answer = thief.get(&path).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            assert_eq!(json_of(answer).await["id"], Value::Null, "{path}");
        }
    }
    let written = thief.put("n", &json!({"id": token})).send().await.unwrap();
    assert_eq!(written.status(), StatusCode::NO_CONTENT);
    assert_ne!(thief.id().await.unwrap(), id);
    let form = format!("action=add&tea=assam&id={token}");
    thief.form("/cart", &form).send().await.unwrap();
    assert_eq!(victim.entry("cart").await, Value::Null);
    // No header but `Cookie` is read here either.
    for (name, value) in [
        ("authorization", format!("Bearer {token}")),
        ("x-session-id", token.clone()),
        ("set-cookie", format!("id={token}")),
    ] {
        let answer = server
            .client()
            .get("/api/session")
            .header(name, value)
            .send()
            .await;
        assert_eq!(json_of(answer.unwrap()).await["id"], Value::Null, "{name}");
    }
}

/// SECURITY 14: two `Cookie` lines, and the pieces that HTTP/2 splits them into, are all read.
#[tokio::test]
async fn all_cookie_lines_are_read() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(1)).await;
    let cookie = client.cookie().unwrap();
    let h2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let h1 = reqwest::Client::new();
    for (http, version) in [
        (h1, reqwest::Version::HTTP_11),
        (h2, reqwest::Version::HTTP_2),
    ] {
        for lines in [
            [cookie.as_str(), "theme=dark"],
            ["theme=dark", cookie.as_str()],
            ["id=junk", cookie.as_str()],
        ] {
            let mut request = http.get(format!("{}/api/session", server.base));
            for line in lines {
                request = request.header("cookie", line);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.version(), version);
            assert_eq!(
                json_of(answer).await["entries"],
                json!({"n": 1}),
                "{lines:?}"
            );
        }
    }
}

/// SECURITY 15: of several cookies of our name each is tried, in any order, up to eight.
#[tokio::test]
async fn several_cookies_of_our_name_are_tried_in_any_order_up_to_a_bound() {
    let server = Server::lab();
    let visitor = server.client();
    visitor.write("n", &json!(1)).await;
    let visitor = visitor.cookie().unwrap();
    let user = server.client();
    user.sign_in("alice").await;
    let user = user.cookie().unwrap();
    let seen = async |cookies: String| {
        let read = server
            .client()
            .get("/api/session")
            .header("cookie", cookies);
        json_of(read.send().await.unwrap()).await
    };
    for cookies in [
        format!("id={INVENTED}; {visitor}"),
        format!("{visitor}; id={INVENTED}"),
        format!("id=; id=junk; {visitor}; id=more"),
    ] {
        assert_eq!(seen(cookies).await["entries"], json!({"n": 1}));
    }
    // Of two sessions the one that is signed in wins, wherever it stands.
    for cookies in [format!("{visitor}; {user}"), format!("{user}; {visitor}")] {
        assert_eq!(seen(cookies).await["subject"], "alice");
    }
    assert_eq!(server.events("conflicting_tokens").await, 2);
    let others = |count: usize| {
        let other = |number| format!("id={number:02}{}", &INVENTED[2..]);
        (0..count).map(other).collect::<Vec<_>>().join("; ")
    };
    let eighth = seen(format!("{}; {visitor}", others(7))).await;
    assert_eq!(eighth["entries"], json!({"n": 1}));
    let ninth = seen(format!("{}; {visitor}", others(8))).await;
    assert_eq!(ninth["id"], Value::Null);
}

/// SECURITY 16: what removes a cookie has the name and attributes of what set it.
#[tokio::test]
async fn a_cookie_is_removed_by_the_attributes_that_it_was_set_with() {
    for flags in [[].as_slice(), &["--insecure-cookies"]] {
        let server = Server::start(flags);
        let client = server.client();
        let set = set_cookies(&client.try_sign_in("alice", false).await).concat();
        let out = client
            .post("/api/sign-out", &json!({}))
            .header("cookie", pair(&set))
            .send()
            .await
            .unwrap();
        let removal = set_cookies(&out).concat();
        let (name, rest) = set.split_once('=').unwrap();
        let (_, attributes) = rest.split_once("; ").unwrap();
        let (attributes, _) = attributes.split_once("; Max-Age=").unwrap();
        assert_eq!(
            removal,
            format!("{name}=; {attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        );
    }
}

/// SECURITY 17: what sets or removes a cookie is kept by no cache; what depends on one says so.
#[tokio::test]
async fn no_cache_keeps_a_response_that_sets_a_cookie() {
    let server = Server::lab();
    let client = server.client();
    let mut set = 0;
    for request in [
        client.put("n", &json!(1)),
        client.get("/api/session"),
        client.post(
            "/api/sign-in",
            &json!({"user": "alice", "password": "wonderland"}),
        ),
        client.get("/devices"),
        client.post("/api/lab/renew", &json!({})),
        client.post("/api/sign-out-others", &json!({})),
        client.form("/sign-in", "user=bob&password=builder"),
        client.get("/"),
        client.form("/sign-out", ""),
        client.get("/"),
        client.get("/assets/style.css"),
    ] {
        let answer = request.send().await.unwrap();
        let control = answer.headers()["cache-control"].to_str().unwrap();
        let depends = answer.headers().get_all("vary").iter();
        let depends = depends.into_iter().any(|value| value == "cookie");
        let path = answer.url().path();
        if path == "/assets/style.css" {
            assert!(!depends);
            continue;
        }
        assert!(depends, "{path}");
        if !set_cookies(&answer).is_empty() {
            set += 1;
            assert_eq!(control, "no-store", "{path}");
        }
        assert!(["no-store", "private"].contains(&control), "{path}");
        if path == "/devices" {
            assert_eq!(control, "no-store");
        }
    }
    assert_eq!(set, 6);
}

/// SECURITY 18: a token stands in `Set-Cookie`, and nowhere else.
#[tokio::test]
async fn a_token_stands_in_set_cookie_and_nowhere_else() {
    let server = Server::lab();
    let client = server.client();
    let mut tokens = Vec::new();
    let mut seen = String::new();
    for request in [
        client.put("n", &json!(1)),
        client.get("/"),
        client.post(
            "/api/sign-in",
            &json!({"user": "alice", "password": "wonderland"}),
        ),
        client.get("/"),
        client.get("/devices"),
        client.get("/api/session"),
        client.get("/api/devices"),
        client.post("/api/lab/renew", &json!({})),
        client.post("/api/lab/renew-then-500", &json!({})),
        client.post("/api/lab/panic", &json!({})),
        client.form("/cart", "action=add&tea=nothing"),
        client.put("%00", &json!(1)),
        client.get("/nowhere"),
        client.post("/api/sign-out", &json!({})),
        client.get("/api/session"),
        client.get("/metrics"),
    ] {
        let answer = request.send().await.unwrap();
        for cookie in set_cookies(&answer) {
            tokens.push(pair(&cookie).strip_prefix("id=").unwrap().to_owned());
        }
        for (name, value) in answer.headers() {
            if name != "set-cookie" {
                seen.push_str(&format!(
                    "{name}: {}\n",
                    String::from_utf8_lossy(value.as_bytes())
                ));
            }
        }
        seen.push_str(&answer.text().await.unwrap());
    }
    tokens.retain(|token| !token.is_empty());
    assert_eq!(tokens.len(), 3);
    seen.push_str(&server.log());
    assert!(seen.contains("signed_in"), "the log was read");
    for token in tokens {
        // Not even the half of it that is the secret.
        assert!(!seen.contains(&token) && !seen.contains(&token[22..]));
    }
}

/// SECURITY 19: behind a proxy that ends TLS the cookie is as it always is, whatever the proxy or a
/// client says.
#[tokio::test]
async fn forwarding_headers_change_no_cookie() {
    let server = Server::start(&[]);
    for (name, value) in [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "proto=http"),
        ("x-forwarded-ssl", "off"),
    ] {
        let answer = server
            .client()
            .put("n", &json!(1))
            .header(name, value)
            .send()
            .await;
        let cookie = set_cookies(&answer.unwrap()).concat();
        assert!(cookie.starts_with("__Host-id="), "{cookie}");
        assert!(
            cookie.contains("; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
    }
    // Nor is a forwarded host believed: a sign-in from another origin stays one.
    let body = json!({"user": "alice", "password": "wonderland"});
    let forged = server
        .client()
        .post("/api/sign-in", &body)
        .header("origin", "http://evil.example")
        .header("x-forwarded-host", "evil.example");
    assert_eq!(
        problem(forged.send().await.unwrap(), 403).await,
        "cross-origin"
    );
}

/// SECURITY 20: whoever stores nothing gets no cookie and is not stored.
#[tokio::test]
async fn reading_stores_nothing_and_sets_no_cookie() {
    let server = Server::lab();
    let client = server.client();
    for request in [
        client.get("/"),
        client.get("/sign-in"),
        client.get("/api/session"),
        client.get("/assets/live.js"),
        client.delete("/api/session/entries/nothing"),
        client.post("/api/lab/clear", &json!({})),
        client.post("/api/lab/renew", &json!({})),
        client.post("/api/sign-out", &json!({})),
    ] {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success());
        assert_eq!(set_cookies(&answer), [""; 0], "{}", answer.url());
    }
    assert_eq!(server.metric("session_store_sessions").await, 0);
    // Reading alone neither renews nor sets the cookie anew.
    client.write("n", &json!(1)).await;
    for _ in 0..3 {
        let answer = client.get("/api/session").send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
    }
}

/// SECURITY 21: signing in, signing in again and signing out each end what was before, with nothing
/// elevated in between.
#[tokio::test]
async fn every_change_of_rights_brings_a_new_id_and_ends_the_old_one() {
    let server = Server::lab();
    let client = server.client();
    client.write("cart", &json!(1)).await;
    let (mut id, mut before) = (client.id().await, client.copy());
    for user in ["alice", "alice", "bob"] {
        let level = before.subject().await;
        client.sign_in(user).await;
        assert_ne!(client.cookie(), before.cookie());
        // Until the new cookie is seen, the one before has its own rights, and never the new ones.
        if level.as_deref() != Some("bob") && user != "bob" {
            assert_eq!(before.subject().await, level);
        }
        assert_eq!(client.subject().await.as_deref(), Some(user));
        assert_eq!(before.id().await, None, "presented: {user}");
        assert_ne!(client.id().await, id);
        (id, before) = (client.id().await, client.copy());
    }
    // Of another's session nothing is taken over.
    assert_eq!(client.entry("cart").await, Value::Null);
    let out = sign_out(&client).await;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(before.id().await, None);
    client.write("n", &json!(1)).await;
    assert_ne!(client.id().await, id);
}

/// SECURITY 22: an id that an attacker planted before the sign-in is worth nothing after it.
#[tokio::test]
async fn a_planted_session_stays_anonymous() {
    let server = Server::lab();
    let attacker = server.client();
    attacker.write("planted", &json!(1)).await;
    let victim = attacker.copy();
    victim.sign_in("alice").await;
    assert_eq!(attacker.subject().await, None);
    victim.write("private", &json!(1)).await;
    assert_eq!(attacker.id().await, None);
    assert_eq!(attacker.entry("private").await, Value::Null);
}

/// SECURITY 28: the idle timeout is kept by the server, and use moves it.
#[tokio::test]
async fn an_idle_session_expires_and_a_used_one_does_not() {
    let server = Server::start(&["--insecure-cookies", "--idle-timeout", "1s"]);
    let (idle, used) = (server.client(), server.client());
    idle.write("n", &json!(1)).await;
    used.write("n", &json!(1)).await;
    let until = now_ms() + 2_500;
    while now_ms() < until {
        assert!(used.id().await.is_some());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(idle.id().await, None);
}

/// SECURITY 29: the absolute deadline does not move, whatever is done; a renewal moves it no further.
#[tokio::test]
async fn nothing_moves_the_deadline() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let deadline = client.session().await["deadline"].clone();
    client.write("n", &json!(1)).await;
    client
        .post("/api/lab/renew", &json!({}))
        .send()
        .await
        .unwrap();
    client
        .post("/api/sign-out-others", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(client.session().await["deadline"], deadline);
}

/// SECURITY 35: after signing out the very same cookie is worth nothing.
#[tokio::test]
async fn a_cookie_replayed_after_signing_out_is_anonymous() {
    let server = Server::lab();
    for path in ["/api/sign-out", "/api/sign-out-everywhere"] {
        let client = server.client();
        client.sign_in("alice").await;
        let replay = client.copy();
        assert_eq!(replay.subject().await.as_deref(), Some("alice"));
        let out = client.post(path, &json!({})).send().await.unwrap();
        assert!(out.status().is_success());
        assert_eq!(client.cookie(), None);
        assert_eq!(replay.id().await, None);
        let page = replay.get("/devices").send().await.unwrap();
        assert_eq!(page.status(), StatusCode::SEE_OTHER);
    }
}

/// SECURITY 36: signing out others, and everywhere, ends what it says at once.
#[tokio::test]
async fn the_others_are_signed_out_and_then_everybody() {
    let server = Server::lab();
    let (first, second, third) = (server.client(), server.client(), server.client());
    let bob = server.client();
    for client in [&first, &second, &third] {
        client.sign_in("alice").await;
    }
    bob.sign_in("bob").await;
    let thief = first.copy();
    let out = first
        .post("/api/sign-out-others", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(out).await, json!({"ended": 2}));
    assert_eq!(second.id().await, None);
    assert_eq!(third.id().await, None);
    assert_eq!(first.devices().await.len(), 1);
    // Its own secret is a new one; the former one goes with the overlap.
    assert_ne!(first.cookie(), thief.cookie());
    second.sign_in("alice").await;
    let out = first
        .post("/api/sign-out-everywhere", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(out).await, json!({"ended": 2}));
    for client in [&first, &second, &third, &thief] {
        assert_eq!(client.id().await, None);
    }
    assert_eq!(bob.subject().await.as_deref(), Some("bob"));
}

/// SECURITY 37: the list of devices shows when and where from, by handles that grant nothing.
#[tokio::test]
async fn devices_are_listed_and_signed_out_by_handles_that_grant_nothing() {
    let server = Server::lab();
    let (phone, laptop) = (server.client(), server.client());
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let body = json!({"user": "alice", "password": "wonderland"});
    laptop
        .post("/api/sign-in", &body)
        .header("user-agent", agent)
        .send()
        .await
        .unwrap();
    phone.sign_in("alice").await;
    let devices = phone.devices().await;
    assert_eq!(devices.len(), 2);
    let current: Vec<_> = devices
        .iter()
        .filter(|device| device["current"] == true)
        .collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["id"].as_str(), phone.id().await.as_deref());
    let other = devices
        .iter()
        .find(|device| device["current"] == false)
        .unwrap();
    assert_eq!(
        other["labels"],
        json!({"browser": "Firefox on Linux", "address": "127.0.0.1"})
    );
    for field in ["created_at", "last_seen_at", "expires_at"] {
        assert!(
            other[field].as_u64().unwrap() > 1_700_000_000_000,
            "{field}"
        );
    }
    let handle = other["id"].as_str().unwrap();
    let thief = server.client();
    thief.plant(&format!("id={handle}"));
    assert_eq!(thief.id().await, None);
    let bob = server.client();
    bob.sign_in("bob").await;
    let stolen = bob
        .delete(&format!("/api/devices/{handle}"))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(stolen, 404).await, "not-found");
    assert_eq!(laptop.subject().await.as_deref(), Some("alice"));
    let out = phone
        .delete(&format!("/api/devices/{handle}"))
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(laptop.id().await, None);
    let again = phone
        .delete(&format!("/api/devices/{handle}"))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(again, 404).await, "not-found");
    let nobody = server.client().get("/api/devices").send().await.unwrap();
    assert_eq!(problem(nobody, 401).await, "not-signed-in");
}

/// SECURITY 39: what matters asks for a recent sign-in, and signing in again is enough.
#[tokio::test]
async fn checking_out_asks_for_a_recent_sign_in() {
    let server = Server::start(&["--insecure-cookies", "--fresh-sign-in", "1s"]);
    let client = server.client();
    client
        .form("/cart", "action=add&tea=assam")
        .send()
        .await
        .unwrap();
    let location = async || {
        let answer = client.form("/check-out", "").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    assert!(location().await.contains("sign-in-first"));
    let before = client.sign_in("alice").await["authenticated_at"]
        .as_u64()
        .unwrap();
    while now_ms() <= before + 1_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(location().await.contains("sign-in-again"));
    assert_eq!(client.entry("cart").await, json!({"assam": 1}));
    let after = client.sign_in("alice").await["authenticated_at"]
        .as_u64()
        .unwrap();
    assert!(after > before);
    assert!(location().await.contains("ordered"));
    assert_eq!(client.entry("cart").await, Value::Null);
}

/// SECURITY 40: unknown tokens are counted, and the log says who presents them. SECURITY 4: none of them
/// is adopted.
#[tokio::test]
async fn guessing_tokens_is_counted_and_told() {
    let server = Server::lab();
    for number in 0..20 {
        let guess = format!("id={number:02}{}", &INVENTED[2..]);
        let read = server.client().get("/api/session").header("cookie", guess);
        assert_eq!(json_of(read.send().await.unwrap()).await["id"], Value::Null);
    }
    assert_eq!(server.events("unknown_token").await, 20);
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("unknown_token"));
    assert!(told.clone().all(|line| line.contains("127.0.0.1")), "{log}");
    assert_eq!(told.count(), 20);
    assert_eq!(server.metric("session_store_sessions").await, 0);
}

/// SECURITY 41: what happens to sessions is told once each.
#[tokio::test]
async fn events_are_told_once() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(1)).await;
    client.sign_in("alice").await;
    client.id().await;
    client
        .post("/api/lab/renew", &json!({}))
        .send()
        .await
        .unwrap();
    client.id().await;
    let old = client.copy();
    sign_out(&client).await;
    old.id().await;
    for (event, times) in [
        ("created", 1),
        ("signed_in", 1),
        ("replaced", 1),
        ("renewed", 1),
        ("signed_out", 1),
        ("superseded_token", 1),
        ("unknown_token", 0),
    ] {
        assert_eq!(server.events(event).await, times, "{event}");
    }
}

/// SECURITY 42: a write that the store did not take is no success, and a store that does not answer is no
/// sign-out. However it fails.
#[tokio::test]
async fn a_failing_store_is_neither_success_nor_a_new_session() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    client.write("n", &json!(1)).await;
    let cookie = client.cookie();
    for kind in ["unavailable", "unknown", "hang", "full"] {
        // It fails once the session is loaded: between the handler and the commit.
        let late = client.slow_in_flight().await;
        let fault = json!({"kind": kind, "ms": 60_000});
        client
            .post("/api/lab/store-fault", &fault)
            .send()
            .await
            .unwrap();
        let late = late.await.unwrap();
        assert_eq!(set_cookies(&late), [""; 0], "{kind}");
        let expected = if kind == "full" {
            "full"
        } else {
            "unavailable"
        };
        assert_eq!(problem(late, 503).await, expected, "{kind}");
        let over = json!({"kind": kind, "ms": 0});
        client
            .post("/api/lab/store-fault", &over)
            .send()
            .await
            .unwrap();
        let session = client.session().await;
        assert_eq!(session["subject"], "alice", "{kind}");
        assert_eq!(session["entries"]["n"], 1, "{kind}");
        assert_eq!(client.cookie(), cookie, "{kind}");
        client
            .delete("/api/session/entries/late")
            .send()
            .await
            .unwrap();
    }
}

/// SECURITY 45: a CSRF token belongs to its session, and is another one after a sign-in. Only where the
/// browser's own headers say nothing is it asked for.
#[tokio::test]
async fn a_csrf_token_is_bound_to_its_session_and_new_with_each_sign_in() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let csrf_token = async |client: &Client| {
        let page = client.get("/").send().await.unwrap().text().await.unwrap();
        let (_, rest) = page.split_once("name=\"csrf-token\" content=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let add = async |client: &Client, token: Option<&str>| {
        let mut request = client
            .request(Method::POST, "/cart")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("action=add&tea=assam");
        if let Some(token) = token {
            request = request.header("x-csrf-token", token);
        }
        request.send().await.unwrap().status()
    };
    let first = csrf_token(&client).await;
    assert_eq!(add(&client, None).await, StatusCode::FORBIDDEN);
    assert_eq!(add(&client, Some("guess")).await, StatusCode::FORBIDDEN);
    assert_eq!(add(&client, Some(&first)).await, StatusCode::SEE_OTHER);
    client.sign_in("alice").await;
    let second = csrf_token(&client).await;
    assert_ne!(first, second);
    assert_eq!(add(&client, Some(&first)).await, StatusCode::FORBIDDEN);
    assert_eq!(add(&client, Some(&second)).await, StatusCode::SEE_OTHER);
    let other = server.client();
    other.sign_in("bob").await;
    assert_eq!(add(&other, Some(&second)).await, StatusCode::FORBIDDEN);
}

/// SECURITY 45: what another site makes a browser send is refused, in whatever form it comes.
#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let own = server.base.clone();
    let foreign: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    for headers in foreign {
        for (path, body) in [
            ("/sign-in", "user=bob&password=builder"),
            ("/sign-out", ""),
            ("/cart", "action=add&tea=assam"),
            ("/sign-out-everywhere", ""),
        ] {
            let mut request = client
                .request(Method::POST, path)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
            assert_eq!(set_cookies(&answer), [""; 0]);
        }
        if headers.is_empty() {
            // A program that speaks JSON is let in: no browser sends that unasked.
            continue;
        }
        let mut request = client.post("/api/sign-out", &json!({}));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!(client.subject().await.as_deref(), Some("alice"));
    let answer = client
        .request(Method::POST, "/sign-out")
        .header("origin", &own)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
}
