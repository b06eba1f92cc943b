//! The feed: what stores of the same tables tell one another, by NOTIFY.

use std::time::Duration;

use session_core::{Applied, FeedItem, FeedSource, StoreError};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// How many items a reader may lag behind before it is told of a gap.
const CAPACITY: usize = 4096;
/// How long a connection may be silent before it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be had.
const PAUSE: Duration = Duration::from_millis(500);

/// A store's feed, and the task that listens for it. The task ends with it.
#[derive(Debug)]
pub(crate) struct Telling {
    source: FeedSource,
    listening: Option<JoinHandle<()>>,
}

impl Telling {
    /// A feed that hears only of what this store itself removes.
    pub(crate) fn deaf() -> Self {
        Self {
            source: FeedSource::new(CAPACITY),
            listening: None,
        }
    }

    /// A feed of what any store tells on `channel`, from now on.
    pub(crate) async fn listening(
        options: PgConnectOptions,
        channel: String,
        time_limit: Duration,
    ) -> Result<Self, StoreError> {
        let line = Line {
            options,
            channel,
            time_limit,
        };
        let listener = line.open().await?;
        let source = FeedSource::new(CAPACITY);
        let listening = tokio::spawn(line.follow(listener, source.clone()));
        Ok(Self {
            source,
            listening: Some(listening),
        })
    }

    pub(crate) const fn source(&self) -> &FeedSource {
        &self.source
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

/// The connection on which a store listens.
struct Line {
    options: PgConnectOptions,
    channel: String,
    time_limit: Duration,
}

impl Line {
    async fn open(&self) -> Result<PgListener, StoreError> {
        let opening = async {
            // sqlx listens only on connections of a pool. Each time it is another one, because a
            // connection that hangs is given back late or never.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(self.time_limit)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(&self.channel).await?;
            Ok(listener)
        };
        match tokio::time::timeout(self.time_limit, opening).await {
            Ok(Ok(listener)) => Ok(listener),
            Ok(Err(error)) => Err(Failure::of(error, Applied::No).error),
            Err(_) => Err(Failure::overdue(Applied::No)),
        }
    }

    async fn follow(self, mut listener: PgListener, source: FeedSource) {
        loop {
            self.hear(&mut listener, &source).await;
            drop(listener);
            // Once at the loss, so that copies are dropped while nothing is heard, and once when
            // listening again, for what was told in between.
            source.send(FeedItem::Gap);
            listener = loop {
                match self.open().await {
                    Ok(listener) => break listener,
                    Err(error) => {
                        tracing::warn!(%error, "the feed of sessions is cut; trying again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            source.send(FeedItem::Gap);
        }
    }

    /// Passes on what is told until the connection is lost.
    async fn hear(&self, listener: &mut PgListener, source: &FeedSource) {
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => match item(notification.payload()) {
                    Some(item) => source.send(item),
                    None => source.send(FeedItem::Gap),
                },
                Ok(Ok(None) | Err(_)) => return,
                Err(_) => {
                    let asking = sqlx::query("SELECT 1").execute(&mut *listener);
                    match tokio::time::timeout(self.time_limit, asking).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(_)) | Err(_) => return,
                    }
                }
            }
        }
    }
}

/// What a notification tells: a letter, and an id or a nonce.
fn item(payload: &str) -> Option<FeedItem> {
    let (kind, rest) = payload.split_at_checked(1)?;
    match kind {
        "e" => Some(FeedItem::Ended(rest.parse().ok()?)),
        "r" => Some(FeedItem::Renewed(rest.parse().ok()?)),
        "n" => Some(FeedItem::Echo(u64::from_str_radix(rest, 16).ok()?)),
        _ => None,
    }
}

/// What notifies of a nonce.
pub(crate) fn nonce_payload(nonce: u64) -> String {
    format!("n{nonce:x}")
}

#[cfg(test)]
mod tests {
    use session_core::{SessionId, Shard};

    use super::*;

    #[test]
    fn a_notification_tells_of_an_end_a_renewal_or_a_nonce_and_anything_else_is_a_gap() {
        let id = SessionId::generate(Shard::random());
        assert_eq!(item(&format!("e{id}")), Some(FeedItem::Ended(id)));
        assert_eq!(item(&format!("r{id}")), Some(FeedItem::Renewed(id)));
        for nonce in [0, 1, u64::MAX] {
            assert_eq!(item(&nonce_payload(nonce)), Some(FeedItem::Echo(nonce)));
        }
        for other in ["", "e", "n", "ng", "x", "é", "e123", &format!("x{id}")] {
            assert_eq!(item(other), None, "{other}");
        }
    }
}
