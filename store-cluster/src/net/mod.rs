//! The mesh: links between all nodes, mutually authenticated, and what is said on them.

mod accept;
mod carry;
mod counters;
mod credentials;
mod frame;
mod hello;
mod link;
mod mesh;
mod peer;
mod stream;

pub use counters::Refused;
pub use credentials::Credentials;
pub(crate) use credentials::{Reloading, Security};
pub(crate) use frame::Frame;
pub(crate) use hello::{Agreed, Refusal, Terms};
pub(crate) use link::Reach;
pub(crate) use mesh::{Local, MAX_NODES, Mesh, Traffic, Unfit};
pub(crate) use peer::{MAX_NAME, NodeName, Peer};
pub(crate) use stream::listen;

/// The version of the bodies of the mesh's own frames.
const VERSION: u8 = 1;

/// Who writes, and what it understands: the first frame of each side.
const HELLO: u8 = 0;
/// Why the peer is not let in: the code of a refusal.
const REFUSED: u8 = 1;
/// The writer lives: its present, in milliseconds.
const PING: u8 = 2;
/// A datagram of the membership.
const MEMBERSHIP: u8 = 3;
/// The writer leaves for good.
const GOODBYE: u8 = 4;
/// About how many bytes of data are written at a time.
pub(crate) const BATCH: usize = 64 << 10;
/// Kinds from here on are not the mesh's own, and travel on the data connection.
const FIRST_KIND: u8 = 16;

#[cfg(test)]
mod tests;
