//! A cluster: which node serves which slot.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use redis::Value;
use session_core::StoreError;

use crate::address::Address;
use crate::connection::Connector;
use crate::failure::unavailable;
use crate::node::{Node, Place};
use crate::slot::SLOTS;

/// The nodes of a cluster, as far as they are known.
#[derive(Debug)]
pub(crate) struct Cluster {
    seeds: Vec<Address>,
    map: RwLock<Map>,
    /// Whoever asks for the map does it for all.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Map {
    /// How often it was learnt.
    version: u64,
    nodes: HashMap<Address, Arc<Node>>,
    /// By slot. Empty before it was first asked for.
    masters: Vec<Option<Arc<Node>>>,
}

/// From where to where a master serves.
type Range = (u16, u16, Address);

impl Cluster {
    pub(crate) fn new(seeds: Vec<Address>) -> Self {
        Self {
            seeds,
            map: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The node that serves a slot.
    pub(crate) async fn master_of(
        &self,
        slot: u16,
        connector: &Connector,
    ) -> Result<Arc<Node>, StoreError> {
        if let Some(node) = self.known_master_of(slot) {
            return Ok(node);
        }
        self.learn(connector).await?;
        self.known_master_of(slot)
            .ok_or_else(|| unavailable().because("no node serves the slot"))
    }

    /// The node that serves a slot instead of one that cannot be reached, if there is one by now.
    pub(crate) async fn master_instead_of(
        &self,
        node: &Arc<Node>,
        slot: u16,
        connector: &Connector,
    ) -> Option<Arc<Node>> {
        self.learn(connector).await.ok()?;
        self.known_master_of(slot)
            .filter(|master| !Arc::ptr_eq(master, node))
    }

    /// The node at an address that another one named.
    pub(crate) fn node_at(&self, address: Address) -> Arc<Node> {
        self.map.write().node_at(address)
    }

    /// Notes that a slot is served by the node at `address`.
    pub(crate) fn moved(&self, slot: u16, address: Address) -> Arc<Node> {
        let mut map = self.map.write();
        let node = map.node_at(address);
        if let Some(master) = map.masters.get_mut(usize::from(slot)) {
            *master = Some(Arc::clone(&node));
        }
        node
    }

    /// All nodes that serve a slot.
    pub(crate) async fn masters(
        &self,
        connector: &Connector,
    ) -> Result<Vec<Arc<Node>>, StoreError> {
        self.learn(connector).await?;
        let mut masters: Vec<Arc<Node>> = Vec::new();
        for master in self.map.read().masters.iter().flatten() {
            if !masters.iter().any(|known| Arc::ptr_eq(known, master)) {
                masters.push(Arc::clone(master));
            }
        }
        Ok(masters)
    }

    fn known_master_of(&self, slot: u16) -> Option<Arc<Node>> {
        self.map.read().masters.get(usize::from(slot))?.clone()
    }

    /// Asks the nodes for the map until one answers, unless another call did so meanwhile.
    async fn learn(&self, connector: &Connector) -> Result<(), StoreError> {
        let seen = self.map.read().version;
        let _turn = self.asking.lock().await;
        if self.map.read().version != seen {
            return Ok(());
        }
        let mut known: Vec<_> = self.map.read().nodes.keys().cloned().collect();
        known.extend(self.seeds.iter().cloned());
        let mut last = unavailable().because("no node is named");
        for address in known {
            match ask(connector, &address).await {
                Ok(ranges) => {
                    self.map.write().replace(&ranges);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Map {
    fn node_at(&mut self, address: Address) -> Arc<Node> {
        let node = self.nodes.entry(address.clone());
        Arc::clone(node.or_insert_with(|| Arc::new(Node::new(Place::At(address)))))
    }

    /// Nodes that are still there keep their connections.
    fn replace(&mut self, ranges: &[Range]) {
        let mut masters = vec![None; usize::from(SLOTS)];
        for (first, last, address) in ranges {
            let node = self.node_at(address.clone());
            for slot in *first..=*last {
                if let Some(master) = masters.get_mut(usize::from(slot)) {
                    *master = Some(Arc::clone(&node));
                }
            }
        }
        self.masters = masters;
        self.version += 1;
        self.nodes
            .retain(|address, _| ranges.iter().any(|(_, _, master)| master == address));
    }
}

async fn ask(connector: &Connector, address: &Address) -> Result<Vec<Range>, StoreError> {
    let limit = connector.limit / 2;
    let asked = async {
        let node = connector.open(address).await?;
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = node.ask(&question).await;
        answer.map_err(|error| unavailable().because(error))
    };
    // One that hangs must leave time for the others.
    let answer = tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(unavailable().because("a node did not answer in time")))?;
    let ranges: Option<Vec<_>> = match &answer {
        Value::Array(ranges) => ranges.iter().map(|range| read(range, address)).collect(),
        _ => None,
    };
    ranges.ok_or_else(|| unavailable().because("a node does not say which slots it serves"))
}

/// Reads one range: its first and last slot, its master as host and port, its replicas.
fn read(range: &Value, asked: &Address) -> Option<Range> {
    let [
        Value::Int(first),
        Value::Int(last),
        Value::Array(master),
        ..,
    ] = range.as_sequence()?
    else {
        return None;
    };
    let [host, Value::Int(port), ..] = &**master else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => str::from_utf8(host).ok()?.into(),
        // It means the one that was asked.
        _ => asked.host.clone(),
    };
    Some((
        u16::try_from(*first).ok()?,
        u16::try_from(*last).ok()?,
        Address {
            host,
            port: u16::try_from(*port).ok()?,
        },
    ))
}
