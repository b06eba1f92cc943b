//! The feed: what is published on the server's channel, told to all who watch.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::PubSub;
use session_core::{Feed, FeedItem, FeedSource, StoreError, Watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use crate::client::Client;
use crate::failure::unavailable;
use crate::store::RedisStore;

/// How many items a reader may lag behind before it is told of a gap.
const CAPACITY: usize = 1024;
/// How often the connection is asked whether it still is one.
const PULSE: Duration = Duration::from_secs(5);
/// How long to wait before connecting again, after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// The one connection on which a store hears what ended and what was renewed.
#[derive(Debug)]
pub(crate) struct Telling {
    source: FeedSource,
    listening: JoinHandle<()>,
}

impl Telling {
    /// Listens from now on.
    pub(crate) async fn start(client: Arc<Client>, channel: String) -> Result<Self, StoreError> {
        let source = FeedSource::new(CAPACITY);
        let first = subscribe(&client, &channel).await?;
        let teller = source.clone();
        let listening = tokio::spawn(async move {
            let mut pubsub = Some(first);
            loop {
                if let Some(pubsub) = pubsub.take() {
                    listen(pubsub, &teller, client.limit).await;
                }
                match subscribe(&client, &channel).await {
                    Ok(again) => {
                        // What was published meanwhile nobody heard.
                        teller.send(FeedItem::Gap);
                        pubsub = Some(again);
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        });
        Ok(Self { source, listening })
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn subscribe(client: &Client, channel: &str) -> Result<PubSub, StoreError> {
    let subscribing = async {
        let mut last = unavailable().because("no server is known");
        for node in client.masters().await? {
            let address = node.address().await?;
            match client.connector.listen(&address, channel).await {
                Ok(pubsub) => return Ok(pubsub),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    timeout(client.limit, subscribing)
        .await
        .unwrap_or_else(|_| Err(unavailable().because("no answer in time")))
}

/// Tells what is heard, until the connection is gone.
async fn listen(pubsub: PubSub, teller: &FeedSource, limit: Duration) {
    let (mut sink, mut messages) = pubsub.split();
    let mut pulse = interval(PULSE);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => {
                    if let Some(item) = read(message.get_payload_bytes()) {
                        teller.send(item);
                    }
                }
                None => return,
            },
            _ = pulse.tick() => {
                let ping = timeout(limit, sink.ping::<redis::Value>()).await;
                if !matches!(ping, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}

fn read(message: &[u8]) -> Option<FeedItem> {
    let (what, id) = str::from_utf8(message).ok()?.split_once(' ')?;
    let id = id.parse().ok()?;
    match what {
        "ended" => Some(FeedItem::Ended(id)),
        "renewed" => Some(FeedItem::Renewed(id)),
        _ => None,
    }
}

/// Ends and renewals are published by the very step that makes them. Nothing else is told.
///
/// Redis keeps nothing for a listener that is cut off: one that comes back is told of a
/// [`Gap`](FeedItem::Gap).
impl Watch for RedisStore {
    fn watch(&self) -> Feed {
        match &self.0.telling {
            Some(telling) => telling.source.subscribe(),
            // Not offered without it: a feed that is at its end.
            None => FeedSource::new(1).subscribe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_known_kind_are_items() {
        let id = "beef0123456789abcdef0123456789ab";
        let item = |what: &str| read(format!("{what} {id}").as_bytes());
        let id = id.parse().unwrap();
        assert_eq!(item("ended"), Some(FeedItem::Ended(id)));
        assert_eq!(item("renewed"), Some(FeedItem::Renewed(id)));
        assert_eq!(item("hello"), None);
        assert_eq!(read(b"ended nobody"), None);
        assert_eq!(read(b"hello"), None);
    }
}
