//! A member that writes old frames again on its own link.

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Clock, Creation, Freshness, Loaded, NewRecord, SecretHash, SessionId, SessionStore, Timeouts,
};

use tokio::time::{sleep, timeout};

use super::authority::Authority;
use super::node::{Node, Seen, any_port, eventually};
use crate::ClusterStore;
use crate::core::{Asked, Effects, Incarnation, Now, Replica, ReplicaOptions};
use crate::wire::VERSION;

/// A member of whose replica the test carries the frames.
struct Member {
    node: Node,
    replica: Replica,
    peer: Incarnation,
    /// How much of what the node saw the replica has been told.
    told: usize,
}

impl Member {
    /// Joins the cluster of a store.
    async fn join(store: &ClusterStore, authority: &Authority) -> Self {
        let theirs = &store.node().mesh.local;
        let node = Node::with(authority.security().await, any_port(), |local| {
            local.terms = theirs.terms;
            local.clock = Arc::clone(&theirs.clock);
        })
        .await;
        let mut replica = Replica::new(ReplicaOptions::new(Incarnation(node.incarnation())));
        replica.cold_start(&mut Effects::new());
        node.mesh.want(&[store.address()].into());
        Self {
            peer: Incarnation(theirs.peer.incarnation),
            node,
            replica,
            told: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall: self.node.mesh.local.clock.now(),
            uptime: Duration::from_secs(1),
        }
    }

    /// Tells the replica what came, and writes what it has to say: that is returned.
    fn speak(&mut self) -> Vec<u8> {
        let (now, mut effects) = (self.now(), Effects::new());
        for seen in self.node.seen().into_iter().skip(self.told) {
            self.told += 1;
            match seen {
                Seen::Opened(_) => self.replica.linked(now, self.peer, VERSION, &mut effects),
                Seen::Closed(_) => self.replica.unlinked(now, self.peer, &mut effects),
                Seen::Frame(_, kind, body) => {
                    let from = self.peer;
                    self.replica
                        .received(now, from, kind, VERSION, &body, &mut effects)
                        .unwrap();
                }
                Seen::Datagram(_) | Seen::Left(_) => {}
            }
        }
        let mut bytes = Vec::new();
        self.replica
            .next_frames(now, self.peer, &mut bytes, 1 << 20);
        self.node.sends_bytes(self.peer.0, bytes.clone());
        bytes
    }

    /// Speaks until something holds; all that was said.
    async fn speak_until(&mut self, holds: impl AsyncFn() -> bool) -> Vec<u8> {
        let speaking = async {
            let mut said = Vec::new();
            while !holds().await {
                said.extend(self.speak());
                sleep(Duration::from_millis(5)).await;
            }
            said
        };
        let said = timeout(Duration::from_secs(30), speaking).await;
        said.expect("it never held")
    }

    fn create(&mut self, byte: u8) -> SessionId {
        let (now, id) = (self.now(), SessionId::from_bytes([byte; 16]));
        let timeouts = Timeouts::new(Duration::from_secs(3_600));
        let new = NewRecord::new(SecretHash::from_bytes([byte; 32]), timeouts);
        let written = self.replica.create(now, id, &new, &mut Effects::new());
        assert!(matches!(written.unwrap().answer, Creation::Created(_)));
        id
    }

    fn links(&self) -> usize {
        let is_opened = |seen: &&Seen| matches!(seen, Seen::Opened(_));
        self.node.seen().iter().filter(is_opened).count()
    }
}

async fn holds(store: &ClusterStore, id: SessionId) -> bool {
    let loaded = store.load(id, Freshness::Any).await;
    matches!(loaded, Ok(Loaded::Live(_)))
}

#[tokio::test]
async fn an_old_frame_on_a_members_own_link_is_refused_counted_and_changes_nothing() {
    let authority = Authority::new();
    let store = ClusterStore::builder("shop")
        .listen("127.0.0.1:0")
        .credentials(authority.credentials("shop"))
        .start()
        .await
        .unwrap();
    store.ready().await;
    let mut member = Member::join(&store, &authority).await;
    let id = member.create(1);
    let old = member.speak_until(async || holds(&store, id).await).await;
    let now = member.now();
    let deleted = member
        .replica
        .delete(now, id, Asked::Yes, &mut Effects::new());
    assert!(deleted.unwrap().answer);
    member.speak_until(async || !holds(&store, id).await).await;
    let before = (store.known(), store.usage(), member.links());

    member.node.sends_bytes(member.peer.0, old);
    eventually(|| store.refused().repeated == 1, "it is refused").await;
    assert_eq!((store.known(), store.usage()), (before.0, before.1));
    assert!(!holds(&store, id).await);

    // The link is made anew, and goes on.
    eventually(|| member.links() > before.2, "the link is made anew").await;
    let next = member.create(2);
    member.speak_until(async || holds(&store, next).await).await;
    assert_eq!(store.refused().repeated, 1);
}
