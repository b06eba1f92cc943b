//! Nodes of a mesh that carry what a test gives them, and keep what comes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use session_core::{ManualClock, Revision, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::net::stream;
use crate::net::{
    Agreed, Frame, Local, Mesh, NodeName, Peer, Refusal, Security, Terms, Traffic, Unfit,
};

/// What happened to a node, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Opened(u64),
    Closed(u64),
    Frame(u64, u8, Bytes),
    Datagram(Bytes),
    Left(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) seen: Mutex<Vec<Seen>>,
    waiting: Mutex<HashMap<u64, VecDeque<Vec<u8>>>>,
    pub(crate) filled: Mutex<usize>,
}

impl Traffic for Recorder {
    fn admits(&self, _: &Peer) -> Result<(), Refusal> {
        Ok(())
    }

    fn found(&self, _: &Peer) {}

    fn left(&self, peer: &Peer) {
        self.seen.lock().push(Seen::Left(peer.incarnation));
    }

    fn datagram(&self, datagram: Bytes) {
        self.seen.lock().push(Seen::Datagram(datagram));
    }

    fn opened(&self, peer: &Peer, _: Agreed) {
        self.seen.lock().push(Seen::Opened(peer.incarnation));
    }

    fn closed(&self, peer: &Peer) {
        self.seen.lock().push(Seen::Closed(peer.incarnation));
    }

    fn fill(&self, peer: &Peer, out: &mut Vec<u8>) {
        let mut waiting = self.waiting.lock();
        let Some(waiting) = waiting.get_mut(&peer.incarnation) else {
            return;
        };
        while out.len() < crate::net::BATCH
            && let Some(frames) = waiting.pop_front()
        {
            out.extend_from_slice(&frames);
            *self.filled.lock() += 1;
        }
    }

    fn received(&self, peer: &Peer, frame: Frame) -> Result<(), Unfit> {
        if frame.body.as_ref() == b"malformed" {
            return Err(Unfit::Malformed);
        }
        let seen = Seen::Frame(peer.incarnation, frame.kind, frame.body);
        self.seen.lock().push(seen);
        Ok(())
    }
}

/// A node of the cluster `shop` on a port of its own. It ends when it is dropped.
pub(crate) struct Node {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) traffic: Arc<Recorder>,
    pub(crate) clock: ManualClock,
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub(crate) async fn start(security: Security) -> Self {
        Self::with(security, any_port(), |_| {}).await
    }

    pub(crate) async fn with(
        security: Security,
        listener: TcpListener,
        change: impl FnOnce(&mut Local),
    ) -> Self {
        let clock = ManualClock::default();
        let addr = listener.local_addr().unwrap();
        let node = NodeName::new(&addr.to_string()).unwrap();
        let started_at = Timestamp::from_millis(1_000);
        let mut local = Local {
            cluster: "shop".into(),
            peer: Peer::new(node, Revision::random().to_u64(), started_at, addr),
            terms: Terms {
                sharding: [1; 8],
                ticket_life: Duration::from_secs(600),
                max_skew: Duration::from_secs(10),
            },
            versions: crate::wire::OLDEST..=crate::wire::VERSION,
            features: 0,
            clock: Arc::new(clock.clone()),
            security,
        };
        change(&mut local);
        let (mesh, traffic) = (Mesh::new(local), Arc::new(Recorder::default()));
        let carries = Arc::clone(&traffic) as Arc<dyn Traffic>;
        let task = tokio::spawn(Arc::clone(&mesh).run(listener, carries));
        Self {
            mesh,
            traffic,
            clock,
            addr,
            task,
        }
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.mesh.local.peer.incarnation
    }

    pub(crate) fn wants(&self, others: &[&Self]) {
        let addrs: HashSet<_> = others.iter().map(|node| node.addr).collect();
        self.mesh.want(&addrs);
    }

    pub(crate) fn sends(&self, to: &Self, kind: u8, body: &[u8]) {
        let mut frame = Vec::new();
        crate::net::frame::append(&mut frame, kind, 1, body);
        self.sends_bytes(to.incarnation(), frame);
    }

    pub(crate) fn sends_bytes(&self, to: u64, bytes: Vec<u8>) {
        let mut waiting = self.traffic.waiting.lock();
        waiting.entry(to).or_default().push_back(bytes);
        drop(waiting);
        self.mesh.wake(to);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.traffic.seen.lock().clone()
    }

    pub(crate) async fn sees(&self, what: &Seen) {
        let is_seen = || self.traffic.seen.lock().contains(what);
        eventually(is_seen, &format!("{what:?}")).await;
    }

    pub(crate) async fn is_linked_to(&self, other: &Self) {
        self.sees(&Seen::Opened(other.incarnation())).await;
        other.sees(&Seen::Opened(self.incarnation())).await;
    }
}

pub(crate) fn any_port() -> TcpListener {
    stream::listen("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Waits until something holds, which takes as long as it takes, but not for ever.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool, what: &str) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "it never happened: {what}");
}
