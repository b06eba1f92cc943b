//! The feed: what a store tells of sessions that ended or were renewed.

use tokio::sync::broadcast;

use crate::id::SessionId;

/// Something that happened to a session, or to the feed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedItem {
    /// The session was destroyed, revoked, or made room for another.
    Ended(SessionId),
    /// The session was given a secret, or one was presented for the first time.
    Renewed(SessionId),
    /// The session reached a timeout, and the store removed what was left of it. Told once, by the server
    /// that removed it.
    Expired(SessionId),
    /// The session changed in another way. Only of stores that say so.
    Changed(SessionId),
    /// Items before this one may be missing: whoever keeps copies must drop them.
    Gap,
    /// A nonce that was sent by [`Watch::echo`](crate::Watch::echo), of this server or of another: all
    /// ends that were acknowledged before that call began have come out before it, or a gap has.
    Echo(u64),
}

/// The sending side of a feed: what a store holds.
///
/// ```
/// # use session_core::{FeedItem, FeedSource, SessionId, Shard};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let source = FeedSource::new(1024);
/// let mut feed = source.subscribe();
/// let id = SessionId::generate(Shard::random());
/// source.send(FeedItem::Ended(id));
/// assert_eq!(feed.next().await, Some(FeedItem::Ended(id)));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeedSource(broadcast::Sender<FeedItem>);

impl FeedSource {
    /// A feed that holds `capacity` items for a reader that lags; such a reader then sees
    /// [`FeedItem::Gap`].
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self(broadcast::Sender::new(capacity.max(1)))
    }

    /// Tells every reader. Never waits.
    pub fn send(&self, item: FeedItem) {
        // Fails only if nobody reads.
        let _ = self.0.send(item);
    }

    /// A reader that sees what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Feed {
        Feed(self.0.subscribe())
    }
}

/// The reading side of a feed.
#[derive(Debug)]
pub struct Feed(broadcast::Receiver<FeedItem>);

impl Feed {
    /// Waits for the next item; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<FeedItem> {
        match self.0.recv().await {
            Ok(item) => Some(item),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(FeedItem::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
