//! A session store without a server: every node holds every session, and what is made, changed or ended
//! on one is propagated to the others.
//!
//! Each application server has a [`ClusterStore`], which is a node of the cluster. The nodes find each other
//! by a few addresses, speak to each other over TLS with certificates on both sides, and hold all
//! sessions in memory.
//!
//! ```
//! use session_core::{Freshness, Loaded, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Timeouts};
//! use store_cluster::ClusterStore;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let one = ClusterStore::builder("example")
//!     .listen("127.0.0.1:0")
//!     .insecure_plaintext()
//!     .start()
//!     .await?;
//! one.ready().await;
//! let two = ClusterStore::builder("example")
//!     .listen("127.0.0.1:0")
//!     .seeds([one.address().to_string().as_str()])
//!     .insecure_plaintext()
//!     .start()
//!     .await?;
//! two.ready().await;
//!
//! let id = SessionId::generate(Shard::random());
//! let secret = SessionSecret::generate();
//! one.create(id, &NewRecord::new(secret.hash(), Timeouts::default())).await?;
//! assert!(matches!(two.load(id, Freshness::Any).await?, Loaded::Live(_)));
//! # Ok::<(), session_core::StoreError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! The store is available under partitions and eventually consistent
//! ([`Eventual`](session_core::Consistency::Eventual)):
//!
//! - Through one node the whole contract holds: one call is after the other.
//! - A call that returned once all alive had acknowledged it ([`WriteAck::AllAlive`]) counts on every one of
//!   them. By default that is so of every destroy and every revoke; of other changes one other node has
//!   them ([`WriteAck::ONE`]), and the rest a moment later.
//! - A session that is not known to the node that is asked is asked of the others before the answer is "no".
//!   While one of them cannot be asked, and has neither [left](ClusterStore::leave), nor been started
//!   again, nor been [forgotten](ClusterStore::forget), the answer is `Unavailable`, never "no such
//!   session".
//! - Changes of different entries, and renewals, from different nodes at the same time all count. Of
//!   changes of one entry the last by a hybrid logical clock counts, on all nodes the same.
//! - A destroy wins over every change, whichever came first: no clock takes part. A revoke ends every
//!   session whose sign-in had not seen it, on whichever node and however late it turns up.
//! - After the network heals all nodes hold equal sessions. No acknowledged write is lost while no more
//!   nodes fail at a time than had to acknowledge it.
//!
//! # What does not
//!
//! - Nothing is linearizable between nodes. Of changes guarded by one revision, of sign-ins under a limit and
//!   of creates under one id that are made on different nodes within the time that one takes to reach the
//!   other, each may be let in; limits are then kept by ending the surplus, the same on all nodes.
//! - There is no count that several nodes can raise at once without losing some.
//! - A logout does not cross a partition: the nodes beyond it serve the session until the network heals,
//!   or its deadline.
//! - Nothing survives the loss of all nodes, or of every node that had acknowledged it.
//! - Touches travel every second. A session that is used on a node which fails may expire by as much too
//!   early.
//! - Clocks may differ by [`max_skew`](ClusterStoreBuilder::max_skew) and no more: a node whose clock
//!   differs by more is not spoken to. A node that is started again while its clock stands before its
//!   former start is refused until it has passed it.
//! - Whoever has a certificate of the cluster and its key holds every session. There is no defence against
//!   a node that lies.
//! - More nodes do not mean more writes: every node applies all. A cluster has 64 nodes at most, and is
//!   meant for ten.
//!
//! # When calls fail
//!
//! A call whose acknowledgements do not come in time fails as
//! [`Unavailable`](session_core::ErrorKind::Unavailable), its outcome
//! [`Unknown`](session_core::Applied::Unknown): it is applied here, not confirmed there, and never taken back
//! silently. A store over its bounds says [`Full`](session_core::ErrorKind::Full), and ends no session to
//! make room.
//!
//! # How it is built
//!
//! `core/` is the replica: one node's sessions and what it knows of the others, without input, output or
//! clock. `wire/` is what replicas say to each other. `net/` carries it, over two connections for each pair
//! of nodes. `member/` knows which nodes take part. `node.rs` drives them all.

mod abilities;
mod acks;
mod core;
mod member;
mod members;
mod net;
mod node;
mod options;
mod store;
mod uptime;
mod wire;

#[cfg(test)]
mod simulation;

pub use self::core::Usage;
pub use acks::WriteAck;
pub use members::MemberStatus;
pub use net::{Credentials, Refused};
pub use options::ClusterStoreBuilder;
pub use store::ClusterStore;
