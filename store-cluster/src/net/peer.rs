//! Who a node is to the others.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_core::Timestamp;

/// The name of a node: it stays the same when the node is started again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeName(Arc<str>);

/// The longest name, in bytes.
pub(crate) const MAX_NAME: usize = 64;

impl NodeName {
    /// A name of 1 to 64 printable ASCII characters without spaces; `None` if it is none.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let fits = (1..=MAX_NAME).contains(&name.len());
        (fits && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for NodeName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        Self::new(name).ok_or_else(|| serde::de::Error::custom("no name of a node"))
    }
}

/// One life of a node: from one start of its process to the next, which begins with an empty memory.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) node: NodeName,
    /// Random for each start, so that nothing that an earlier life numbered is numbered again.
    pub(crate) incarnation: u64,
    /// When the process started, in milliseconds by its own clock: of two lives of one node, the later
    /// counts.
    started_at: u64,
    /// Where the others reach it.
    pub(crate) addr: SocketAddr,
}

impl Peer {
    pub(crate) const fn new(
        node: NodeName,
        incarnation: u64,
        started_at: Timestamp,
        addr: SocketAddr,
    ) -> Self {
        Self {
            node,
            incarnation,
            started_at: started_at.as_millis(),
            addr,
        }
    }

    pub(crate) const fn started_at(&self) -> Timestamp {
        Timestamp::from_millis(self.started_at)
    }

    /// Whether this is a later life of the same node than `other`.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.node == other.node
            && (self.started_at, self.incarnation) > (other.started_at, other.incarnation)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:016x}@{}", self.node, self.incarnation, self.addr)
    }
}
