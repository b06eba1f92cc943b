//! The pages as somebody without a script meets them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use support::{Client, Server, set_cookies};

async fn page(client: &Client, path: &str) -> String {
    let answer = client.get(path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    answer.text().await.unwrap()
}

/// Sends a form and goes where the answer says.
async fn send(client: &Client, path: &str, body: &str) -> String {
    let answer = client.form(path, body).send().await.unwrap();
    page(client, &location(&answer)).await
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with('/') && !location.starts_with("//"),
        "{location}"
    );
    location.to_owned()
}

#[tokio::test]
async fn a_visit_from_the_first_look_to_the_last() {
    let server = Server::lab();
    let client = server.client();
    let shop = page(&client, "/").await;
    assert!(shop.contains("Nothing is stored about you"));
    assert!(shop.contains("none: nothing is stored, and there is no cookie"));

    let shop = send(&client, "/visits", "").await;
    assert!(shop.contains("<strong id=\"visits\">1</strong>"));
    assert!(
        page(&client, "/")
            .await
            .contains("<strong id=\"visits\">2</strong>")
    );

    let shop = send(&client, "/cart", "action=add&tea=assam").await;
    assert!(shop.contains("€ 5.40</strong>"));
    send(&client, "/cart", "action=add&tea=sencha").await;
    let shop = send(&client, "/cart", "action=add&tea=assam").await;
    assert!(shop.contains("€ 18.40</strong>"));
    send(&client, "/cart", "action=remove&tea=sencha").await;
    assert_eq!(client.entry("cart").await, json!({"assam": 2}));

    let form = page(&client, "/sign-in").await;
    for text in ["alice", "wonderland", "bob", "builder"] {
        assert!(form.contains(&format!("<code>{text}</code>")), "{text}");
    }
    let wrong = client
        .form("/sign-in", "user=alice&password=builder")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("value=\"alice\""));
    assert!(!wrong.contains("value=\"builder\""));

    let devices = send(
        &client,
        "/sign-in",
        "user=alice&password=wonderland&next=devices",
    )
    .await;
    assert!(devices.contains("<strong id=\"who\">alice</strong>"));
    assert!(devices.contains("this device"));
    assert_eq!(client.entry("cart").await, json!({"assam": 2}));

    let shop = send(&client, "/check-out", "").await;
    assert!(shop.contains("Thank you!") && shop.contains("It is empty"));
    let shop = send(&client, "/sign-out", "").await;
    assert!(shop.contains("You are signed out") && !shop.contains("alice"));
    assert_eq!(client.cookie(), None);
}

#[tokio::test]
async fn remember_me_is_thirty_days_without_an_idle_limit() {
    let server = Server::lab();
    let client = server.client();
    let body = "user=alice&password=wonderland&remember=yes";
    let shop = send(&client, "/sign-in", body).await;
    assert!(shop.contains("none: it is remembered"));
    let session = client.session().await;
    assert_eq!(session["expires_at"], session["deadline"]);
}

#[tokio::test]
async fn private_pages_are_for_those_signed_in_and_kept_by_nobody() {
    let server = Server::lab();
    let client = server.client();
    for path in ["/devices"] {
        let answer = client.get(path).send().await.unwrap();
        assert_eq!(
            location(&answer),
            "/sign-in?notice=sign-in-first&next=devices"
        );
    }
    for path in [
        "/sign-out-others",
        "/sign-out-everywhere",
        "/devices/x/sign-out",
        "/check-out",
    ] {
        let answer = client.form(path, "").send().await.unwrap();
        assert!(
            location(&answer).starts_with("/sign-in?notice=sign-in-first"),
            "{path}"
        );
    }
    client.sign_in("alice").await;
    for path in ["/", "/devices", "/sign-in"] {
        let answer = client.get(path).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn devices_are_signed_out_by_their_buttons() {
    let server = Server::lab();
    let clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &clients {
        client.sign_in("alice").await;
    }
    let [first, second, third, fourth] = &clients[..] else {
        unreachable!()
    };
    let second_id = second.id().await.unwrap();
    assert!(page(first, "/devices").await.contains(&second_id));
    let path = format!("/devices/{second_id}/sign-out");
    let devices = send(first, &path, "").await;
    assert!(devices.contains("That device is signed out.") && !devices.contains(&second_id));
    assert!(
        send(first, &path, "")
            .await
            .contains("was signed out already")
    );
    assert_eq!(second.id().await, None);

    let devices = send(first, "/sign-out-others", "").await;
    assert!(devices.contains("All your other devices are signed out."));
    assert_eq!((third.id().await, fourth.id().await), (None, None));

    let own = format!("/devices/{}/sign-out", first.id().await.unwrap());
    assert!(send(first, &own, "").await.contains("You are signed out"));
    first.sign_in("alice").await;
    assert!(
        send(first, "/sign-out-everywhere", "")
            .await
            .contains("signed out everywhere")
    );
    assert_eq!(first.id().await, None);
}

#[tokio::test]
async fn what_others_wrote_is_text_and_never_markup() {
    let server = Server::lab();
    let client = server.client();
    let evil = "<script>alert(1)</script>\"'&";
    client
        .write("%3Cimg%20src=x%20onerror=alert(1)%3E", &json!(evil))
        .await;
    client
        .post(
            "/api/sign-in",
            &json!({"user": "alice", "password": "wonderland"}),
        )
        .header("user-agent", "<b>Firefox/1</b><script>")
        .send()
        .await
        .unwrap();
    for path in ["/", "/devices"] {
        let page = page(&client, path).await;
        assert!(
            !page.contains("<img src=x") && !page.contains("<script>"),
            "{page}"
        );
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    }
    for query in [
        "notice=%3Cscript%3E",
        "next=//evil.example",
        "next=%FF",
        "notice=signed-in&notice=x",
    ] {
        let page = page(&client, &format!("/sign-in?{query}")).await;
        assert!(!page.contains("<script>") && !page.contains("evil"));
    }
    let body = "user=alice&password=wonderland&next=//evil.example";
    let answer = client.form("/sign-in", body).send().await.unwrap();
    assert_eq!(location(&answer), "/?notice=signed-in");
}

#[tokio::test]
async fn entries_that_no_longer_decode_break_no_page() {
    let server = Server::lab();
    let client = server.client();
    client.write("visits", &json!("often")).await;
    client.write("cart", &json!([1, 2, 3])).await;
    assert!(page(&client, "/").await.contains("It is empty"));
    let shop = send(&client, "/cart", "action=add&tea=assam").await;
    assert!(shop.contains("€ 5.40</strong>"));
    assert_eq!(client.entry("cart").await, json!({"assam": 1}));
}

#[tokio::test]
async fn browsers_are_told_to_be_strict() {
    let server = Server::lab();
    let client = server.client();
    for path in [
        "/",
        "/sign-in",
        "/nowhere",
        "/api/session",
        "/assets/live.js",
        "/healthz",
    ] {
        let answer = client.get(path).send().await.unwrap();
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
        assert!(!policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let text = answer.text().await.unwrap();
        // Nothing of other hosts, and nothing inline, which the policy would keep out.
        assert!(
            !text.contains(" style=") && !text.contains(" onclick="),
            "{path}"
        );
        assert!(
            !text.contains("<style") && !text.contains("src=\"http"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_is_shown_where_the_store_fails_and_says_so() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let fault = json!({"kind": "unavailable", "ms": 60_000});
    client
        .post("/api/lab/store-fault", &fault)
        .send()
        .await
        .unwrap();
    for answer in [
        client.get("/").send().await.unwrap(),
        client.get("/devices").send().await.unwrap(),
        client
            .form("/cart", "action=add&tea=assam")
            .send()
            .await
            .unwrap(),
        client.form("/sign-out", "").send().await.unwrap(),
    ] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(set_cookies(&answer), [""; 0]);
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let text = answer.text().await.unwrap();
        assert!(
            text.contains("<h1>Sessions are out of reach</h1>"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_visitor_whose_session_has_just_ended_sees_the_shop_as_a_stranger() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let late = client.copy();
    send(&client, "/sign-out", "").await;
    let shop = page(&late, "/").await;
    assert!(shop.contains("Nothing is stored about you") && !shop.contains("alice"));
    let refused = late
        .form("/cart", "action=add&tea=assam")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(set_cookies(&refused), [""; 0]);
    assert_eq!(late.entry("cart").await, Value::Null);
}
