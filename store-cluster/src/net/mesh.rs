//! All links of a node.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use session_core::Clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::accept;
use super::counters::Counters;
use super::credentials::Security;
use super::frame::Frame;
use super::hello::{Agreed, Channel, Hello, Refusal, Terms};
use super::link::{Link, Reach};
use super::peer::Peer;
use super::{GOODBYE, MEMBERSHIP};

/// How long a handshake may take, the making of the connection included.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(3);
/// How many nodes a cluster may have. Every node speaks to every other.
pub(crate) const MAX_NODES: usize = 64;
/// How many links a node keeps at most: some may lead to nodes that are no more.
const MAX_LINKS: usize = 2 * MAX_NODES;

/// What the mesh carries, and whom it tells. Its methods are called from the mesh's tasks and never wait.
pub(crate) trait Traffic: Send + Sync + 'static {
    /// Whether a life of a node may still take part.
    fn admits(&self, peer: &Peer) -> Result<(), Refusal>;
    /// A peer is known to live at its address.
    fn found(&self, peer: &Peer);
    /// A peer says that it leaves for good.
    fn left(&self, peer: &Peer);
    /// A datagram of the membership has come.
    fn datagram(&self, datagram: Bytes);
    /// Data goes to this peer and comes from it from now on, in order, until
    /// [`closed`](Traffic::closed). The two alternate.
    fn opened(&self, peer: &Peer, agreed: Agreed);
    /// What was under way to the peer or from it may be lost.
    fn closed(&self, peer: &Peer);
    /// Appends whole frames that wait for the peer: some [`BATCH`](super::BATCH) bytes, or one frame that is
    /// larger. Nothing is appended when nothing waits.
    fn fill(&self, peer: &Peer, out: &mut Vec<u8>);
    /// A frame has come, of a kind that is not the mesh's own.
    fn received(&self, peer: &Peer, frame: Frame) -> Result<(), Unfit>;
}

/// Why a member's frame is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("a frame cannot be read")]
    Malformed,
    #[error("a frame comes a second time")]
    Repeated,
}

/// What a node says of itself, and the bounds that it keeps.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) cluster: Box<str>,
    pub(crate) peer: Peer,
    pub(crate) terms: Terms,
    /// The versions of the protocol that this node speaks.
    pub(crate) versions: RangeInclusive<u8>,
    pub(crate) features: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) security: Security,
}

impl Local {
    pub(crate) fn hello(&self, channel: Channel) -> Hello {
        Hello {
            cluster: self.cluster.clone(),
            peer: self.peer.clone(),
            channel,
            versions: self.versions.clone(),
            features: self.features,
            wall: self.clock.now(),
            terms: self.terms,
        }
    }

    /// Whether the connections between this node and a peer are made by this one. Of each pair one makes
    /// them, so that nobody has to agree on which of two to keep.
    pub(crate) const fn dials(&self, peer: &Peer) -> bool {
        self.peer.incarnation < peer.incarnation
    }
}

/// All links of a node.
pub(crate) struct Mesh {
    pub(crate) local: Local,
    pub(crate) counters: Counters,
    links: Mutex<HashMap<SocketAddr, Arc<Link>>>,
    links_changed: Notify,
    /// The links on which data goes, by the incarnations that they lead to.
    open: RwLock<HashMap<u64, Arc<Link>>>,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    pub(crate) fn new(local: Local) -> Arc<Self> {
        Arc::new(Self {
            local,
            counters: Counters::default(),
            links: Mutex::default(),
            links_changed: Notify::new(),
            open: RwLock::default(),
        })
    }

    /// Carries for as long as the node runs: takes connections, and keeps links to all that are
    /// [wanted](Mesh::want).
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, traffic: Arc<dyn Traffic>) {
        let reload = async {
            if let Security::Tls(tls) = &self.local.security {
                tls.keep_reloading().await;
            }
        };
        tokio::join!(
            accept::run(&self, listener, &traffic),
            self.keep_links(&traffic),
            reload,
        );
    }

    /// Has one task for each link.
    async fn keep_links(self: &Arc<Self>, traffic: &Arc<dyn Traffic>) {
        let mut tasks = JoinSet::new();
        let mut running: HashMap<SocketAddr, AbortHandle> = HashMap::new();
        loop {
            let links: Vec<_> = self.links.lock().values().cloned().collect();
            running.retain(|addr, task| {
                let stays = links.iter().any(|link| link.addr == *addr);
                if !stays {
                    task.abort();
                }
                stays
            });
            for link in links {
                running.entry(link.addr).or_insert_with(|| {
                    let (mesh, traffic) = (Arc::clone(self), Arc::clone(traffic));
                    tasks.spawn(async move { link.keep(&mesh, &traffic).await })
                });
            }
            while tasks.try_join_next().is_some() {}
            self.links_changed.notified().await;
        }
    }

    /// Keeps links to exactly these addresses, and those that stand for as long as they do.
    pub(crate) fn want(&self, addrs: &HashSet<SocketAddr>) {
        let mut links = self.links.lock();
        let before = links.len();
        links.retain(|addr, link| addrs.contains(addr) || link.stands());
        let mut changed = links.len() != before;
        for addr in addrs {
            if links.len() < MAX_LINKS && !links.contains_key(addr) {
                links.insert(*addr, Arc::new(Link::new(*addr)));
                changed = true;
            }
        }
        drop(links);
        if changed {
            self.links_changed.notify_one();
        }
    }

    /// The link to a peer, which is made if need be.
    pub(super) fn link_to(&self, addr: SocketAddr) -> Result<Arc<Link>, Refusal> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(&addr) {
            return Ok(Arc::clone(link));
        }
        if links.len() >= MAX_LINKS {
            return Err(Refusal::Crowded);
        }
        let link = Arc::new(Link::new(addr));
        links.insert(addr, Arc::clone(&link));
        drop(links);
        self.links_changed.notify_one();
        Ok(link)
    }

    /// Sends a datagram of the membership. It may get lost. A link that is missing is made.
    pub(crate) fn send(&self, to: SocketAddr, datagram: Bytes) {
        if let Ok(link) = self.link_to(to) {
            link.post(MEMBERSHIP, datagram);
        }
    }

    /// Says that data may wait for a peer.
    pub(crate) fn wake(&self, incarnation: u64) {
        if let Some(link) = self.open.read().get(&incarnation) {
            link.wake();
        }
    }

    /// How the link to `addr` stands.
    pub(crate) fn reach(&self, addr: SocketAddr) -> Reach {
        let links = self.links.lock();
        links.get(&addr).map_or(Reach::Away, |link| link.reach())
    }

    pub(super) fn opened(&self, incarnation: u64, link: Arc<Link>) {
        self.open.write().insert(incarnation, link);
    }

    pub(super) fn closed(&self, incarnation: u64) {
        self.open.write().remove(&incarnation);
    }

    /// Tells every peer that this node leaves for good, within `limit`.
    pub(crate) async fn say_goodbye(&self, limit: Duration) {
        let mut links: Vec<_> = self.links.lock().values().cloned().collect();
        links.retain(|link| link.stands());
        for link in &links {
            link.post(GOODBYE, Bytes::new());
        }
        let posted = async {
            for link in links {
                link.posted().await;
            }
        };
        // Whoever does not hear it takes this node for down.
        let _ = tokio::time::timeout(limit, posted).await;
    }
}
