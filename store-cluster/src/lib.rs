//! A session store without a server: every node holds every session, and what is made, changed or ended
//! on one is propagated to the others.
//!
//! It is available under partitions and eventually consistent ([`Eventual`]): calls through one node
//! are one after the other, and reach other nodes once they have been propagated. After the network
//! heals, all nodes hold equal sessions, and every destroy and every revoke has won.
//!
//! [`Eventual`]: session_core::Consistency::Eventual

#[allow(
    dead_code,
    unused_imports,
    reason = "the replica is made before the store that drives it"
)]
mod core;
#[allow(
    dead_code,
    unused_imports,
    reason = "the membership is made before the store that drives it"
)]
mod member;
#[allow(
    dead_code,
    unused_imports,
    reason = "the mesh is made before the store that drives it"
)]
mod net;
#[allow(
    dead_code,
    unused_imports,
    reason = "the replica is made before the store that drives it"
)]
mod wire;

#[cfg(test)]
mod simulation;

pub use net::{Credentials, Refused};
