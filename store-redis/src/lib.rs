//! Sessions on Redis (6.2 or newer) and Valkey: a single server, Sentinel or Cluster.

mod address;
mod answer;
mod apply;
mod client;
mod clock;
mod cluster;
mod command;
mod connection;
mod failure;
mod feed;
mod greeting;
mod keys;
mod node;
mod options;
mod scan;
mod script;
mod sentinel;
mod slot;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod turns;

pub use options::RedisStoreBuilder;
pub use store::RedisStore;
