//! A Redis cluster.

use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::container::{Container, Image};
use crate::process::{free_port, until};
use crate::redis::{IMAGE, RedisServer, follows};
use crate::resp::asked;
use crate::server::{Contained, Guard, Kind, Server};

const KIND: Kind = Kind {
    name: "a Redis cluster",
    variable: "SESSION_TEST_REDIS_CLUSTER_URL",
    contained,
    local: || {
        let cluster = RedisCluster::start(false);
        Ok((cluster.url(), Guard::Process(Box::new(cluster))))
    },
};

/// The cluster of three masters that all tests of this process share. Found or started when it is first
/// asked for, which may take seconds and keeps the caller's thread.
///
/// # Panics
///
/// If there is none and none can be started.
pub fn redis_cluster() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::find(&KIND))
}

/// A cluster of one's own on this machine. Dropped, it ends.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

const SLOTS: usize = 16384;

impl RedisCluster {
    /// Starts three masters, each with a replica or each without. A master that is gone is replaced by
    /// its replica within about 2 s.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(with_replicas: bool) -> Self {
        let servers = |count: usize| -> Vec<_> { (0..count).map(|_| node()).collect() };
        let cluster = Self {
            masters: servers(3),
            replicas: servers(if with_replicas { 3 } else { 0 }),
        };
        let [masters, replicas] =
            [&cluster.masters, &cluster.replicas].map(|nodes| addresses(nodes));
        form(&masters, &replicas);
        cluster
    }

    /// Where to connect to, with the scheme `redis-cluster`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes = [addresses(&self.masters), addresses(&self.replicas)].concat();
        url(&nodes)
    }

    /// Those that were started as masters. A third of the slots is served by each, in their order.
    pub fn masters(&mut self) -> &mut [RedisServer] {
        &mut self.masters
    }

    /// Those that were started as replicas, in the order of their masters.
    pub fn replicas(&mut self) -> &mut [RedisServer] {
        &mut self.replicas
    }
}

fn addresses(nodes: &[RedisServer]) -> Vec<SocketAddr> {
    nodes.iter().map(RedisServer::address).collect()
}

fn url(nodes: &[SocketAddr]) -> String {
    let nodes: Vec<_> = nodes.iter().map(SocketAddr::to_string).collect();
    format!("redis-cluster://{}", nodes.join(","))
}

/// Makes a cluster of nodes that know nothing of each other, and waits until it is up.
fn form(masters: &[SocketAddr], replicas: &[SocketAddr]) {
    let nodes = [masters, replicas].concat();
    let (first, others) = nodes.split_first().unwrap();
    let (host, port) = (first.ip().to_string(), first.port().to_string());
    for node in others {
        done(*node, &["CLUSTER", "MEET", &host, &port]);
    }
    for (index, master) in masters.iter().enumerate() {
        let [from, to] = [index, index + 1].map(|at| at * SLOTS / masters.len());
        let slots: Vec<_> = (from..to).map(|slot| slot.to_string()).collect();
        let mut words = vec!["CLUSTER", "ADDSLOTS"];
        words.extend(slots.iter().map(String::as_str));
        done(*master, &words);
    }
    for (master, replica) in masters.iter().zip(replicas) {
        let id = asked(*master, &["CLUSTER", "MYID"]);
        let replicate = ["CLUSTER", "REPLICATE", &id];
        // First they must have heard of each other.
        let is_replica = || asked(*replica, &replicate) == "OK";
        assert!(until(is_replica), "no replica");
    }
    let knows = format!("cluster_known_nodes:{}", nodes.len());
    let is_complete = |node: &SocketAddr| {
        let info = asked(*node, &["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains(&knows)
    };
    let is_up =
        until(|| nodes.iter().all(is_complete) && replicas.iter().all(|replica| follows(*replica)));
    assert!(is_up, "the cluster does not come up");
}

/// Three masters in containers, which reach each other at the addresses of their network.
fn contained() -> Result<Option<Contained>, String> {
    let image = Image {
        command: &["redis-server", "--cluster-enabled", "yes", "--save", ""],
        ..IMAGE
    };
    let masters = (0..3).map(|_| image.start());
    let Some(masters) = masters.collect::<Result<Option<Vec<_>>, _>>()? else {
        return Ok(None);
    };
    let nodes: Vec<_> = masters.iter().map(Container::address).collect();
    form(&nodes, &[]);
    Ok(Some(Contained::new(url(&nodes), masters)))
}

fn node() -> RedisServer {
    let arguments = [
        ["--cluster-enabled", "yes"],
        ["--cluster-node-timeout", "1000"],
        ["--cluster-config-file", "nodes.conf"],
        ["--save", ""],
    ];
    let start = || RedisServer::run(free_port()?, arguments.as_flattened(), "");
    // Between the choice of a port and its use another process may take it.
    start().or_else(|_| start()).unwrap()
}

fn done(node: SocketAddr, words: &[&str]) {
    let answer = asked(node, words);
    assert_eq!(answer, "OK", "{:?}", words.get(..2));
}
