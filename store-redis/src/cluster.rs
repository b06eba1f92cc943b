//! A cluster: which node serves which slot.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use session_core::StoreError;

use crate::address::Address;
use crate::connection::Connector;
use crate::failure::unavailable;
use crate::layout::{Layout, Range};
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
    /// As it was learnt.
    layout: Layout,
    nodes: HashMap<Address, Arc<Node>>,
    /// By slot. Empty before it was first asked for.
    masters: Vec<Option<Arc<Node>>>,
}

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

    /// Which node serves which slot, asked anew.
    pub(crate) async fn layout(&self, connector: &Connector) -> Result<Layout, StoreError> {
        self.learn(connector).await?;
        Ok(self.map.read().layout.clone())
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

    pub(crate) fn known_master_of(&self, slot: u16) -> Option<Arc<Node>> {
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
                Ok(layout) => {
                    self.map.write().replace(layout);
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
    fn replace(&mut self, layout: Layout) {
        let mut masters = vec![None; usize::from(SLOTS)];
        for Range {
            first,
            last,
            master,
        } in layout.ranges()
        {
            let node = self.node_at(master.address.clone());
            for slot in *first..=*last {
                if let Some(master) = masters.get_mut(usize::from(slot)) {
                    *master = Some(Arc::clone(&node));
                }
            }
        }
        self.masters = masters;
        self.version += 1;
        self.nodes
            .retain(|address, _| layout.masters().any(|master| master.address == *address));
        self.layout = layout;
    }
}

async fn ask(connector: &Connector, address: &Address) -> Result<Layout, StoreError> {
    let limit = connector.limit / 2;
    let asked = async {
        let node = connector.open(address).await?;
        Layout::known_to(&node).await
    };
    // One that hangs must leave time for the others.
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(unavailable().because("a node did not answer in time")))
}
