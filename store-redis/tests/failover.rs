//! Servers that take each other's place: sentinels, clusters, slots on their way.

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
    Applied, Creation, ErrorKind, FeedItem, Freshness, Loaded, Record, SessionId, SessionStore,
    Shard, StoreError, Subject,
};
use store_redis::RedisStore;
use support::{fresh_subject, live, new_record, soon, user, visitor, write};
use test_servers::{RedisCluster, RedisSentinel, RedisServer};

async fn loaded(store: &RedisStore, id: SessionId) -> Option<Record> {
    match store.load(id, Freshness::Source).await {
        Ok(Loaded::Live(record)) => Some(record),
        _ => None,
    }
}

async fn ends_soon(store: &RedisStore, id: SessionId) -> bool {
    soon(async || store.delete(id).await.is_ok()).await
}

#[tokio::test]
async fn the_master_that_sentinels_choose_is_found_and_has_what_was_acknowledged() {
    let mut servers = RedisSentinel::start();
    let builder = RedisStore::builder(&servers.url()).replicas_ack(1);
    let store = builder.connect().await.unwrap();
    let mut feed = store.abilities().watch.unwrap().watch();
    let subject = fresh_subject();
    let id = user(&store, &subject).await;
    for entry in 0..50 {
        assert!(write(&store, id, &format!("n{entry}"), "1").await.unwrap());
    }
    let ended = visitor(&store).await;
    assert!(store.delete(ended).await.unwrap());
    assert_eq!(feed.next().await, Some(FeedItem::Ended(ended)));

    servers.sentinels()[0].kill();
    let old = servers.sentinels()[1].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
    servers.sentinels()[0].restart();
    servers.master().kill();

    assert!(soon(async || loaded(&store, id).await.is_some()).await);
    let record = live(&store, id).await.unwrap();
    assert_eq!(record.entries().count(), 50);
    assert!(loaded(&store, ended).await.is_none());
    // As soon as the other replica follows the new master.
    assert!(soon(async || write(&store, id, "after", "1").await.is_ok()).await);
    let listed = store.sessions_of(&subject).await.unwrap();
    assert_eq!(listed[0].0, id);
    let new = servers.sentinels()[1].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
    assert_ne!(old, new);

    // At the loss, and when listening again.
    for _ in 0..2 {
        let gap = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
        assert_eq!(gap.unwrap(), Some(FeedItem::Gap));
    }
    assert!(ends_soon(&store, id).await);
    assert_eq!(feed.next().await, Some(FeedItem::Ended(id)));
}

#[tokio::test]
async fn a_master_name_that_no_sentinel_knows_is_refused() {
    let servers = RedisSentinel::start();
    let url = servers.url().replace("/main", "/other");
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_cluster_that_lost_a_master_serves_all_slots_again() {
    let mut cluster = RedisCluster::start(true);
    let builder = RedisStore::builder(&cluster.url()).replicas_ack(1);
    let store = builder.connect().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..60 {
        let id = visitor(&store).await;
        assert!(write(&store, id, "a", "1").await.unwrap());
        ids.push(id);
    }
    cluster.masters()[0].kill();
    for id in &ids {
        assert!(soon(async || loaded(&store, *id).await.is_some()).await);
    }
    cluster.masters()[0].restart();
    for id in ids {
        assert_eq!(live(&store, id).await.unwrap().get("a"), Some("1"));
        assert!(soon(async || write(&store, id, "b", "2").await.is_ok()).await);
    }
}

#[tokio::test]
async fn a_hanging_master_is_left_for_its_replica() {
    let mut cluster = RedisCluster::start(true);
    let builder = RedisStore::builder(&cluster.url()).time_limit(Duration::from_secs(1));
    let store = builder.connect().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(visitor(&store).await);
    }
    cluster.masters()[1].pause();
    for id in &ids {
        assert!(soon(async || store.load(*id, Freshness::Source).await.is_ok()).await);
    }
    cluster.masters()[1].resume();
}

/// Who serves a slot, and who will.
struct Move<'a> {
    slot: String,
    from: &'a RedisServer,
    to: &'a RedisServer,
    others: &'a [RedisServer],
}

impl Move<'_> {
    fn begin(&self) {
        let (from, to) = (id(self.from), id(self.to));
        let words = ["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &from];
        assert_eq!(self.to.ask(&words), "OK");
        let words = ["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &to];
        assert_eq!(self.from.ask(&words), "OK");
    }

    /// Moves the keys that have this in their names.
    fn take(&self, part: &str) {
        let keys = self
            .from
            .ask(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        let port = self.to.port().to_string();
        for key in keys.lines().filter(|key| key.contains(part)) {
            let words = ["MIGRATE", "127.0.0.1", &port, key, "0", "5000"];
            assert_eq!(self.from.ask(&words), "OK");
        }
    }

    fn finish(&self) {
        let to = id(self.to);
        for node in [self.to, self.from].into_iter().chain(self.others) {
            assert_eq!(
                node.ask(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &to]),
                "OK"
            );
        }
    }
}

fn id(node: &RedisServer) -> String {
    node.ask(&["CLUSTER", "MYID"])
}

fn try_again<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.unwrap_err();
    let settled = (error.kind(), error.applied());
    assert_eq!(settled, (ErrorKind::Unavailable, Applied::No), "{error:?}");
}

/// A subject whose shard is in a slot of the first third.
fn subject_of_the_first(store: &RedisStore, cluster: &mut RedisCluster) -> (Subject, Shard, u16) {
    loop {
        let subject = fresh_subject();
        let shard = store.facts().sharding.shard_of(&subject);
        let tag = format!("{{{:04x}}}", shard.number());
        let slot: u16 = cluster.masters()[0]
            .ask(&["CLUSTER", "KEYSLOT", &tag])
            .parse()
            .unwrap();
        if slot < 16384 / 3 {
            return (subject, shard, slot);
        }
    }
}

#[tokio::test]
async fn a_slot_on_its_way_answers_rightly_or_not_at_all() {
    let mut cluster = RedisCluster::start(false);
    let builder = RedisStore::builder(&cluster.url()).time_limit(Duration::from_millis(500));
    let store = builder.connect().await.unwrap();
    let (subject, shard, slot) = subject_of_the_first(&store, &mut cluster);
    let (first, second) = (user(&store, &subject).await, user(&store, &subject).await);
    let ticket = store.ticket(&subject).await.unwrap();
    let [from, to, others @ ..] = cluster.masters() else {
        panic!("three masters");
    };
    let moving = Move {
        slot: slot.to_string(),
        from,
        to,
        others,
    };

    moving.begin();
    // What has not left is served where it is; what is new begins where it will be.
    assert!(live(&store, first).await.is_some());
    assert!(write(&store, first, "a", "1").await.unwrap());
    let new = SessionId::generate(shard);
    let created = store.create(new, &new_record()).await.unwrap();
    assert!(matches!(created, Creation::Created(_)));
    assert!(live(&store, new).await.is_some());
    assert!(write(&store, new, "b", "2").await.unwrap());
    // What is large is written by two keys elsewhere, and by one here.
    let large = format!("\"{}\"", "x".repeat(5000));
    assert!(write(&store, first, "large", &large).await.unwrap());
    assert!(write(&store, new, "large", &large).await.unwrap());
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 2);

    // The index is there, the sessions are still here: nobody may take them for gone.
    moving.take(":u:");
    try_again(store.sessions_of(&subject).await);
    try_again(store.revoke(&subject, None).await);
    let id = SessionId::generate(shard);
    try_again(store.sign_in(&ticket, id, &new_record(), None).await);
    moving.take(&first.to_string());
    try_again(store.sessions_of(&subject).await);
    assert_eq!(live(&store, first).await.unwrap().get("a"), Some("1"));

    moving.take("");
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 2);
    moving.finish();
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 2);
    assert_eq!(live(&store, new).await.unwrap().get("b"), Some("2"));
    let mut ended = store.revoke(&subject, None).await.unwrap();
    ended.sort();
    let mut expected = [first, second];
    expected.sort();
    assert_eq!(ended, expected);
    user(&store, &subject).await;
}

#[tokio::test]
async fn a_slot_that_has_moved_is_followed() {
    let mut cluster = RedisCluster::start(false);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (subject, _, slot) = subject_of_the_first(&store, &mut cluster);
    let id = user(&store, &subject).await;
    let [from, to, others @ ..] = cluster.masters() else {
        panic!("three masters");
    };
    let moving = Move {
        slot: slot.to_string(),
        from,
        to,
        others,
    };
    moving.begin();
    moving.take("");
    moving.finish();
    assert!(write(&store, id, "a", "1").await.unwrap());
    assert_eq!(live(&store, id).await.unwrap().get("a"), Some("1"));
    assert_eq!(store.sessions_of(&subject).await.unwrap()[0].0, id);
}

#[tokio::test]
async fn a_nonce_is_refused_when_a_slot_has_moved_and_comes_back_once_the_new_master_is_heard() {
    let mut cluster = RedisCluster::start(false);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let watch = store.abilities().watch.unwrap();
    let mut feed = watch.watch();
    watch.echo(1).await.unwrap();
    assert_eq!(feed.next().await, Some(FeedItem::Echo(1)));
    let (_, _, slot) = subject_of_the_first(&store, &mut cluster);
    let [from, to, others @ ..] = cluster.masters() else {
        panic!("three masters");
    };
    let moving = Move {
        slot: slot.to_string(),
        from,
        to,
        others,
    };
    moving.begin();
    moving.take("");
    moving.finish();
    let refused = watch.echo(2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    for _ in 0..2 {
        let gap = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
        assert_eq!(gap.unwrap(), Some(FeedItem::Gap));
    }
    assert!(soon(async || watch.echo(3).await.is_ok()).await);
    assert_eq!(feed.next().await, Some(FeedItem::Echo(3)));
}

#[tokio::test]
async fn no_nonce_comes_back_while_one_master_hangs() {
    let mut cluster = RedisCluster::start(false);
    let builder = RedisStore::builder(&cluster.url()).time_limit(Duration::from_secs(1));
    let store = builder.connect().await.unwrap();
    let watch = store.abilities().watch.unwrap();
    let mut feed = watch.watch();
    cluster.masters()[1].pause();
    let hanging = watch.echo(1).await.unwrap_err();
    assert_eq!(hanging.kind(), ErrorKind::Unavailable);
    cluster.masters()[1].resume();
    assert!(soon(async || watch.echo(2).await.is_ok()).await);
    let mut told = Vec::new();
    while !told.contains(&FeedItem::Echo(2)) {
        let item = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
        told.push(item.unwrap().unwrap());
    }
    // The server may come to what it was sent while it hung: then it was heard of after all.
    let is_known = |item: &FeedItem| matches!(item, FeedItem::Echo(1 | 2) | FeedItem::Gap);
    assert!(told.iter().all(is_known), "{told:?}");
}

#[tokio::test]
async fn a_nonce_is_refused_by_a_server_that_became_a_replica() {
    let (old, new) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let store = RedisStore::connect(&old.url()).await.unwrap();
    let watch = store.abilities().watch.unwrap();
    watch.echo(1).await.unwrap();
    let address = new.url();
    let (host, port) = address
        .trim_start_matches("redis://")
        .trim_end_matches('/')
        .split_once(':')
        .unwrap();
    assert_eq!(old.ask(&["REPLICAOF", host, port]), "OK");
    let refused = watch.echo(2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_documented_rights_are_enough_on_a_cluster() {
    const RIGHTS: &str = "on >secret resetkeys ~session:* resetchannels &session:feed -@all \
        +eval +evalsha +time +get +set +getrange +setrange +rename +del +pttl +pexpireat +wait \
        +zadd +zrange +zrandmember +zrem +zscore +publish +subscribe +ping +info +scan +select \
        +cluster|slots +cluster|nodes +cluster|keyslot +asking";
    let mut cluster = RedisCluster::start(true);
    let mut words = vec!["ACL", "SETUSER", "app"];
    words.extend(RIGHTS.split_whitespace());
    for master in cluster.masters() {
        assert_eq!(master.ask(&words), "OK");
    }
    // The replicas are asked where the masters are, too.
    for replica in cluster.replicas() {
        assert_eq!(replica.ask(&words), "OK");
    }
    let builder = RedisStore::builder(&cluster.url());
    let login = builder.username("app").password("secret").replicas_ack(1);
    let store = login.connect().await.unwrap();
    for _ in 0..10 {
        let subject = fresh_subject();
        let id = user(&store, &subject).await;
        assert!(write(&store, id, "a", "1").await.unwrap());
        assert_eq!(store.revoke(&subject, None).await.unwrap(), [id]);
        assert_eq!(store.sessions_of(&subject).await.unwrap(), []);
    }
    let abilities = store.abilities();
    assert_eq!(abilities.scan.unwrap().scan(None, 1).await.unwrap(), []);
    abilities.watch.unwrap().echo(1).await.unwrap();
}

#[tokio::test]
async fn a_walk_shows_the_sessions_of_all_nodes() {
    let cluster = RedisCluster::start(false);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(visitor(&store).await);
    }
    ids.sort();
    let scan = store.abilities().scan.unwrap();
    let (mut shown, mut after) = (Vec::new(), None);
    loop {
        let page = scan.scan(after, 7).await.unwrap();
        let Some((last, _)) = page.last() else {
            break;
        };
        after = Some(*last);
        shown.extend(page.iter().map(|(id, _)| *id));
    }
    assert_eq!(shown, ids);
}
