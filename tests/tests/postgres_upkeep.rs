//! Upkeep on Postgres: what is purged, and what the feed tells.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::time::Duration;

use postgres::Schema;
use session_core::{
    Change, Feed, FeedItem, Freshness, Loaded, ManualClock, NewRecord, PurgeExpired, SessionId,
    SessionSecret, SessionStore, Shard, Timeouts, Watch,
};
use sqlx::Executor as _;
use store_postgres::{PostgresStore, sqlx};

const IDLE: Duration = Duration::from_secs(60);

async fn visitor(store: &PostgresStore) -> SessionId {
    let id = SessionId::generate(Shard::random());
    let timeouts = Timeouts::default().with_idle(IDLE);
    let record = NewRecord::new(SessionSecret::generate().hash(), timeouts);
    store.create(id, &record).await.unwrap();
    id
}

/// A store by a test clock, with its tables made.
async fn by_clock(schema: &Schema) -> (PostgresStore, ManualClock) {
    let clock = ManualClock::default();
    let builder = schema.builder().test_clock(clock.clone());
    builder.migrate().await.unwrap();
    (builder.connect().await.unwrap(), clock)
}

async fn next(feed: &mut Feed) -> FeedItem {
    tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .expect("the feed tells")
        .expect("the store is open")
}

async fn rows(schema: &Schema) -> i64 {
    schema
        .value("SELECT count(*) FROM {}.session_records")
        .await
}

#[tokio::test]
async fn a_purge_removes_what_expired_in_batches_and_tells_of_each_once() {
    let schema = Schema::new();
    let (store, clock) = by_clock(&schema).await;
    let mut feed = store.watch();
    let mut expired = Vec::new();
    for _ in 0..30 {
        expired.push(visitor(&store).await);
    }
    let used = visitor(&store).await;
    let ended = visitor(&store).await;
    assert!(store.delete(ended).await.unwrap());
    assert_eq!(next(&mut feed).await, FeedItem::Ended(ended));
    clock.advance(IDLE / 2);
    store
        .apply(used, &Change::new().touch(), None)
        .await
        .unwrap();
    clock.advance(IDLE / 2);

    assert_eq!(store.purge_expired(20).await.unwrap(), 20);
    assert_eq!(store.purge_expired(20).await.unwrap(), 10);
    assert_eq!(store.purge_expired(20).await.unwrap(), 0);
    let mut told = Vec::new();
    for _ in 0..30 {
        match next(&mut feed).await {
            FeedItem::Expired(id) => told.push(id),
            other => panic!("{other:?}"),
        }
    }
    told.sort();
    expired.sort();
    assert_eq!(told, expired);
    let live = store.load(used, Freshness::Source).await.unwrap();
    assert!(matches!(live, Loaded::Live(_)));
    assert_eq!(
        rows(&schema).await,
        1,
        "what is left of ended ones is gone, too"
    );
}

#[tokio::test]
async fn a_purge_passes_over_what_others_hold_and_waits_for_nobody() {
    let schema = Schema::new();
    let (store, clock) = by_clock(&schema).await;
    let held = visitor(&store).await;
    for _ in 0..5 {
        visitor(&store).await;
    }
    clock.advance(IDLE);
    let mut holder = schema.connection().await;
    let hold = format!("BEGIN; SELECT FROM {{}}.session_records WHERE id = '\\x{held}' FOR UPDATE");
    holder
        .execute(sqlx::raw_sql(schema.sql(&hold)))
        .await
        .unwrap();
    assert_eq!(store.purge_expired(100).await.unwrap(), 5);
    holder.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.purge_expired(100).await.unwrap(), 1);
}

#[tokio::test]
async fn of_several_servers_one_purges_at_a_time() {
    let schema = Schema::new();
    let (store, clock) = by_clock(&schema).await;
    visitor(&store).await;
    clock.advance(IDLE);
    let mut other = schema.connection().await;
    // As a purge under way on another server.
    let purging = "BEGIN; SELECT * FROM {}.session_purge(0, 1, 0)";
    other
        .execute(sqlx::raw_sql(schema.sql(purging)))
        .await
        .unwrap();
    assert_eq!(store.purge_expired(100).await.unwrap(), 0);
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.purge_expired(100).await.unwrap(), 1);
}

/// More rows than one step looks at stand in the way, none of them expired.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_used_since_do_not_stop_a_purge() {
    let schema = Schema::new();
    let (store, clock) = by_clock(&schema).await;
    let mut used = Vec::new();
    for _ in 0..600 {
        used.push(visitor(&store).await);
    }
    clock.advance(Duration::from_millis(1));
    let expired = visitor(&store).await;
    clock.advance(IDLE / 2);
    for id in used {
        let touch = Change::new().touch();
        store.apply(id, &touch, None).await.unwrap();
    }
    clock.advance(IDLE / 2);
    let mut feed = store.watch();
    assert_eq!(store.purge_expired(1_000).await.unwrap(), 1);
    assert_eq!(next(&mut feed).await, FeedItem::Expired(expired));
    assert_eq!(rows(&schema).await, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_was_cut_says_so_and_goes_on() {
    let schema = Schema::new();
    let store = schema.store().await;
    let other = schema.builder().connect().await.unwrap();
    let mut feed = store.watch();
    let listening = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE query LIKE 'LISTEN \"{}%' AND pid <> pg_backend_pid()";
    assert_eq!(schema.value::<i64>(listening).await, 2);
    // At the loss, and once it listens again.
    assert_eq!(next(&mut feed).await, FeedItem::Gap);
    assert_eq!(next(&mut feed).await, FeedItem::Gap);
    let id = visitor(&other).await;
    assert!(other.delete(id).await.unwrap());
    assert_eq!(next(&mut feed).await, FeedItem::Ended(id));
}

#[tokio::test]
async fn a_store_without_a_feed_notifies_nobody() {
    let schema = Schema::new();
    let store = schema.store().await;
    let silent = schema.builder().without_feed().connect().await.unwrap();
    let mut feed = store.watch();
    let unheard = visitor(&silent).await;
    assert!(silent.delete(unheard).await.unwrap());
    let heard = visitor(&store).await;
    assert!(store.delete(heard).await.unwrap());
    assert_eq!(next(&mut feed).await, FeedItem::Ended(heard));
}
