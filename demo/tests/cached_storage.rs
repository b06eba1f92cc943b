//! Two servers with a cache each in front of one storage: what ended at one is refused by the other within
//! the stated bound, whatever becomes of the way on which it would hear of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and the time of real servers is the subject"
)]

mod support;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use session_outages::{Proxy, Traffic};
use test_servers::{PostgresServer, RedisServer};

use support::{Client, Server};

const BOUND: Duration = Duration::from_secs(2);
const BOUND_FLAG: &str = "2s";

enum Storage {
    Redis(RedisServer),
    Postgres(PostgresServer),
}

impl Storage {
    fn redis() -> Self {
        Self::Redis(RedisServer::start(&[]))
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

    fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Postgres(server) => server.port(),
        }
    }

    /// What only the connection sends on which ends are heard.
    fn feed_word(&self) -> &'static str {
        match self {
            Self::Redis(_) => "SUBSCRIBE",
            Self::Postgres(_) => "LISTEN",
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
}

/// What becomes of the second server's feed when somebody signs out at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Healthy,
    Cut,
    Slow,
    Stuck,
    /// Stuck, and then its server is stopped where it is.
    Stopped,
}

impl Feed {
    fn traffic(self) -> Traffic {
        match self {
            Self::Healthy => Traffic::Passes,
            Self::Cut => Traffic::Refused,
            Self::Slow => Traffic::Delayed(BOUND / 2),
            Self::Stuck | Self::Stopped => Traffic::Swallowed,
        }
    }

    /// Whether the second server cannot know of it at once, so that it must be seen to be served.
    fn is_late(self) -> bool {
        matches!(self, Self::Slow | Self::Stuck | Self::Stopped)
    }
}

async fn row_08_logout_on_one_of_two_servers_with_caches(mut storage: Storage, feed: Feed) {
    let proxy = Proxy::start_for(storage.port(), storage.feed_word()).await;
    let url = storage.url();
    let from = format!(":{}/", storage.port());
    let proxied = url.replace(&from, &format!(":{}/", proxy.port()));
    assert_ne!(url, proxied);
    let start = |node: &str, url: &str| {
        // Copies get old, so that only what is heard, and the lease, keeps the bound.
        let flags = [
            "--insecure-cookies",
            "--cache",
            BOUND_FLAG,
            "--cache-age",
            "1h",
        ];
        Server::start(&[&flags[..], &["--node", node, "--store", url]].concat())
    };
    let (one, two) = (start("one", &url), start("two", &proxied));

    let client = one.client();
    client.sign_in("alice").await;
    let id = client.id().await.unwrap();
    let (here, there) = (client.copy(), client.at(&two).copy());
    // One that nobody asks for until all is well again.
    let quiet = one.client();
    quiet.sign_in("bob").await;
    let quiet_there = quiet.at(&two).copy();
    // And one that is written to, from the copy that the second server may still have.
    let written = one.client();
    written.sign_in("bob").await;
    let written_id = written.id().await.unwrap();
    let (written_here, written_there) = (written.copy(), written.at(&two).copy());
    for client in [&quiet_there, &written_there, &there] {
        support::eventually("the second server answers from memory", async || {
            let hits = two.metric("session_cache_hits_total").await;
            assert!(client.subject().await.is_some());
            two.metric("session_cache_hits_total").await > hits
        })
        .await;
    }

    proxy.set(feed.traffic());
    for client in [&quiet, &written, &client] {
        let out = client.post("/api/sign-out", &json!({})).send().await;
        assert_eq!(out.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let ended = Instant::now();
    if feed == Feed::Stopped {
        storage.pause();
    }
    let writer = written_there.copy();
    let (served, _) = tokio::join!(
        served_until(&there, ended, BOUND * 2),
        writer.put("n", &json!(1)).send(),
    );
    if let Some(last) = served {
        assert!(last < BOUND, "{feed:?}: served {last:?} after the end");
    }
    assert!(
        served.is_some() || !feed.is_late(),
        "{feed:?}: no cache was in the way"
    );
    if feed == Feed::Healthy {
        assert!(served.is_none_or(|last| last < BOUND / 4), "{served:?}");
    }

    // And it does not come back: not when all is well again, and not by what is written with it.
    if feed == Feed::Stopped {
        storage.resume();
    }
    proxy.set(Traffic::Passes);
    assert_eq!(served_until(&there, Instant::now(), BOUND).await, None);
    for (client, id) in [
        (&written_here, &written_id),
        (&written_there, &written_id),
        (&here, &id),
        (&there, &id),
    ] {
        support::eventually("it answers", async || {
            client.get("/api/session").send().await.unwrap().status() == StatusCode::OK
        })
        .await;
        assert_eq!(client.subject().await, None);
        let _ = client.put("n", &json!(1)).send().await.unwrap();
        assert_ne!(client.id().await.as_ref(), Some(id));
        assert_eq!(client.subject().await, None);
    }
    for (user, id) in [("alice", &id), ("bob", &written_id)] {
        let again = one.client();
        again.sign_in(user).await;
        let devices = again.devices().await;
        assert!(devices.iter().all(|it| it["id"] != **id), "{user}");
    }
    support::eventually("the second server answers from memory again", async || {
        two.metric("session_cache_holds_lease").await == 1
    })
    .await;
    // The proxy swallows what no network would, and lets the rest of the connection pass.
    if feed.traffic() != Traffic::Swallowed {
        assert_eq!(quiet_there.subject().await, None, "{feed:?}: it was missed");
    }
}

/// How long after `ended` the last request began that was answered with a session, within `time`.
async fn served_until(client: &Client, ended: Instant, time: Duration) -> Option<Duration> {
    let mut last = None;
    while ended.elapsed() < time {
        let began = ended.elapsed();
        let answer = client.get("/api/session").send().await.unwrap();
        match answer.status() {
            StatusCode::OK => {
                if !support::json_of(answer).await["id"].is_null() {
                    last = Some(began);
                }
            }
            status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    last
}

macro_rules! row_08 {
    ($storage:ident: $($name:ident $feed:ident)*) => {
        mod $storage {
            $(
                // The proxy works beside the test, which waits for servers that need it to start.
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let storage = super::Storage::$storage();
                    super::row_08_logout_on_one_of_two_servers_with_caches(
                        storage,
                        super::Feed::$feed,
                    )
                    .await;
                }
            )*
        }
    };
    ($($name:ident $feed:ident)*) => {
        row_08!(redis: $($name $feed)*);
        row_08!(postgres: $($name $feed)*);
    };
}

row_08! {
    row_08_logout_with_a_healthy_feed Healthy
    row_08_logout_with_a_feed_that_is_cut Cut
    row_08_logout_with_a_slow_feed Slow
    row_08_logout_with_a_feed_that_is_stuck Stuck
    row_08_logout_with_a_server_that_is_stopped Stopped
}
