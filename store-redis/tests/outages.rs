//! The bad days of a single server: every call ends in time with the right answer or a typed error, and
//! nothing that was acknowledged is missing afterwards.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use session_core::{
    Admission, Application, Applied, Change, Creation, ErrorKind, FeedItem, Freshness, Loaded,
    SessionId, SessionStore, StoreError,
};
use store_redis::{RedisStore, RedisStoreBuilder};
use support::proxy::Proxy;
use support::{fresh_id, fresh_subject, live, new_record, set, soon, user, visitor, write};
use test_servers::RedisServer;

const LIMIT: Duration = Duration::from_millis(400);

fn impatient(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url).time_limit(LIMIT)
}

/// What a call came to that ended in time, which is that of one call and some for a busy machine.
async fn in_time<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let ended = tokio::time::timeout(LIMIT * 10, call).await;
    ended.expect("a call ends within its time limit")
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Applied {
    let error = answer.expect_err("the server is out of reach");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    error.applied()
}

/// One call of each verb.
async fn every_verb(store: &RedisStore) -> Vec<Applied> {
    let (subject, id) = (fresh_subject(), fresh_id());
    let mut applied = Vec::new();
    applied.push(unavailable(
        in_time(store.load(id, Freshness::Source)).await,
    ));
    applied.push(unavailable(in_time(store.create(id, &new_record())).await));
    applied.push(unavailable(
        in_time(store.apply(id, &set("a", "1"), None)).await,
    ));
    applied.push(unavailable(in_time(store.delete(id)).await));
    applied.push(unavailable(in_time(store.ticket(&subject)).await));
    applied.push(unavailable(in_time(store.sessions_of(&subject)).await));
    applied.push(unavailable(in_time(store.revoke(&subject, None)).await));
    applied.push(unavailable(
        in_time(store.abilities().scan.unwrap().scan(None, 1)).await,
    ));
    applied
}

#[tokio::test]
async fn a_paused_server_is_unavailable_and_is_used_again_once_it_goes_on() {
    let mut server = RedisServer::start(&[]);
    let store = impatient(&server.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    let copy = live(&store, id).await.unwrap();

    server.pause();
    let change = set("a", "1");
    let sent = in_time(store.apply(id, &change, Some(&copy))).await;
    assert_eq!(unavailable(sent), Applied::Unknown);
    every_verb(&store).await;
    server.resume();

    assert!(soon(async || live(&store, id).await.is_some()).await);
    assert!(write(&store, id, "b", "2").await.unwrap());
    let record = live(&store, id).await.unwrap();
    assert_eq!(record.get("b"), Some("2"));
    // What was sent may have been taken, whole.
    assert!(matches!(record.get("a"), None | Some("1")));
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_a_server_that_keeps_a_log_is_killed() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = impatient(&server.url()).connect().await.unwrap();
    let subject = fresh_subject();
    let (kept, ended) = (user(&store, &subject).await, user(&store, &subject).await);
    assert!(write(&store, kept, "cart", "[1]").await.unwrap());
    let ticket = store.ticket(&subject).await.unwrap();
    store.revoke(&subject, Some(kept)).await.unwrap();

    server.kill();
    for applied in every_verb(&store).await {
        assert_eq!(applied, Applied::No, "nothing was sent");
    }
    server.restart();

    let record = live(&store, kept).await.unwrap();
    assert_eq!(record.get("cart"), Some("[1]"));
    assert!(matches!(
        store.load(ended, Freshness::Source).await.unwrap(),
        Loaded::Ended(_)
    ));
    let listed = store.sessions_of(&subject).await.unwrap();
    assert_eq!(listed, [(kept, record)]);
    let id = SessionId::generate(kept.shard());
    let revoked = store
        .sign_in(&ticket, id, &new_record(), None)
        .await
        .unwrap();
    assert!(matches!(revoked, Admission::Revoked));
}

#[tokio::test]
async fn a_server_that_comes_back_empty_has_no_sessions_and_is_used_again() {
    let mut server = RedisServer::start(&[]);
    let store = impatient(&server.url()).connect().await.unwrap();
    let subject = fresh_subject();
    let id = user(&store, &subject).await;
    server.kill();
    server.restart();
    assert!(live(&store, id).await.is_none());
    assert!(matches!(
        store.apply(id, &set("a", "1"), None).await.unwrap(),
        Application::Absent
    ));
    assert_eq!(store.sessions_of(&subject).await.unwrap(), []);
    user(&store, &subject).await;
}

#[tokio::test]
async fn a_lost_answer_leaves_a_change_in_doubt_that_a_load_settles() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port()).await;
    let store = impatient(&proxy.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    // From now on the server knows the script: the next change is one question and one answer.
    assert!(write(&store, id, "b", "2").await.unwrap());
    let before = live(&store, id).await.unwrap();
    let change = set("a", "1").guarded_by(before.revision());

    proxy.swallow_answers(true);
    let lost = in_time(store.apply(id, &change, Some(&before))).await;
    assert_eq!(unavailable(lost), Applied::Unknown);
    let created = fresh_id();
    let lost = in_time(store.create(created, &new_record())).await;
    unavailable(lost);
    proxy.swallow_answers(false);

    let record = live(&store, id).await.unwrap();
    assert_eq!(record.revision(), change.revision());
    assert_eq!(record.get("a"), Some("1"));
}

#[tokio::test]
async fn a_change_is_never_made_twice_however_its_answer_is_lost() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port()).await;
    let store = impatient(&proxy.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    let mut value = 0;
    for round in 0..20 {
        let Some(before) = live(&store, id).await else {
            panic!("round {round}: the session is gone");
        };
        let stored = before.get("n").map_or(0, |n| n.parse().unwrap());
        assert!(
            stored == value || stored == value + 1,
            "{stored} after {value}"
        );
        value = stored;
        let change = set("n", &(value + 1).to_string()).guarded_by(before.revision());
        if round % 2 == 0 {
            proxy.swallow_answers(true);
        }
        let cutting = async {
            tokio::time::sleep(Duration::from_millis(round)).await;
            proxy.cut();
            Ok(())
        };
        let (applied, _) = tokio::join!(
            in_time(store.apply(id, &change, Some(&before))),
            in_time(cutting)
        );
        proxy.swallow_answers(false);
        if let Err(error) = applied {
            if error.applied() == Applied::No {
                let record = soon_live(&store, id).await;
                assert_ne!(record.revision(), change.revision());
            }
        } else {
            value += 1;
        }
    }
}

async fn soon_live(store: &RedisStore, id: SessionId) -> session_core::Record {
    let mut record = None;
    let is_there = soon(async || {
        let loaded = store.load(id, Freshness::Source).await;
        if let Ok(Loaded::Live(live)) = loaded {
            record = Some(live);
        }
        record.is_some()
    });
    assert!(is_there.await);
    record.unwrap()
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_replaced() {
    let server = RedisServer::start(&[]);
    let store = impatient(&server.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    for _ in 0..5 {
        assert_ne!(server.ask(&["CLIENT", "KILL", "TYPE", "normal"]), "0");
        let is_back = soon(async || store.load(id, Freshness::Source).await.is_ok());
        assert!(is_back.await);
    }
    assert!(write(&store, id, "a", "1").await.unwrap());
}

#[tokio::test]
async fn a_server_that_became_a_replica_takes_nothing_and_is_asked_nothing() {
    let (server, other) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let store = impatient(&server.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    let port = other.port().to_string();
    assert_eq!(server.ask(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    let refused = in_time(store.apply(id, &set("a", "1"), live(&store, id).await.as_ref())).await;
    assert_eq!(unavailable(refused), Applied::No);
    // From now on it is known for what it is: nothing that it says is believed.
    for applied in every_verb(&store).await {
        assert_eq!(applied, Applied::No);
    }
    let replica = impatient(&server.url()).connect().await;
    assert_eq!(unavailable(replica), Applied::No);
    assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    assert!(store.create(fresh_id(), &new_record()).await.is_ok());
}

#[tokio::test]
async fn too_few_replicas_leave_a_change_in_doubt() {
    let master = RedisServer::start(&[]);
    let port = master.port().to_string();
    let mut replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]);
    let is_up = || {
        replica
            .ask(&["INFO", "replication"])
            .contains("master_link_status:up")
    };
    assert!(soon(async || is_up()).await);
    let store = RedisStore::builder(&master.url())
        .replicas_ack(1)
        .time_limit(LIMIT * 2)
        .connect()
        .await
        .unwrap();
    let id = visitor(&store).await;
    assert!(write(&store, id, "a", "1").await.unwrap());
    replica.pause();
    let copy = live(&store, id).await;
    let lonely = in_time(store.apply(id, &set("b", "2"), copy.as_ref())).await;
    assert_eq!(unavailable(lonely), Applied::Unknown);
    replica.resume();
    assert!(write(&store, id, "c", "3").await.unwrap());
    assert_eq!(live(&store, id).await.unwrap().entries().count(), 3);
}

#[tokio::test]
async fn a_feed_that_was_cut_tells_of_a_gap_and_goes_on() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut feed = store.abilities().watch.unwrap().watch();
    let id = visitor(&store).await;
    store.delete(id).await.unwrap();
    assert_eq!(feed.next().await, Some(FeedItem::Ended(id)));
    assert_eq!(server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    // At the loss, and when listening again.
    for _ in 0..2 {
        let item = tokio::time::timeout(Duration::from_secs(10), feed.next()).await;
        assert_eq!(item.unwrap(), Some(FeedItem::Gap));
    }
    let id = visitor(&store).await;
    store.delete(id).await.unwrap();
    assert_eq!(feed.next().await, Some(FeedItem::Ended(id)));
}

#[tokio::test]
async fn many_calls_end_in_time_on_a_server_that_comes_and_goes() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = impatient(&server.url()).connect().await.unwrap();
    let id = visitor(&store).await;
    let clients: Vec<_> = (0..20_u32)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for call in 0..40_u32 {
                    let name = format!("{client}-{call}");
                    if let Ok(true) = in_time(write(&store, id, &name, "1")).await {
                        acknowledged.push(name);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.pause();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.resume();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill();
        server.restart();
    }
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    let record = soon_live(&store, id).await;
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for name in acknowledged {
        assert!(record.get(&name).is_some(), "{name} was acknowledged");
    }
}

#[tokio::test]
async fn what_ended_stays_dead_when_a_late_change_arrives() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let id = visitor(&store).await;
    let copy = live(&store, id).await.unwrap();
    assert!(store.delete(id).await.unwrap());
    let late = store.apply(id, &Change::new().touch(), Some(&copy)).await;
    assert!(matches!(late, Ok(Application::Absent)));
    let again = store.create(id, &new_record()).await;
    assert!(matches!(again, Ok(Creation::Exists)));
}
