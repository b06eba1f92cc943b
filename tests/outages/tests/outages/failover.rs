//! Another server takes over: what the first had not passed on yet is lost, and nothing else is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_core::ErrorKind;
use session_outages::worker::{self, Load};
use session_outages::{Findings, Ledger, Recorded, open};
use test_servers::{RedisCluster, RedisSentinel, RedisServer};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::scene::{LIMIT, connected, damage, every_verb, recovers, refused, users};

async fn audited(ledger: &Arc<Mutex<Ledger>>, url: &str) -> Findings {
    let store = open(url, LIMIT * 10).await.unwrap();
    Ledger::audit(ledger, store).await.unwrap();
    ledger.lock().findings()
}

/// Mixed load while `fails` happens; then the store works again by itself.
async fn under_load(store: &Recorded, fails: impl FnOnce()) {
    let counter = store.create(None).await.unwrap().token;
    let load = Load {
        seed: 3,
        name: "worker".to_owned(),
        actors: 12,
        pace: Duration::from_millis(10),
        counters: vec![counter],
    };
    let stop = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(worker::run(store.clone(), load, Arc::clone(&stop)));
    sleep(Duration::from_millis(500)).await;
    block_in_place(fails);
    sleep(Duration::from_millis(500)).await;
    recovers(store).await;
    stop.store(true, Ordering::Relaxed);
    working.await.unwrap();
}

/// Waits until all know that the first master's replica has taken over: until then some name the one that
/// is gone.
fn until_all_know(cluster: &mut RedisCluster) {
    let port = cluster.replicas()[0].port();
    let is_known = |node: &RedisServer| {
        let nodes = node.ask(&["CLUSTER", "NODES"]);
        let of_port = format!(":{port}@");
        let mut lines = nodes.lines().filter(|line| line.contains(&of_port));
        lines.any(|line| line.contains("master") && line.contains("0-5460"))
    };
    let all_know = |cluster: &mut RedisCluster| {
        cluster.masters()[1..].iter().all(is_known) && cluster.replicas().iter().all(is_known)
    };
    for _ in 0..400 {
        if all_know(cluster) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no replica takes over");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_choose_another_master_under_load() {
    let mut sentinel = block_in_place(RedisSentinel::start);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (store, _) = connected(&sentinel.url(), LIMIT, &ledger).await;
    // Both replicas have followed from the start.
    assert_eq!(sentinel.master().ask(&["WAIT", "2", "10000"]), "2");
    under_load(&store, || sentinel.master().kill()).await;
    let findings = audited(&ledger, &sentinel.url()).await;
    println!("{findings}");
    damage(&findings);
    assert!(findings.acknowledged > 100, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_cluster_takes_over_under_load() {
    let mut cluster = block_in_place(|| RedisCluster::start(true));
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (store, _) = connected(&cluster.url(), LIMIT, &ledger).await;
    under_load(&store, || {
        cluster.masters()[0].kill();
        until_all_know(&mut cluster);
    })
    .await;
    let findings = audited(&ledger, &cluster.url()).await;
    println!("{findings}");
    damage(&findings);
    assert!(findings.acknowledged > 100, "{findings}");
}

/// What Redis acknowledged before its replicas had it is lost when one of them takes over: the
/// documentation says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lagged_behind_takes_over_without_the_last_writes() {
    let mut cluster = block_in_place(|| RedisCluster::start(true));
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (store, _) = connected(&cluster.url(), LIMIT, &ledger).await;
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(users(&store).await);
    }
    // What was written so far has reached the replicas; what follows is not even on its way to them.
    let master = &cluster.masters()[0];
    assert_eq!(master.ask(&["WAIT", "1", "2000"]), "1");
    block_in_place(|| cluster.replicas()[0].pause());
    let _ = cluster.masters()[0].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    for users in &mut all {
        let answers = every_verb(&store, users).await;
        refused(&answers, &[], ErrorKind::Unavailable);
    }
    block_in_place(|| {
        cluster.masters()[0].kill();
        cluster.replicas()[0].resume();
        until_all_know(&mut cluster);
    });
    recovers(&store).await;
    let (lost, revived) = damage(&audited(&ledger, &cluster.url()).await);
    assert!(lost > 0, "{lost} lost, {revived} revived");
}
