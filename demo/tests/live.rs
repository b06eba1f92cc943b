//! The stream behind the panel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

use reqwest::{Response, StatusCode};
use serde_json::json;

use support::{Client, Server};

/// What a panel was told so far.
struct Panel {
    answer: Response,
    text: String,
}

impl Panel {
    async fn open(client: &Client) -> Self {
        let answer = client.get("/live").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let text = String::new();
        Self { answer, text }
    }

    /// Reads on until it was told this. The client's own time limit ends the wait.
    async fn is_told(&mut self, what: &str) {
        while !self.text.contains(what) {
            let chunk = self.answer.chunk().await.unwrap();
            let chunk = chunk.unwrap_or_else(|| panic!("never told {what:?}: {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    async fn ends(&mut self) {
        while let Some(chunk) = self.answer.chunk().await.unwrap() {
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test]
async fn a_panel_is_told_what_happens_until_the_session_ends() {
    let server = Server::lab();
    let client = server.client();
    client.sign_in("alice").await;
    let mut panel = Panel::open(&client).await;
    client.write("tea", &json!("<i>sencha</i>")).await;
    panel
        .is_told("event: happened\ndata: Its entries have changed")
        .await;
    panel.is_told("&lt;i&gt;sencha&lt;/i&gt;").await;
    client
        .post("/api/lab/renew", &json!({}))
        .send()
        .await
        .unwrap();
    panel.is_told("It was given a new secret").await;
    panel.is_told("The store's feed").await;
    let other = server.client();
    other.sign_in("alice").await;
    panel.is_told("You signed in on another device").await;
    other
        .post("/api/sign-out-everywhere", &json!({}))
        .send()
        .await
        .unwrap();
    panel.is_told("event: ended").await;
    panel.ends().await;
    assert!(
        !panel.text.contains("session:"),
        "nothing reserved is shown"
    );
}

#[tokio::test]
async fn other_peoples_sessions_are_nobodys_business() {
    let server = Server::lab();
    let (alice, bob) = (server.client(), server.client());
    alice.sign_in("alice").await;
    // Presented for the first time, and told as such, before anybody listens.
    alice.id().await;
    let mut panel = Panel::open(&alice).await;
    bob.sign_in("bob").await;
    bob.write("secret", &json!(1)).await;
    bob.post("/api/lab/renew", &json!({})).send().await.unwrap();
    bob.post("/api/sign-out", &json!({})).send().await.unwrap();
    alice
        .post("/api/sign-out", &json!({}))
        .send()
        .await
        .unwrap();
    panel.ends().await;
    assert_eq!(
        panel.text.matches("event: happened").count(),
        0,
        "{}",
        panel.text
    );
    assert!(!panel.text.contains("secret"));
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_tell() {
    let server = Server::lab();
    let answer = server.client().get("/live").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn listening_keeps_no_session_alive() {
    let server = Server::start(&["--insecure-cookies", "--idle-timeout", "2s"]);
    let client = server.client();
    client.sign_in("alice").await;
    let mut panel = Panel::open(&client).await;
    panel.is_told("event: ended").await;
    assert_eq!(client.id().await, None);
}
