//! reconcile: a replicated map by gossip over UDP, here with a key for the cluster, so that its datagrams are
//! authenticated. It does not encrypt them, acknowledges nothing, and tells nobody who is down.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use benches::{COUNTER, ClusterContender, NodeSetup, Payload, Replicated, Role, Weight};
use reconcile::replicated_map::Config;
use reconcile::tokio_util::sync::CancellationToken;
use reconcile::{ClusterKey, ReplicatedMap};

type Map = ReplicatedMap<[u8; 16], String>;

/// Nodes of it.
pub(crate) fn nodes() -> ClusterContender {
    ClusterContender {
        name: "reconcile",
        role: Role::Peer,
        keeps: true,
        acknowledges: false,
        open: |setup| Box::pin(async { Box::new(Node::start(setup).await) as _ }),
    }
}

/// One node of it that nobody else belongs to.
pub(crate) fn weight() -> Weight {
    Weight {
        name: "reconcile",
        role: Role::Peer,
        is_node: true,
        fill: |sessions, payload| {
            Box::pin(async move {
                let map = map(1, free_port()).await;
                let text = payload.to_object().to_string();
                for number in 0..sessions {
                    map.insert(id(0, number), text.clone());
                    if number % 1_024 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Box::new(map) as Box<dyn Any>
            })
        },
    }
}

/// The node of number `host` at 127.0.0.`host`: all have the same port.
async fn map(host: u8, port: u16) -> Map {
    let config = Config::default()
        .with_port(port)
        .with_listen_addr(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)))
        .with_net("127.0.0.0/27".parse().unwrap())
        .unwrap()
        .with_cluster_key(ClusterKey::new([7; 32]));
    Map::new(config).await.unwrap()
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

fn id(node: usize, number: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (salt, half) in (1..).zip(bytes.chunks_exact_mut(8)) {
        let mixed = u64::wrapping_mul(salt, 0x9e37_79b9_7f4a_7c15);
        let mixed = mixed.wrapping_add(((node << 48) + number) as u64);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        half.copy_from_slice(&(mixed ^ mixed >> 27).to_be_bytes());
    }
    bytes
}

struct Node {
    map: Map,
    address: SocketAddr,
    number: usize,
    text: String,
    inserted: AtomicUsize,
}

impl Node {
    async fn start(setup: NodeSetup) -> Self {
        let host = u8::try_from(setup.number + 1).unwrap();
        let joins: Vec<SocketAddr> = setup.joins.iter().map(|it| it.parse().unwrap()).collect();
        let port = joins.first().map_or_else(free_port, SocketAddr::port);
        let mut map = map(host, port).await;
        for join in &joins {
            map = map.with_seed(join.ip());
        }
        let seen = setup.seen;
        map.set_pre_insert(move |_, entry| {
            if let Some(text) = entry.value() {
                let after = text.split_once(COUNTER).map(|(_, after)| after);
                if let Some(value) = after.and_then(|after| after.split('"').nth(2)) {
                    seen.note(value);
                }
            }
        });
        let node = Self {
            address: map.local_addr().unwrap(),
            number: setup.number,
            text: Payload::of(NodeSetup::BYTES).to_object().to_string(),
            inserted: AtomicUsize::new(0),
            map: map.clone(),
        };
        tokio::spawn(map.run(CancellationToken::new()));
        node
    }

    fn insert(&self, number: usize, text: String) {
        self.map.insert(id(self.number, number), text);
        self.inserted.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Replicated for Node {
    fn address(&self) -> String {
        self.address.to_string()
    }

    /// It does not say: whoever wants to know counts its sessions.
    async fn ready(&self) {}

    fn peers(&self) -> usize {
        self.map.peers().len()
    }

    fn sessions(&self) -> usize {
        self.map.len()
    }

    async fn make(&self, number: usize) {
        self.insert(number, self.text.clone());
    }

    /// It knows no entries: the whole session is written.
    async fn write(&self, number: usize, value: &str) {
        let text = self.text.replacen(":1", &format!(":{value}"), 1);
        self.insert(number, text);
    }

    async fn touch(&self, _: usize) {}

    async fn end(&self, number: usize) {
        self.map.remove(&id(self.number, number));
    }
}
