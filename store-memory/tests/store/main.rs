//! What the conformance suite cannot see of this store: its bounds, and how memory is given back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod bounds;
mod expiry;
mod feed;
mod sharing;

use std::time::Duration;

use session_core::{
    Admission, Application, Change, Creation, EntryName, ErrorKind, Freshness, JsonText, Loaded,
    ManualClock, NewRecord, Record, SessionId, SessionSecret, SessionStore, Shard, Subject,
    Timeouts,
};
use store_memory::{MemoryStore, MemoryStoreBuilder};

const MINUTE: Duration = Duration::from_secs(60);

/// A store by a clock that the test moves.
fn store(
    set_up: impl FnOnce(MemoryStoreBuilder) -> MemoryStoreBuilder,
) -> (MemoryStore, ManualClock) {
    let clock = ManualClock::default();
    let builder = MemoryStore::builder().clock(clock.clone());
    (set_up(builder).build(), clock)
}

fn new_record() -> NewRecord {
    living(30 * MINUTE)
}

/// A session that expires after `life`, used or not.
fn living(life: Duration) -> NewRecord {
    let timeouts = Timeouts::new(life).without_idle();
    NewRecord::new(SessionSecret::generate().hash(), timeouts)
}

fn entry(name: &str, bytes: usize) -> (EntryName, JsonText) {
    let text = "x".repeat(bytes - 2);
    (
        EntryName::new(name).unwrap(),
        JsonText::encode(&text).unwrap(),
    )
}

fn set(name: &str, bytes: usize) -> Change {
    let (name, value) = entry(name, bytes);
    Change::new().set(name, value)
}

async fn create(store: &MemoryStore, record: &NewRecord) -> Result<SessionId, ErrorKind> {
    let id = SessionId::generate(Shard::random());
    match store.create(id, record).await {
        Ok(Creation::Created(_)) => Ok(id),
        Ok(Creation::Exists) => panic!("a random id was taken"),
        Err(error) => Err(error.kind()),
    }
}

async fn sign_in(store: &MemoryStore, subject: &str) -> Result<SessionId, ErrorKind> {
    let subject = Subject::new(subject).unwrap();
    let id = SessionId::generate(store.facts().sharding.shard_of(&subject));
    let ticket = store.ticket(&subject).await.unwrap();
    match store.sign_in(&ticket, id, &new_record(), None).await {
        Ok(Admission::Admitted { .. }) => Ok(id),
        Ok(other) => panic!("not admitted: {other:?}"),
        Err(error) => Err(error.kind()),
    }
}

async fn load(store: &MemoryStore, id: SessionId) -> Option<Record> {
    match store.load(id, Freshness::Any).await.unwrap() {
        Loaded::Live(record) => Some(record),
        _ => None,
    }
}

async fn apply(store: &MemoryStore, id: SessionId, change: &Change) -> Result<Record, ErrorKind> {
    match store.apply(id, change, None).await {
        Ok(Application::Applied { record, .. }) => Ok(record),
        Ok(other) => panic!("not applied: {other:?}"),
        Err(error) => Err(error.kind()),
    }
}
