//! Sessions on Redis (6.2 or newer) and Valkey: a single server, Sentinel or Cluster.
//!
//! ```no_run
//! # async fn start() -> Result<(), session_core::StoreError> {
//! use store_redis::RedisStore;
//!
//! let store = RedisStore::connect("redis://127.0.0.1/").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! The store is [`Linearizable`](session_core::Consistency::Linearizable), by the **server's clock**, which is
//! read in each step. A session expires to the millisecond, with nobody's help. A load is one `GET`; every
//! other verb is one script on one slot of a cluster, since a session's id carries its subject's shard. A
//! change is made on the copy that the caller loaded and swapped in if nobody was faster, so it too
//! is one round trip. Calls that are made at the same time are sent together.
//!
//! Every call ends within the [time limit](RedisStoreBuilder::time_limit), whatever the server does. Nothing
//! that may have been carried out is sent a second time: a call whose answer is lost fails as
//! `Unavailable`, its outcome [`Unknown`](session_core::Applied::Unknown).
//!
//! # What a server can lose
//!
//! Redis acknowledges before it is safe. What survives depends on how the server is set up, and an end or a
//! revocation is lost like any other write:
//!
//! | what happens | what may be missing afterwards |
//! |---|---|
//! | connections are cut, the server is paused | nothing |
//! | it crashes, with `appendfsync always` | nothing |
//! | it crashes, with `appendfsync everysec` | the last second or two |
//! | it crashes, without a log | everything since the last snapshot, or all: users sign in again |
//! | a replica takes over (Sentinel, Cluster) | what it had not received: [`replicas_ack`](RedisStoreBuilder::replicas_ack) makes that rare |
//! | a master is cut off with some of its clients | what it acknowledged to them until it noticed: set `min-replicas-to-write` |
//! | memory is full | nothing: what is new is refused as `Full`, anonymous sessions from four fifths on; what ends, renews or touches sessions goes on |
//!
//! A server that evicts when memory is short is refused, unless
//! [allowed by name](RedisStoreBuilder::allow_eviction). While a slot of a cluster moves between nodes, calls
//! that concern several keys of it, sign-ins for one, may fail as `Unavailable`, without effect.
//!
//! # What a person sees
//!
//! ```text
//! redis-cli --scan --pattern 'session:{*}:u:*'                    who is signed in
//! redis-cli zrange 'session:{beef}:u:alice' 0 -1 withscores       with which sessions, since when
//! redis-cli pexpiretime 'session:{beef}:s:beef0123…'              until when, unless it is used (6.2: pttl)
//! ```
//!
//! A list may name sessions that have expired since, until the subject signs in again.
//! A value is a packed record: it holds hashes of secrets, no secret, and the application's entries as they
//! are. `session:{meta}:sharding` remembers how subjects are placed in shards; never remove it alone.
//!
//! # Rights
//!
//! What a user of the access control list needs, for the prefix `session:`:
//!
//! ```text
//! ACL SETUSER app on >… resetkeys ~session:* resetchannels &session:feed -@all
//!     +eval +evalsha +time +get +set +getrange +setrange +rename +del +pttl +pexpireat
//!     +zadd +zrange +zrandmember +zrem +zscore +publish +subscribe +ping +info +scan +select
//! ```
//!
//! On a cluster also `+cluster|slots +cluster|nodes +cluster|keyslot +asking`, and with `replicas_ack`
//! `+wait`. With a test clock, `+pexpire`. Commands are tried when a store connects.

mod address;
mod answer;
mod apply;
mod batches;
mod client;
mod clock;
mod cluster;
mod command;
mod connection;
mod failure;
mod feed;
mod greeting;
mod keys;
mod layout;
mod message;
mod node;
mod options;
mod packet;
mod scan;
mod script;
mod sentinel;
mod slot;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod turns;
mod wire;
mod wires;

pub use options::RedisStoreBuilder;
pub use store::RedisStore;
