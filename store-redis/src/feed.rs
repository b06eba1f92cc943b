//! The feed: what is published at the servers that have sessions, told to all who watch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, ready, try_join_all};
use futures_util::stream::{SelectAll, StreamExt, once};
use parking_lot::Mutex;
use redis::aio::{PubSub, PubSubSink};
use session_core::{Feed, FeedItem, FeedSource, StoreError, Watch};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::connection::Connection;
use crate::failure::{config, unavailable};
use crate::layout::{Layout, Master};
use crate::message::{Echoes, Message};
use crate::store::RedisStore;

/// How many items a reader may lag behind before it is told of a gap.
const CAPACITY: usize = 1024;
/// How often a connection is asked whether it still is one, and the servers who serves what.
const PULSE: Duration = Duration::from_secs(5);
/// How long to listen to some masters before the others are tried again.
const PARTLY: Duration = Duration::from_secs(1);
/// How long to wait before connecting again, after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// The connections on which a store hears what ended and what was renewed: one to each master.
#[derive(Debug)]
pub(crate) struct Telling {
    source: FeedSource,
    ear: Arc<Ear>,
    listening: JoinHandle<()>,
}

/// What is listened to, for those who send nonces.
#[derive(Debug, Default)]
struct Ear {
    /// While every master of it is listened to.
    layout: Mutex<Option<Arc<Layout>>>,
    /// Told when a master says otherwise.
    is_doubted: Notify,
}

impl Telling {
    /// Listens from now on.
    pub(crate) async fn start(client: Arc<Client>, channel: String) -> Result<Self, StoreError> {
        let source = FeedSource::new(CAPACITY);
        let ear = Arc::new(Ear::default());
        let first = Lines::open(&client, &channel, &ear).await?;
        let (teller, listener) = (source.clone(), Arc::clone(&ear));
        let listening = tokio::spawn(async move {
            let mut lines = Some(first);
            loop {
                if let Some(lines) = lines.take() {
                    lines.listen(&client, &listener, &teller).await;
                    *listener.layout.lock() = None;
                    // Copies are dropped while nothing is heard.
                    teller.send(FeedItem::Gap);
                }
                match Lines::open(&client, &channel, &listener).await {
                    Ok(again) => {
                        // What was published meanwhile nobody heard.
                        teller.send(FeedItem::Gap);
                        lines = Some(again);
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        });
        Ok(Self {
            source,
            ear,
            listening,
        })
    }

    /// Sends a nonce to each master, unless one of them says that others serve what is listened to.
    async fn echo(&self, client: &Client, channel: &str, nonce: u64) -> Result<(), StoreError> {
        let layout = self.ear.layout.lock().clone();
        let layout = layout.ok_or_else(|| unavailable().because("not all servers are heard"))?;
        let sending = layout.masters().map(|master| async {
            let connection = client.connection_to(master).await?;
            let sent = self.send(client, &connection, &layout, master, channel, nonce);
            timeout(client.limit, sent).await.unwrap_or_else(|_| {
                // It may be cut without either end knowing.
                connection.retire();
                Err(unavailable().because("no answer in time"))
            })
        });
        try_join_all(sending).await.map(drop)
    }

    async fn send(
        &self,
        client: &Client,
        connection: &Connection,
        layout: &Layout,
        master: &Master,
        channel: &str,
        nonce: u64,
    ) -> Result<(), StoreError> {
        // First: whoever took over before this call began is known to it by now.
        if client.layout_at(connection).await? != *layout {
            self.ear.is_doubted.notify_waiters();
            return Err(unavailable().because("other servers have the sessions by now"));
        }
        let mut publish = redis::cmd("PUBLISH");
        publish
            .arg(channel)
            .arg(Message::nonce(nonce, &master.name));
        let sent = connection.ask(&publish).await;
        sent.map(drop).map_err(|error| unavailable().because(error))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Connections to the masters of a layout, or to some of them.
struct Lines {
    layout: Arc<Layout>,
    lines: Vec<Line>,
    is_whole: bool,
}

struct Line {
    master: Master,
    pubsub: PubSub,
}

impl Lines {
    async fn open(client: &Client, channel: &str, ear: &Ear) -> Result<Self, StoreError> {
        let opening = async {
            let layout = Arc::new(client.layout().await?);
            let opening = layout.masters().map(|master| async {
                let pubsub = client.connector.listen(&master.address, channel).await?;
                let master = master.clone();
                Ok(Line { master, pubsub })
            });
            let (mut lines, mut is_whole) = (Vec::new(), true);
            let mut last = unavailable().because("no server is known");
            for line in join_all(opening).await {
                match line {
                    Ok(line) => lines.push(line),
                    Err(error) => (last, is_whole) = (error, false),
                }
            }
            if lines.is_empty() {
                return Err(last);
            }
            Ok(Self {
                layout,
                lines,
                is_whole,
            })
        };
        let lines = timeout(client.limit, opening)
            .await
            .unwrap_or_else(|_| Err(unavailable().because("no answer in time")))?;
        if lines.is_whole {
            *ear.layout.lock() = Some(Arc::clone(&lines.layout));
        }
        Ok(lines)
    }

    /// Tells what is heard, until a connection is gone, or others have the sessions.
    async fn listen(self, client: &Client, ear: &Ear, teller: &FeedSource) {
        let (mut sinks, mut messages) = (Vec::new(), SelectAll::new());
        let mut masters = Vec::new();
        for (line, Line { master, pubsub }) in self.lines.into_iter().enumerate() {
            let (sink, stream) = pubsub.split();
            masters.push(master);
            sinks.push(sink);
            let stream = stream.map(move |message| Some((line, message)));
            messages.push(stream.chain(once(ready(None))).boxed());
        }
        let hearing = async {
            let mut echoes = Echoes::of(&masters);
            while let Some(Some((line, message))) = messages.next().await {
                let item = match Message::read(message.get_payload_bytes()) {
                    // On a cluster each line hears what is published at any master.
                    Some(Message::Item(id, item)) => {
                        (line == self.layout.line_of(id.shard(), &masters)).then_some(item)
                    }
                    Some(Message::Nonce(nonce, of)) => echoes.heard(nonce, of, line),
                    None => None,
                };
                if let Some(item) = item {
                    teller.send(item);
                }
            }
        };
        let serving = async {
            if self.is_whole {
                keep_asking(client, &self.layout, sinks).await;
            } else {
                sleep(PARTLY).await;
            }
        };
        tokio::select! {
            () = hearing => {}
            () = serving => {}
            () = ear.is_doubted.notified() => {}
        }
    }
}

/// Ends when a connection does not answer, or when others serve what these did.
async fn keep_asking(client: &Client, layout: &Layout, mut sinks: Vec<PubSubSink>) {
    loop {
        sleep(PULSE).await;
        let pings = sinks.iter_mut().map(|sink| async {
            let ping = timeout(client.limit, sink.ping::<redis::Value>()).await;
            matches!(ping, Ok(Ok(_)))
        });
        if join_all(pings).await.contains(&false) {
            return;
        }
        match timeout(client.limit, client.layout()).await {
            Ok(Ok(now)) if now != *layout => return,
            _ => {}
        }
    }
}

/// Ends and renewals are published by the very step that makes them, at the master that has the session.
/// Nothing else is told.
///
/// Redis keeps nothing for a listener that is cut off: one that loses a connection is told of a
/// [`Gap`](FeedItem::Gap) at once, and of another when it listens again.
///
/// On a cluster there is one connection to each master. A nonce is sent to each, after it was asked who
/// serves what, and comes back only when it was heard from each of them on its own connection: so it has
/// overtaken nothing. If a master says that others serve what is listened to, the nonce is refused, and the
/// feed listens anew, with a gap.
#[async_trait]
impl Watch for RedisStore {
    fn watch(&self) -> Feed {
        match &self.0.telling {
            Some(telling) => telling.source.subscribe(),
            // Not offered without it: a feed that is at its end.
            None => FeedSource::new(1).subscribe(),
        }
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        match &self.0.telling {
            Some(telling) => telling.echo(&self.0.client, &self.0.channel, nonce).await,
            None => Err(config().because("the store has no feed")),
        }
    }
}
