//! What a store on Postgres does while its server is stopped, and after it was killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::time::Duration;

use postgres::Schema;
use session_core::{
    Application, Applied, Change, EntryName, ErrorKind, FeedItem, Freshness, JsonText, Loaded,
    NewRecord, SessionId, SessionSecret, SessionStore, Shard, Timeouts, Watch,
};
use store_postgres::PostgresStore;
use test_servers::PostgresServer;

const LIMIT: Duration = Duration::from_secs(1);

async fn visitor(store: &PostgresStore) -> SessionId {
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default());
    store.create(id, &record).await.unwrap();
    id
}

fn set(value: usize) -> Change {
    let value = JsonText::parse(value.to_string()).unwrap();
    Change::new().set(EntryName::new("a").unwrap(), value)
}

async fn open(server: &PostgresServer) -> (Schema, PostgresStore) {
    let schema = Schema::on(server.url());
    let builder = schema.builder().time_limit(LIMIT);
    builder.migrate().await.unwrap();
    let store = builder.connect().await.unwrap();
    (schema, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_stopped_every_call_ends_in_time_and_afterwards_all_goes_on() {
    let mut server = PostgresServer::start(&[]);
    let (_schema, store) = open(&server).await;
    let id = visitor(&store).await;
    let mut feed = store.watch();
    server.pause();
    let calls = async {
        let error = store.load(id, Freshness::Source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.applied(), Applied::No);
        // New connections get no further than the listening socket: nothing was sent.
        let error = store.apply(id, &set(1), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.applied(), Applied::No);
        for _ in 0..3 {
            let error = store.delete(id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    };
    tokio::time::timeout(LIMIT * 20, calls)
        .await
        .expect("no call hangs");
    // The feed says by itself that it is cut.
    let gap = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    assert_eq!(gap.expect("in time"), Some(FeedItem::Gap));
    server.resume();
    let gap = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    assert_eq!(gap.expect("in time"), Some(FeedItem::Gap));
    let applied = store.apply(id, &set(2), None).await.unwrap();
    assert!(matches!(applied, Application::Applied { .. }));
    assert!(store.delete(id).await.unwrap());
    let told = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    assert_eq!(told.expect("in time"), Some(FeedItem::Ended(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_no_acknowledged_write_is_missing_and_nothing_ended_lives() {
    let mut server = PostgresServer::start(&[]);
    let (_schema, store) = open(&server).await;
    let mut writers = Vec::new();
    for _ in 0..8 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let (id, mut acknowledged, mut ended) = (visitor(&store).await, 0, Vec::new());
            for value in 1.. {
                if store.apply(id, &set(value), None).await.is_err() {
                    return (id, acknowledged, ended);
                }
                acknowledged = value;
                let Ok(other) = try_visitor(&store).await else {
                    return (id, acknowledged, ended);
                };
                if !store.delete(other).await.is_ok_and(|ended| ended) {
                    return (id, acknowledged, ended);
                }
                ended.push(other);
            }
            unreachable!("the server is killed");
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    let mut done = Vec::new();
    for writer in writers {
        done.push(writer.await.unwrap());
    }
    let error = store.load(done[0].0, Freshness::Source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    server.restart();
    for (id, acknowledged, ended) in done {
        let Loaded::Live(record) = store.load(id, Freshness::Source).await.unwrap() else {
            panic!("the session lives");
        };
        let value = record.get("a").map_or(0, |value| value.parse().unwrap());
        // The one on its way may have come through as well.
        assert!((acknowledged..=acknowledged + 1).contains(&value));
        assert!(acknowledged > 0, "nothing was written before the kill");
        for id in ended {
            let loaded = store.load(id, Freshness::Source).await.unwrap();
            assert!(!matches!(loaded, Loaded::Live(_)));
        }
    }
}

async fn try_visitor(store: &PostgresStore) -> Result<SessionId, session_core::StoreError> {
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default());
    store.create(id, &record).await.map(|_| id)
}
