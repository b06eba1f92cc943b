//! Whatever is sent: an answer that says what is wrong with it, and no session changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::io::{Read, Write};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use support::{Client, Server, problem, set_cookies};

/// A session with something in it, and how it looks.
async fn a_session(server: &Server) -> (Client, Value) {
    let client = server.client();
    client.sign_in("alice").await;
    client.write("kept", &json!([1, {"two": "drei"}])).await;
    let session = client.session().await;
    (client, session)
}

async fn is_unchanged(mut server: Server, client: &Client, before: &Value) {
    let after = client.session().await;
    for field in ["id", "subject", "entries", "deadline"] {
        assert_eq!(after[field], before[field]);
    }
    assert!(server.is_running());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

fn put(client: &Client, name: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    client
        .request(Method::PUT, &format!("/api/session/entries/{name}"))
        .header("content-type", "application/json")
        .body(body)
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    let deep = "[".repeat(50_000);
    let bad: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"nul",
        b"01",
        b"1 2",
        b"'a'",
        b"NaN",
        b"Infinity",
        b"{\"a\":1,}",
        b"\"\x01\"",
        b"\"\\x\"",
        b"\"unclosed",
        b"\xff\xfe",
        b"\"\xc3\x28\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf8\x88\x80\x80\x80\"",
        b"\x00",
        b"1\x00",
        b"\xef\xbb\xbf1",
        deep.as_bytes(),
    ];
    for body in bad {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let answer = put(&client, "n", body.to_vec()).send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        assert_eq!(problem(answer, 400).await, "bad-json", "{shown:?}");
        if body.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        for path in [
            "/api/sign-in",
            "/api/slow",
            "/api/session/entries/n/increment",
            "/api/lab/store-fault",
        ] {
            let answer = client
                .request(Method::POST, path)
                .header("content-type", "application/json")
                .body(body.to_vec())
                .send()
                .await
                .unwrap();
            assert_eq!(problem(answer, 400).await, "bad-json", "{path} {shown:?}");
        }
    }
    is_unchanged(server, &client, &before).await;
}

#[tokio::test]
async fn json_of_another_shape_is_refused() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    let bad = [
        ("/api/sign-in", json!({"user": "alice"})),
        ("/api/sign-in", json!({"user": 1, "password": 2})),
        (
            "/api/sign-in",
            json!({"user": "alice", "password": "wonderland", "remember": "yes"}),
        ),
        (
            "/api/sign-in",
            json!({"user": "alice", "password": "wonderland", "id": "x"}),
        ),
        ("/api/sign-in", json!([])),
        ("/api/slow", json!({"ms": -1, "name": "a", "value": 1})),
        ("/api/slow", json!({"ms": 1e300, "name": "a", "value": 1})),
        ("/api/slow", json!({"ms": 1, "name": "a"})),
        ("/api/slow", json!({"ms": 1, "name": null, "value": 1})),
        ("/api/session/entries/n/increment", json!({"by": 1.5})),
        ("/api/session/entries/n/increment", json!({"by": "1"})),
        ("/api/session/entries/n/increment", json!({"by": 1e30})),
        ("/api/session/entries/n/increment", json!({"hold_ms": -5})),
        ("/api/lab/store-fault", json!({"kind": "fire", "ms": 1})),
        ("/api/lab/lose-response", json!({"after": "lunch"})),
    ];
    for (path, body) in bad {
        let answer = client.post(path, &body).send().await.unwrap();
        assert_eq!(problem(answer, 400).await, "bad-json", "{path} {body}");
    }
    let out_of_bounds = [
        ("/api/slow", json!({"ms": 10_001, "name": "a", "value": 1})),
        (
            "/api/slow",
            json!({"ms": u64::MAX, "name": "a", "value": 1}),
        ),
        (
            "/api/session/entries/n/increment",
            json!({"hold_ms": 3_600_000}),
        ),
        (
            "/api/lab/store-fault",
            json!({"kind": "hang", "ms": 60_001}),
        ),
    ];
    for (path, body) in out_of_bounds {
        let answer = client.post(path, &body).send().await.unwrap();
        assert_eq!(problem(answer, 400).await, "out-of-bounds", "{path} {body}");
    }
    let path = "/api/session/entries/kept/increment";
    let answer = client.post(path, &json!({})).send().await.unwrap();
    assert_eq!(problem(answer, 422).await, "not-a-number");
    is_unchanged(server, &client, &before).await;
}

#[tokio::test]
async fn numbers_that_would_overflow_stay_at_the_end_of_their_range() {
    let server = Server::lab();
    let client = server.client();
    client.write("n", &json!(i64::MAX)).await;
    let path = "/api/session/entries/n/increment";
    for by in [1, i64::MAX] {
        let answer = client.post(path, &json!({"by": by})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(client.entry("n").await, i64::MAX);
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "garbage",
    ] {
        let request = client
            .request(Method::PUT, "/api/session/entries/n")
            .header("content-type", kind)
            .body("1");
        // From the application's own pages, it is the wrong type; from a program, nothing shows that it
        // is one.
        let own = request
            .try_clone()
            .unwrap()
            .header("sec-fetch-site", "same-origin");
        assert_eq!(
            problem(own.send().await.unwrap(), 415).await,
            "unsupported-media-type"
        );
        assert_eq!(
            problem(request.send().await.unwrap(), 403).await,
            "cross-origin"
        );
    }
    is_unchanged(server, &client, &before).await;
}

/// SECURITY 43.
#[tokio::test]
async fn a_value_of_one_mebibyte_is_kept_and_a_longer_one_is_refused() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    let text = |len: usize| format!("\"{}\"", "x".repeat(len - 2));
    for len in [(1 << 20) + 1, (1 << 20) + (4 << 10), 2 << 20, 6 << 20] {
        let answer = put(&client, "big", text(len)).send().await.unwrap();
        assert_eq!(problem(answer, 413).await, "too-large", "{len}");
    }
    let answer = client
        .post(
            "/api/sign-in",
            &json!({"user": "alice", "password": text(1 << 20)}),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer, 413).await, "too-large");
    let answer = put(&client, "big", text(1 << 20)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        client.entry("big").await.as_str().unwrap().len(),
        (1 << 20) - 2
    );
    // Three more do not fit: four MiB is the bound of names and values together.
    let mut statuses = Vec::new();
    for name in ["big-2", "big-3", "big-4"] {
        let answer = put(&client, name, text(1 << 20)).send().await.unwrap();
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [204, 204, 413]);
    for name in ["big", "big-2", "big-3"] {
        let gone = client.delete(&format!("/api/session/entries/{name}"));
        assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    is_unchanged(server, &client, &before).await;
}

/// SECURITY 43.
#[tokio::test]
async fn of_ten_thousand_entries_those_beyond_the_bound_are_refused() {
    let server = Server::lab();
    let (client, _) = a_session(&server).await;
    let mut tasks = Vec::new();
    for worker in 0..20 {
        let client = client.clone();
        tasks.push(tokio::spawn(async move {
            let (mut kept, mut refused) = (0, 0);
            for number in 0..500 {
                let name = format!("entry-{worker}-{number}");
                let answer = put(&client, &name, "1").send().await.unwrap();
                match answer.status() {
                    StatusCode::NO_CONTENT => kept += 1,
                    _ => {
                        assert_eq!(problem(answer, 413).await, "too-large");
                        refused += 1;
                    }
                }
            }
            (kept, refused)
        }));
    }
    let (mut kept, mut refused) = (0, 0);
    for task in tasks {
        let counted = task.await.unwrap();
        kept += counted.0;
        refused += counted.1;
    }
    assert_eq!(kept + refused, 10_000);
    let entries = client.session().await["entries"].clone();
    assert_eq!(entries.as_object().unwrap().len(), kept + 1);
    assert_eq!(entries["kept"], json!([1, {"two": "drei"}]));
    assert!((1_000..=1_024).contains(&kept), "{kept}");
}

#[tokio::test]
async fn names_of_every_byte_are_kept_or_refused() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    for byte in 0..=255_u8 {
        let answer = put(&client, &format!("a%{byte:02X}b"), "1")
            .send()
            .await
            .unwrap();
        match byte {
            0 => assert_eq!(problem(answer, 400).await, "name"),
            1..=0x7f => {
                assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{byte:#x}");
                let name = format!("a{}b", char::from(byte));
                assert_eq!(client.entry(&name).await, 1, "{byte:#x}");
                let path = format!("/api/session/entries/a%{byte:02X}b");
                let gone = client.delete(&path).send().await.unwrap();
                assert_eq!(gone.status(), StatusCode::NO_CONTENT);
            }
            0x80.. => assert_eq!(problem(answer, 400).await, "bad-request"),
        }
    }
    let long = "ä".repeat(127);
    let answer = put(&client, &format!("{long}x"), "1").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "255 bytes");
    let path = format!("/api/session/entries/{long}x");
    client.delete(&path).send().await.unwrap();
    for (name, kind) in [
        (format!("{long}xx"), "name"),
        ("x".repeat(10_000), "name"),
        ("session:csrf".to_owned(), "name"),
        ("session:ticket".to_owned(), "name"),
        ("session%3Alabels".to_owned(), "name"),
        ("%00".to_owned(), "name"),
        ("%C3%28".to_owned(), "bad-request"),
    ] {
        for request in [
            put(&client, &name, "1"),
            client.delete(&format!("/api/session/entries/{name}")),
            client.post(
                &format!("/api/session/entries/{name}/increment"),
                &json!({}),
            ),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(problem(answer, 400).await, kind, "{name}");
        }
    }
    for name in ["", "a/b"] {
        let answer = put(&client, name, "1").send().await.unwrap();
        assert_eq!(problem(answer, 404).await, "not-found", "{name:?}");
    }
    is_unchanged(server, &client, &before).await;
}

/// SECURITY 5.
#[tokio::test]
async fn hostile_cookies_are_no_session_and_get_none() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    let nobody = server.client();
    let good = client.cookie().unwrap();
    let token = good.strip_prefix("id=").unwrap().to_owned();
    let mut cookies: Vec<Vec<u8>> = [
        "id=",
        "id",
        "=",
        ";;;;",
        "id=*",
        "id='; DROP TABLE sessions; --",
        "id={}",
        "id=../../etc/passwd",
        "id=%00",
        "id=\"\"",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    cookies.extend([
        format!("id={}", "A".repeat(10_000)).into_bytes(),
        format!("id={token}A").into_bytes(),
        format!("id={}", &token[..42]).into_bytes(),
        format!("id={token}=").into_bytes(),
        format!("id={}", token.to_uppercase()).into_bytes(),
        format!("ID={token}").into_bytes(),
        format!("xid={token}").into_bytes(),
        b"id=\xff\xfe\xfd".to_vec(),
        [b"id=".as_slice(), token.as_bytes(), b"\xc3\xa4"].concat(),
        b"id=a\tb".to_vec(),
    ]);
    let many: Vec<String> = (0..2_000).map(|number| format!("id=x{number}")).collect();
    cookies.push(many.join("; ").into_bytes());
    for cookie in cookies {
        let shown = String::from_utf8_lossy(&cookie[..cookie.len().min(60)]).into_owned();
        let value = reqwest::header::HeaderValue::from_bytes(&cookie).unwrap();
        let read = nobody.get("/api/session").header("cookie", value);
        let answer = read.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{shown}");
        assert_eq!(set_cookies(&answer), [""; 0], "{shown}");
        let session = support::json_of(answer).await;
        assert_eq!(session["id"], Value::Null, "{shown}");
    }
    assert_eq!(server.metric("session_store_sessions").await, 1);
    is_unchanged(server, &client, &before).await;
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there_say_so() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/lab/nothing",
        "/api/session/entries",
    ] {
        let answer = client.get(path).send().await.unwrap();
        assert_eq!(problem(answer, 404).await, "not-found", "{path}");
    }
    for (method, path) in [
        (Method::PATCH, "/api/session"),
        (Method::DELETE, "/api/session"),
        (Method::GET, "/api/sign-in"),
        (Method::GET, "/api/session/entries/n"),
        (Method::GET, "/api/lab/panic"),
    ] {
        let request = client.request(method, path).json(&json!({}));
        assert_eq!(
            problem(request.send().await.unwrap(), 405).await,
            "method-not-allowed"
        );
    }
    for id in ["x", "%FF", "00000000000000000000000000000000", "", "a/b"] {
        let answer = client
            .delete(&format!("/api/devices/{id}"))
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer, 404).await, "not-found", "{id}");
    }
    let answer = client.get("/nothing").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    is_unchanged(server, &client, &before).await;
}

#[tokio::test]
async fn without_the_lab_its_endpoints_are_not_there() {
    let server = Server::start(&["--insecure-cookies"]);
    let answer = server
        .client()
        .post("/api/lab/panic", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer, 404).await, "not-found");
}

#[tokio::test]
async fn forms_that_make_no_sense_are_refused_with_a_page() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    for (path, body) in [
        ("/cart", ""),
        ("/cart", "action=add"),
        ("/cart", "action=steal&tea=assam"),
        ("/cart", "action=add&tea=coffee"),
        ("/cart", "action=add&tea=%FF"),
        ("/sign-in", ""),
        ("/sign-in", "user=alice"),
    ] {
        let answer = client.form(path, body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path} {body}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    }
    let huge = format!("action=add&tea={}", "x".repeat(100_000));
    let answer = client.form("/cart", &huge).send().await.unwrap();
    assert!(answer.status().is_client_error());
    is_unchanged(server, &client, &before).await;
}

#[tokio::test]
async fn what_is_not_http_does_no_harm() {
    let server = Server::lab();
    let (client, before) = a_session(&server).await;
    for request in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: id=\0\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"PUT /api/session/entries/n HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n1",
        b"PUT /api/session/entries/n HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n1\r\n0\r\n\r\n",
    ] {
        let answer = server.raw(request);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let huge = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: id={}\r\n\r\n",
        "A".repeat(1 << 20)
    );
    let mut stream = server.connect();
    // It may hang up before it has read all that.
    let _ = stream.write_all(huge.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"));
    is_unchanged(server, &client, &before).await;
}
