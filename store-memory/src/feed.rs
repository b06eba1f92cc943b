//! What the store tells of its sessions.

use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Change, Feed, FeedItem, FeedSource, Record, SessionId};

/// How many items a reader may lag behind before it is told of a gap.
const CAPACITY: usize = 1024;

/// The store's feed. Nothing is sent before somebody first watched.
#[derive(Debug)]
pub(crate) struct Telling {
    source: FeedSource,
    is_watched: AtomicBool,
}

impl Telling {
    pub(crate) fn new() -> Self {
        Self {
            source: FeedSource::new(CAPACITY),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(crate) fn watch(&self) -> Feed {
        self.is_watched.store(true, Ordering::SeqCst);
        self.source.subscribe()
    }

    pub(crate) fn echo(&self, nonce: u64) {
        self.send(FeedItem::Echo(nonce));
    }

    pub(crate) fn ended(&self, id: SessionId) {
        self.send(FeedItem::Ended(id));
    }

    pub(crate) fn expired(&self, id: SessionId) {
        self.send(FeedItem::Expired(id));
    }

    /// Tells what `change` did that made `after` of `before`. A touch is not told.
    pub(crate) fn applied(&self, id: SessionId, change: &Change, before: &Record, after: &Record) {
        let may_renew = change.promotion().is_some() || change.renewal().is_some();
        if may_renew && before.slots().ne(after.slots()) {
            self.send(FeedItem::Renewed(id));
        }
        if change.has_edits() || change.shortening().is_some() || change.settles_predecessor() {
            self.send(FeedItem::Changed(id));
        }
    }

    /// Sent inside the stripe's lock: what is told of one session is told in the order in which it
    /// happened, and a reader that loads it then finds it as told.
    fn send(&self, item: FeedItem) {
        if self.is_watched.load(Ordering::SeqCst) {
            self.source.send(item);
        }
    }
}
