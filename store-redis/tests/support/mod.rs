//! What the tests of this crate share.

#![allow(dead_code, reason = "each test program uses some of it")]

pub(crate) mod proxy;

use std::time::Duration;

use session_core::{
    Admission, Application, Change, Creation, EntryName, Freshness, JsonText, Loaded, NewRecord,
    Record, SecretHash, SessionId, SessionSecret, SessionStore, Shard, StoreError, Subject,
    Timeouts,
};
use store_redis::RedisStore;

pub(crate) fn fresh_id() -> SessionId {
    SessionId::generate(Shard::random())
}

pub(crate) fn fresh_subject() -> Subject {
    Subject::new(format!("subject-{}", fresh_id())).unwrap()
}

pub(crate) fn fresh_secret() -> SecretHash {
    SessionSecret::generate().hash()
}

pub(crate) fn new_record() -> NewRecord {
    NewRecord::new(fresh_secret(), Timeouts::default())
}

pub(crate) fn set(name: &str, json: &str) -> Change {
    let (name, json) = (EntryName::new(name), JsonText::parse(json));
    Change::new().set(name.unwrap(), json.unwrap())
}

/// A visitor's session.
pub(crate) async fn visitor(store: &RedisStore) -> SessionId {
    let id = fresh_id();
    match store.create(id, &new_record()).await.unwrap() {
        Creation::Created(_) => id,
        Creation::Exists => panic!("{id} exists"),
    }
}

/// A session of `subject`.
pub(crate) async fn user(store: &RedisStore, subject: &Subject) -> SessionId {
    user_with(store, subject, &new_record()).await
}

pub(crate) async fn user_with(
    store: &RedisStore,
    subject: &Subject,
    record: &NewRecord,
) -> SessionId {
    let ticket = store.ticket(subject).await.unwrap();
    let id = SessionId::generate(store.facts().sharding.shard_of(subject));
    match store.sign_in(&ticket, id, record, None).await.unwrap() {
        Admission::Admitted { .. } => id,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn live(store: &RedisStore, id: SessionId) -> Option<Record> {
    match store.load(id, Freshness::Source).await.unwrap() {
        Loaded::Live(record) => Some(record),
        Loaded::Ended(_) | Loaded::Absent => None,
    }
}

/// Sets an entry, starting from what is stored.
pub(crate) async fn write(
    store: &RedisStore,
    id: SessionId,
    name: &str,
    json: &str,
) -> Result<bool, StoreError> {
    let applied = store.apply(id, &set(name, json), None).await?;
    Ok(matches!(applied, Application::Applied { .. }))
}

/// Asks until it is so, for at most 20 s.
pub(crate) async fn soon(mut is_so: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..400 {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
