//! Nodes of a cluster that end, come back, or hang: nothing acknowledged is lost, nothing that ended comes
//! back, and nobody is told "no such session" by a node that cannot know.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cluster;

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use cluster::authority::Authority;
use session_core::{
    Applied, Creation, ErrorKind, Freshness, Loaded, NewRecord, SessionId, SessionSecret,
    SessionStore, Shard, Timeouts, Timestamp,
};
use store_cluster::{ClusterStore, ClusterStoreBuilder, WriteAck};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

const CLUSTER: &str = "sessions.test";

fn builder(authority: &Authority, name: &str, seeds: &[&ClusterStore]) -> ClusterStoreBuilder {
    let seeds: Vec<_> = seeds
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    ClusterStore::builder(CLUSTER)
        .listen("127.0.0.1:0")
        .node(name)
        .seeds(seeds.iter().map(String::as_str))
        .credentials(authority.credentials(CLUSTER))
        // A busy machine may need more than a second for what is to succeed.
        .time_limit(Duration::from_secs(5))
}

async fn started(builder: ClusterStoreBuilder) -> ClusterStore {
    let node = builder.start().await.unwrap();
    timeout(Duration::from_secs(60), node.ready())
        .await
        .unwrap();
    node
}

async fn created(node: &ClusterStore) -> SessionId {
    let id = SessionId::generate(Shard::random());
    let new = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default());
    let creation = node.create(id, &new).await.unwrap();
    assert!(matches!(creation, Creation::Created(_)));
    id
}

fn unknown_id() -> SessionId {
    SessionId::generate(Shard::random())
}

async fn eventually<T>(what: &str, mut try_it: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(done) = try_it().await {
                return done;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), trying)
        .await
        .unwrap_or_else(|_| panic!("it never happened: {what}"))
}

async fn is_live(node: &ClusterStore, id: SessionId) -> bool {
    matches!(node.load(id, Freshness::Source).await, Ok(Loaded::Live(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_takes_nothing_with_it_and_comes_back_with_everything() {
    let authority = Authority::new();
    let one = started(builder(&authority, "one", &[])).await;
    let two = started(builder(&authority, "two", &[&one])).await;
    let three = started(builder(&authority, "three", &[&one])).await;
    cluster::are_linked(&[one.clone(), two.clone(), three.clone()]).await;

    let mut lives = Vec::new();
    let mut ended = Vec::new();
    for number in 0..60 {
        // Acknowledged by one other: the end of the node that took them must cost nothing.
        let id = created(&three).await;
        if number % 3 == 0 {
            assert!(two.delete(id).await.unwrap() || !is_live(&three, id).await);
            ended.push(id);
        } else {
            lives.push(id);
        }
    }
    drop(three);
    // Ends wait for all that are alive, and then for all that are left.
    let id = lives.pop().unwrap();
    assert!(
        eventually("a destroy is acknowledged", async || one
            .delete(id)
            .await
            .ok())
        .await
    );
    ended.push(id);

    // What the node held alone nobody knows: no "no" until it is back.
    eventually("nobody can be certain", async || {
        one.load(unknown_id(), Freshness::Source).await.err()
    })
    .await;
    let refused = two.load(unknown_id(), Freshness::Source).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.applied()),
        (ErrorKind::Unavailable, Applied::No)
    );

    let three = started(builder(&authority, "three", &[&two])).await;
    let nodes = [one, two, three];
    cluster::are_linked(&nodes).await;
    for node in &nodes {
        for id in &lives {
            assert!(is_live(node, *id).await, "{id} is lost on {node:?}");
        }
        for id in &ended {
            assert!(!is_live(node, *id).await, "{id} is back on {node:?}");
        }
        let no = node.load(unknown_id(), Freshness::Source).await.unwrap();
        assert!(matches!(no, Loaded::Absent), "{no:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_seed_takes_connections_and_hangs_does_not_take_the_cluster_for_empty() {
    let authority = Authority::new();
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let seed = hanging.local_addr().unwrap().to_string();
    let node = builder(&authority, "one", &[])
        .seeds([seed.as_str()])
        .bootstrap_wait(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    // Of three tries two came to nothing, which took longer than the wait.
    let mut taken = Vec::new();
    while taken.len() < 3 {
        taken.push(hanging.accept().await.unwrap());
    }
    assert!(!node.is_ready());
    let error = node.load(unknown_id(), Freshness::Source).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    drop((hanging, taken));
    timeout(Duration::from_secs(60), node.ready())
        .await
        .unwrap();
    assert!(matches!(
        node.load(unknown_id(), Freshness::Source).await,
        Ok(Loaded::Absent)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_or_is_forgotten_is_not_waited_for() {
    let authority = Authority::new();
    let one = started(builder(&authority, "one", &[])).await;
    let two = started(builder(&authority, "two", &[&one])).await;
    let three = started(builder(&authority, "three", &[&one])).await;
    cluster::are_linked(&[one.clone(), two.clone(), three.clone()]).await;
    let id = created(&two).await;
    two.leave().await.unwrap();
    eventually("it is gone", async || {
        (one.members().len() == 1).then_some(())
    })
    .await;
    assert!(is_live(&three, id).await && is_live(&one, id).await);
    one.load(unknown_id(), Freshness::Source).await.unwrap();

    assert!(!one.forget("three").await.unwrap(), "it is up");
    drop(three);
    eventually("it is down", async || {
        one.load(unknown_id(), Freshness::Source).await.err()
    })
    .await;
    eventually("it is forgotten", async || {
        one.forget("three").await.ok()?.then_some(())
    })
    .await;
    let no = one.load(unknown_id(), Freshness::Source).await.unwrap();
    assert!(matches!(no, Loaded::Absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_at_rest_know_the_same_and_hold_the_same_whichever_version_they_speak() {
    let authority = Authority::new();
    let (before, now) = ClusterStoreBuilder::WIRE_VERSIONS.into_inner();
    let one = started(builder(&authority, "one", &[]).wire_version(before)).await;
    let two = started(builder(&authority, "two", &[&one])).await;
    let three = started(builder(&authority, "three", &[&one])).await;
    let nodes = [one, two, three];
    cluster::are_linked(&nodes).await;
    let versions = |node: &ClusterStore| {
        let members = node.members().into_iter();
        let mut versions: Vec<_> = members.map(|member| member.wire_version).collect();
        versions.sort_unstable();
        versions
    };
    assert_eq!(versions(&nodes[0]), [Some(before), Some(before)]);
    assert_eq!(versions(&nodes[1]), [Some(before), Some(now)]);

    let none = nodes[0].digest(Timestamp::MIN);
    for node in &nodes {
        created(node).await;
    }
    let is_equal = async || {
        let known = nodes[0].known();
        let digest = nodes[0].digest(Timestamp::MIN);
        let is_equal = nodes
            .iter()
            .all(|node| node.known() == known && node.digest(Timestamp::MIN) == digest);
        (is_equal && digest != none && known.values().sum::<u64>() == 3).then_some(())
    };
    eventually("all know and hold the same", is_equal).await;
    let late = nodes.iter().map(|node| node.digest(Timestamp::MAX));
    assert!(late.collect::<Vec<_>>().iter().all(|it| *it == none));
}

/// A node on a thread of its own, which can be made to hang as if its process had been stopped.
struct Hanging {
    node: ClusterStore,
    runtime: tokio::runtime::Handle,
    _thread: JoinHandle<()>,
}

impl Hanging {
    fn start(builder: ClusterStoreBuilder) -> Self {
        let (give, given) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let node = started(builder).await;
                give.send((node, tokio::runtime::Handle::current()))
                    .unwrap();
                std::future::pending::<()>().await;
            });
        });
        let (node, runtime) = given.recv().unwrap();
        Self {
            node,
            runtime,
            _thread: thread,
        }
    }

    /// Stops everything that the node does until the sender is dropped.
    fn hang(&self) -> mpsc::Sender<()> {
        let (go_on, goes_on) = mpsc::channel::<()>();
        self.runtime.spawn(async move {
            let _ = goes_on.recv();
        });
        go_on
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_holds_up_only_who_waits_for_it_and_catches_up() {
    let authority = Authority::new();
    let one = started(builder(&authority, "one", &[])).await;
    let two = started(builder(&authority, "two", &[&one])).await;
    let slow = Hanging::start(builder(&authority, "slow", &[&one]));
    cluster::are_linked(&[one.clone(), two.clone(), slow.node.clone()]).await;
    let id = created(&one).await;
    eventually("it is everywhere", async || {
        is_live(&slow.node, id).await.then_some(())
    })
    .await;

    let go_on = slow.hang();
    // One other acknowledges: nobody waits for the one that hangs.
    let mut lives = Vec::new();
    for _ in 0..200 {
        lives.push(created(&one).await);
    }
    // All alive must, and it still counts as alive: applied here, not confirmed there.
    let error = one.delete(id).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.applied()),
        (ErrorKind::Unavailable, Applied::Unknown)
    );
    assert!(!is_live(&one, id).await && !is_live(&two, id).await);
    // Until it is taken for down.
    let other = lives.pop().unwrap();
    let destroyed = async || one.delete(other).await.ok();
    eventually("a destroy is acknowledged", destroyed).await;

    drop(go_on);
    let caught_up = async || {
        for id in &lives {
            if !is_live(&slow.node, *id).await {
                return None;
            }
        }
        Some(())
    };
    eventually("it has caught up", caught_up).await;
    let is_over = async || {
        let is_over = !is_live(&slow.node, id).await && !is_live(&slow.node, other).await;
        is_over.then_some(())
    };
    eventually("what has ended is over there, too", is_over).await;
    cluster::are_linked(&[one.clone(), two, slow.node.clone()]).await;
    let acknowledged = one.delete(lives[0]).await;
    assert!(acknowledged.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_without_being_told_how_connections_are_secured() {
    let refused = ClusterStore::builder(CLUSTER)
        .listen("127.0.0.1:0")
        .start()
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    let everywhere = ClusterStore::builder(CLUSTER)
        .listen("0.0.0.0:0")
        .insecure_plaintext();
    assert_eq!(
        everywhere.start().await.unwrap_err().kind(),
        ErrorKind::Config
    );
    for version in [0, 200] {
        let unspoken = ClusterStore::builder(CLUSTER)
            .listen("127.0.0.1:0")
            .insecure_plaintext()
            .wire_version(version);
        assert_eq!(
            unspoken.start().await.unwrap_err().kind(),
            ErrorKind::Config
        );
    }
    let nameless = ClusterStore::builder("no name")
        .listen("127.0.0.1:0")
        .insecure_plaintext();
    assert_eq!(
        nameless.start().await.unwrap_err().kind(),
        ErrorKind::Config
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_only_this_node_must_have_waits_for_nobody() {
    let authority = Authority::new();
    let one = started(builder(&authority, "one", &[]).acknowledge(WriteAck::Local)).await;
    let slow = Hanging::start(builder(&authority, "slow", &[&one]));
    cluster::are_linked(&[one.clone(), slow.node.clone()]).await;
    let go_on = slow.hang();
    let id = created(&one).await;
    drop(go_on);
    eventually("it spreads", async || {
        is_live(&slow.node, id).await.then_some(())
    })
    .await;
}
