//! What is heard from the source, and the nonces that show that it is heard in time.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Feed, FeedItem, Revision, SessionStore};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::tier::Tier;

/// How many nonces are sent within the bound. The lease holds while they come back in less than the rest
/// of it: two thirds.
pub(crate) const NONCES: u32 = 3;

/// The tasks of a tier. They end with it.
#[derive(Debug)]
pub(crate) struct Tasks([JoinHandle<()>; 2]);

impl Tasks {
    pub(crate) fn start<S: SessionStore>(
        tier: &Arc<Tier<S>>,
        feed: Feed,
        runtime: &Handle,
    ) -> Self {
        Self([
            runtime.spawn(listen(Arc::clone(tier), feed)),
            runtime.spawn(send_nonces(Arc::clone(tier))),
        ])
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Invalidates what the feed tells of, in its order: so when a nonce is met, what came before it is done.
async fn listen<S: SessionStore>(tier: Arc<Tier<S>>, mut feed: Feed) {
    while let Some(item) = feed.next().await {
        match item {
            FeedItem::Ended(id)
            | FeedItem::Renewed(id)
            | FeedItem::Expired(id)
            | FeedItem::Changed(id) => tier.copies.invalidate(id),
            FeedItem::Echo(nonce) => tier.lease.came_back(nonce),
            // What is not known may be about any session.
            _ => forget_all(&tier),
        }
    }
    forget_all(&tier);
}

fn forget_all<S>(tier: &Tier<S>) {
    tier.lease.is_lost();
    tier.copies.invalidate_all();
}

/// Sends a nonce every third of the bound. One that hangs does not hold up the next.
async fn send_nonces<S: SessionStore>(tier: Arc<Tier<S>>) {
    let bound = tier.lease.bound();
    let mut ticks = interval((bound / NONCES).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sending = JoinSet::new();
    loop {
        ticks.tick().await;
        while sending.try_join_next().is_some() {}
        let tier = Arc::clone(&tier);
        sending.spawn(async move {
            let Some(watch) = tier.source.abilities().watch else {
                return;
            };
            let nonce = Revision::random().to_u64();
            tier.lease.sending(nonce, tier.clocks.now());
            // A failure needs no word: the nonce does not come back. After the bound it would bring nothing.
            let _ = timeout(bound, watch.echo(nonce)).await;
        });
    }
}
