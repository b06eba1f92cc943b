//! The store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
    Timestamp,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::acks::WriteAck;
use crate::core::{Asked, Effects, Now, Refused, Replica, Usage, Written};
use crate::member::Event;
use crate::members::MemberStatus;
use crate::net::{self, NodeName};
use crate::node::Node;
use crate::options::{Acknowledgements, ClusterStoreBuilder};

/// The store's name in errors, logs and metrics.
pub(crate) const NAME: &str = "cluster";

/// Sessions on every node of a cluster. Clones share them; when the last one is dropped, the node is gone as
/// if its process had been killed. [`ClusterStore::leave`] before, to go in peace.
///
/// It can watch and scan. See the [crate](crate) for what holds between nodes, and what does not.
#[derive(Clone)]
pub struct ClusterStore(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) facts: StoreFacts,
    pub(crate) node: Arc<Node>,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) limit: Duration,
    /// Ends them when it is dropped.
    pub(crate) _tasks: JoinSet<()>,
}

impl ClusterStore {
    /// A node of the cluster `name` to set up.
    ///
    /// Nodes of different names never speak to each other. The name is that of a DNS host, since
    /// certificates are made for it: letters, digits, dots and hyphens, 64 at most.
    pub fn builder(name: &str) -> ClusterStoreBuilder {
        ClusterStoreBuilder::new(name)
    }

    pub(crate) fn over(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0.node
    }

    pub(crate) fn limit(&self) -> Duration {
        self.0.limit
    }

    /// Where the others reach this node.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.0.node.mesh.local.peer.addr
    }

    /// Waits until this node holds what the others hold. Before, it serves what it has got by then, and says
    /// `Unavailable` to all else: send it no requests.
    ///
    /// It has no time limit of its own.
    pub async fn ready(&self) {
        self.0.node.ready().await;
    }

    /// Whether this node holds what the others hold.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.node.is_ready()
    }

    /// Leaves the cluster for good: waits, within the time limit of calls, until the others have all that was
    /// done here, and tells them that this node is not coming back. Send it no requests any more.
    ///
    /// Without it the others take this node for down, and since it may come back with sessions that they do
    /// not know, they cannot say "no such session" until it is started again, or
    /// [forgotten](ClusterStore::forget).
    ///
    /// # Errors
    ///
    /// `Unavailable` if some node did not acknowledge everything in time. This node has left all the same.
    pub async fn leave(self) -> Result<(), StoreError> {
        let last = self.0.node.step(|replica, now, effects| {
            replica.tell_touches(now, effects);
            last_seq(replica)
        });
        let spread = self.acknowledged(last, WriteAck::AllAlive).await;
        let (left, has_left) = oneshot::channel();
        let leaving = async {
            // Both fail only where the membership has ended already.
            let _ = self.0.node.events.send(Event::Leave(left)).await;
            let _ = has_left.await;
        };
        let _ = timeout(self.0.limit, leaving).await;
        self.0.node.mesh.say_goodbye(self.0.limit).await;
        spread
    }

    /// Gives up a node that is down: whatever it alone held is lost, it is never let in again without a
    /// restart, and nobody waits for it. Says whether it was down. Every node that has it among its
    /// [members](ClusterStore::members) must be told.
    ///
    /// # Errors
    ///
    /// `Config` if there can be no node of this name; `Unavailable`.
    pub async fn forget(&self, node: &str) -> Result<bool, StoreError> {
        let node = NodeName::new(node).ok_or_else(|| {
            StoreError::new(NAME, ErrorKind::Config).because("no node has such a name")
        })?;
        let (done, is_done) = oneshot::channel();
        let forgetting = async {
            self.0
                .node
                .events
                .send(Event::Forget(node, done))
                .await
                .ok()?;
            is_done.await.ok()
        };
        let forgotten = timeout(self.0.limit, forgetting).await;
        forgotten.ok().flatten().ok_or_else(unavailable)
    }

    /// The other nodes, as this one knows them.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        MemberStatus::of(&self.0.node)
    }

    /// How often something came that does not belong to this cluster.
    #[must_use]
    pub fn refused(&self) -> net::Refused {
        self.0.node.mesh.counters.read()
    }

    /// When this node's certificate, or one of its chain, expires: after that no other node accepts it. It
    /// changes once a newer one is [read](crate::Credentials::files). Nothing where there are no certificates.
    #[must_use]
    pub fn certificate_expires_at(&self) -> Option<Timestamp> {
        match &self.0.node.mesh.local.security {
            net::Security::Tls(credentials) => Some(credentials.present().expires_at),
            net::Security::Plaintext => None,
        }
    }

    /// How much this node holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.node.step(|replica, _, _| replica.usage())
    }

    /// How many changes of each node have come to this one, by the number of the life of the node that made
    /// them: its changes are numbered from 1, and no one before the last is missing. A node has caught up
    /// with another once it knows of every life what the other did.
    ///
    /// Touches are not in it: they spread by themselves, within a second or so.
    #[must_use]
    pub fn known(&self) -> BTreeMap<u64, u64> {
        self.0.node.step(|replica, _, _| {
            let known = replica.known.iter();
            known.map(|(origin, seq)| (origin.0, *seq)).collect()
        })
    }

    /// A digest of all sessions here that expire later than `after`: nodes at rest that
    /// [know](ClusterStore::known) the same have the same. Give all of them the same `after`, later than the
    /// present by twice what their clocks may differ: what expires before may be gone on one of them already.
    ///
    /// It looks at every session, some microseconds at each, and nothing else happens on this node meanwhile.
    /// The nodes themselves compare digests every ten minutes, and log an error if they differ.
    #[must_use]
    pub fn digest(&self, after: Timestamp) -> u64 {
        self.0.node.step(|replica, now, effects| {
            replica.tell_touches(now, effects);
            replica.digest(after)
        })
    }

    /// Waits until the others have what was done here.
    async fn acknowledged(&self, seq: u64, ack: WriteAck) -> Result<(), StoreError> {
        let acknowledged = timeout(self.0.limit, self.0.node.acks.wait(seq, ack)).await;
        acknowledged.map_err(|elapsed| {
            let error = unavailable().unknown();
            tracing::debug!(seq, ?ack, "applied here, not confirmed there");
            error.because(elapsed)
        })
    }

    async fn written<T>(&self, written: Written<T>, ack: WriteAck) -> Result<T, StoreError> {
        if let Some(seq) = written.seq {
            self.acknowledged(seq, ack).await?;
        }
        Ok(written.answer)
    }

    /// Takes a step that may end in a "no", and asks the peers before it does.
    async fn certainly<T>(
        &self,
        id: SessionId,
        step: impl Fn(&mut Replica, Now, Asked, &mut Effects) -> Result<T, Refused>,
    ) -> Result<T, StoreError> {
        let node = self.node();
        let first = node.step(|replica, now, effects| step(replica, now, Asked::No, effects));
        if !matches!(first, Err(Refused::Ask)) {
            return first.map_err(refused);
        }
        let asking = node.ask(|replica, now, effects| replica.ask(now, id, effects));
        let certain = timeout(self.0.limit, asking).await;
        let asked = match certain {
            Ok(Ok(true)) => Asked::Yes,
            Ok(Ok(false)) => Asked::No,
            Ok(Err(why)) => return Err(refused(why)),
            Err(elapsed) => return Err(unavailable().because(elapsed)),
        };
        node.step(|replica, now, effects| step(replica, now, asked, effects))
            .map_err(refused)
    }
}

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterStore")
            .field("facts", &self.0.facts)
            .field("node", &self.0.node.mesh.local.peer)
            .finish_non_exhaustive()
    }
}

/// The number of the last operation that was done here.
fn last_seq(replica: &Replica) -> u64 {
    replica.next_seq().saturating_sub(1)
}

fn unavailable() -> StoreError {
    StoreError::new(NAME, ErrorKind::Unavailable)
}

fn refused(why: Refused) -> StoreError {
    match why {
        Refused::Ask => unavailable().because("a node that may know the session cannot be asked"),
        Refused::Unavailable => unavailable(),
        Refused::TooLarge(reason) => StoreError::too_large(NAME, reason),
        Refused::Full => StoreError::new(NAME, ErrorKind::Full),
        Refused::Config => {
            StoreError::new(NAME, ErrorKind::Config).because("the id is not in its subject's shard")
        }
    }
}

/// Every change is made here in one step, at once, when the call is first polled; what a call waits for after
/// that are the others' acknowledgements. So a call that is dropped was never begun, or is done here and
/// spreads.
#[async_trait]
impl SessionStore for ClusterStore {
    fn facts(&self) -> &StoreFacts {
        &self.0.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        abilities.watch = Some(self);
        abilities.scan = Some(self);
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        let written = self
            .node()
            .step(|replica, now, effects| replica.create(now, id, record, effects))
            .map_err(refused)?;
        self.written(written, self.0.acknowledgements.writes).await
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        self.certainly(id, |replica, now, asked, _| replica.load(now, id, asked))
            .await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let acknowledgements = &self.0.acknowledgements;
        let touches_wait = change.is_pure_touch() && acknowledgements.touches != WriteAck::Local;
        let written = self
            .certainly(id, |replica, now, asked, effects| {
                let mut written = replica.apply(now, id, change, asked, effects)?;
                if touches_wait {
                    replica.tell_touches(now, effects);
                    written.seq = Some(last_seq(replica));
                }
                Ok(written)
            })
            .await?;
        let ack = if change.is_pure_touch() {
            acknowledgements.touches
        } else {
            acknowledgements.writes
        };
        self.written(written, ack).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let written = self
            .certainly(id, |replica, now, asked, effects| {
                let mut written = replica.delete(now, id, asked, effects)?;
                // Whoever asks again, after a wait in vain, waits for the same again.
                written.seq.get_or_insert(last_seq(replica));
                Ok(written)
            })
            .await?;
        self.written(written, self.0.acknowledgements.ends).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.node()
            .step(|replica, now, _| replica.ticket(now, subject))
            .map_err(refused)
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let written = self
            .node()
            .step(|replica, now, effects| replica.sign_in(now, ticket, id, record, limit, effects))
            .map_err(refused)?;
        self.written(written, self.0.acknowledgements.writes).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.node()
            .step(|replica, now, _| replica.sessions_of(now, subject))
            .map_err(refused)
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        // Only the session that stays is asked for.
        let written = match except {
            None => self
                .node()
                .step(|replica, now, effects| {
                    replica.revoke(now, subject, None, Asked::No, effects)
                })
                .map_err(refused),
            Some(id) => {
                self.certainly(id, |replica, now, asked, effects| {
                    replica.revoke(now, subject, except, asked, effects)
                })
                .await
            }
        }?;
        self.written(written, self.0.acknowledgements.ends).await
    }
}
