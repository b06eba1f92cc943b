//! A Redis cluster.

use crate::process::{free_port, until};
use crate::redis::RedisServer;

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
        let (first, others) = cluster.masters.split_first().unwrap();
        let port = first.port().to_string();
        for node in others.iter().chain(&cluster.replicas) {
            done(node, &["CLUSTER", "MEET", "127.0.0.1", &port]);
        }
        for (index, master) in cluster.masters.iter().enumerate() {
            let (from, to) = (index * SLOTS / 3, (index + 1) * SLOTS / 3);
            let slots: Vec<_> = (from..to).map(|slot| slot.to_string()).collect();
            let mut words = vec!["CLUSTER", "ADDSLOTS"];
            words.extend(slots.iter().map(String::as_str));
            done(master, &words);
        }
        for (master, replica) in cluster.masters.iter().zip(&cluster.replicas) {
            let id = master.ask(&["CLUSTER", "MYID"]);
            let replicate = ["CLUSTER", "REPLICATE", &id];
            // First they must have heard of each other.
            assert!(until(|| replica.ask(&replicate) == "OK"), "no replica");
        }
        let is_complete = |node: &RedisServer| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            let knows = format!("cluster_known_nodes:{}", cluster.nodes().count());
            info.contains("cluster_state:ok") && info.contains(&knows)
        };
        let is_followed = |replica: &RedisServer| {
            replica
                .ask(&["INFO", "replication"])
                .contains("master_link_status:up")
        };
        let is_up =
            until(|| cluster.nodes().all(is_complete) && cluster.replicas.iter().all(is_followed));
        assert!(is_up, "the cluster does not come up");
        cluster
    }

    /// Where to connect to, with the scheme `redis-cluster`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self
            .nodes()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Those that were started as masters. A third of the slots is served by each, in their order.
    pub fn masters(&mut self) -> &mut [RedisServer] {
        &mut self.masters
    }

    /// Those that were started as replicas, in the order of their masters.
    pub fn replicas(&mut self) -> &mut [RedisServer] {
        &mut self.replicas
    }

    fn nodes(&self) -> impl Iterator<Item = &RedisServer> {
        self.masters.iter().chain(&self.replicas)
    }
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

fn done(node: &RedisServer, words: &[&str]) {
    let answer = node.ask(words);
    assert_eq!(answer, "OK", "{:?}", words.get(..2));
}
