//! The feed: what a store tells of sessions that ended or were renewed.

use std::collections::VecDeque;

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
        Feed(Source::One(self.0.subscribe()))
    }
}

/// The reading side of a feed.
#[derive(Debug)]
pub struct Feed(Source);

#[derive(Debug)]
enum Source {
    One(broadcast::Receiver<FeedItem>),
    Two(Box<Merged>),
}

/// What either of two feeds tells. An echo is told once both gave it back: only then has everything that
/// was before it come out of both.
#[derive(Debug)]
struct Merged {
    feeds: [Feed; 2],
    /// Nonces that one of the feeds has given back, and which.
    halves: VecDeque<(u64, usize)>,
}

/// How many nonces may be half-way. A lost one would be remembered for ever.
const HALVES: usize = 64;

impl Feed {
    pub(crate) fn merged(first: Self, second: Self) -> Self {
        Self(Source::Two(Box::new(Merged {
            feeds: [first, second],
            halves: VecDeque::new(),
        })))
    }

    /// Waits for the next item; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<FeedItem> {
        match &mut self.0 {
            Source::One(feed) => match feed.recv().await {
                Ok(item) => Some(item),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(FeedItem::Gap),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            Source::Two(merged) => merged.next().await,
        }
    }
}

impl Merged {
    async fn next(&mut self) -> Option<FeedItem> {
        loop {
            let [first, second] = &mut self.feeds;
            // Neither loses an item when the other comes first.
            let (of, item) = tokio::select! {
                item = Box::pin(first.next()) => (0, item?),
                item = Box::pin(second.next()) => (1, item?),
            };
            match item {
                FeedItem::Echo(nonce) if !self.is_whole(nonce, of) => {}
                FeedItem::Gap => {
                    self.halves.clear();
                    return Some(item);
                }
                item => return Some(item),
            }
        }
    }

    /// Takes note that one of the feeds gave `nonce` back. Whether both have.
    fn is_whole(&mut self, nonce: u64, of: usize) -> bool {
        let other = (nonce, 1 - of);
        if let Some(at) = self.halves.iter().position(|half| *half == other) {
            self.halves.remove(at);
            return true;
        }
        if self.halves.len() == HALVES {
            self.halves.pop_front();
        }
        self.halves.push_back((nonce, of));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn told(feed: &mut Feed) -> Option<FeedItem> {
        feed.next().now_or_never().flatten()
    }

    #[test]
    fn an_echo_of_two_feeds_is_told_once_both_gave_it_back() {
        let sources = [FeedSource::new(8), FeedSource::new(8)];
        let [first, second] = &sources;
        let mut feed = Feed::merged(first.subscribe(), second.subscribe());
        first.send(FeedItem::Echo(1));
        first.send(FeedItem::Echo(1));
        second.send(FeedItem::Echo(2));
        assert_eq!(told(&mut feed), None);
        first.send(FeedItem::Echo(2));
        assert_eq!(told(&mut feed), Some(FeedItem::Echo(2)));
        second.send(FeedItem::Echo(1));
        assert_eq!(told(&mut feed), Some(FeedItem::Echo(1)));
    }

    #[test]
    fn a_gap_in_either_feed_is_a_gap_and_no_echo_from_before_it_counts() {
        for of in [0, 1] {
            let sources = [FeedSource::new(8), FeedSource::new(8)];
            let mut feed = Feed::merged(sources[0].subscribe(), sources[1].subscribe());
            sources[of].send(FeedItem::Echo(1));
            assert_eq!(told(&mut feed), None);
            sources[of].send(FeedItem::Gap);
            assert_eq!(told(&mut feed), Some(FeedItem::Gap));
            sources[1 - of].send(FeedItem::Echo(1));
            assert_eq!(told(&mut feed), None);
        }
    }
}
