//! What a cache promises: that it serves nothing that ended longer ago than its bound, holds nothing
//! that was overtaken, and says no only after its source.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod bound;
mod changes;
mod copies;
mod lifecycle;
mod races;
mod rng;
mod sharing;
mod source;

use std::time::Duration;

use session_core::{
    Change, Creation, EntryName, Freshness, JsonText, Loaded, ManualClock, NewRecord, Record,
    SessionId, SessionSecret, SessionStore, Shard, Timeouts,
};
use store_memory::{Cached, CachedBuilder};

use crate::source::Source;

const BOUND: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A source, and a cache in front of it whose copies grow old, by a clock that stands still.
fn cached() -> (Source, Cached<Source>) {
    cached_by(|builder| builder)
}

fn cached_by(
    set_up: impl FnOnce(CachedBuilder<Source>) -> CachedBuilder<Source>,
) -> (Source, Cached<Source>) {
    let clock = ManualClock::default();
    let source = Source::new(clock.clone());
    let builder = Cached::builder(source.clone(), BOUND).clock(clock);
    let cache = set_up(builder.max_age(HOUR)).start().unwrap();
    (source, cache)
}

/// Waits until the cache holds its lease: a moment.
async fn leased(cache: &Cached<Source>) {
    for _ in 0..100 {
        if cache.usage().holds_lease {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no lease");
}

/// Waits until what was told so far has been heard.
async fn heard() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn new_record() -> NewRecord {
    NewRecord::new(SessionSecret::generate().hash(), Timeouts::default())
}

fn set(name: &str, json: &str) -> Change {
    let name = EntryName::new(name).unwrap();
    Change::new().set(name, JsonText::parse(json).unwrap())
}

async fn create(store: &impl SessionStore) -> SessionId {
    create_of(store, &new_record()).await
}

async fn create_of(store: &impl SessionStore, record: &NewRecord) -> SessionId {
    let id = SessionId::generate(Shard::random());
    match store.create(id, record).await.unwrap() {
        Creation::Created(_) => id,
        Creation::Exists => panic!("a random id was taken"),
    }
}

async fn any(store: &impl SessionStore, id: SessionId) -> Option<Record> {
    load(store, id, Freshness::Any).await
}

async fn load(store: &impl SessionStore, id: SessionId, freshness: Freshness) -> Option<Record> {
    match store.load(id, freshness).await.unwrap() {
        Loaded::Live(record) => Some(record),
        Loaded::Ended(_) | Loaded::Absent => None,
    }
}
