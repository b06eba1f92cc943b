//! What a person or a metric may want to know of a replica.

use super::cells::Usage;
use super::clock::Incarnation;
use super::member::Presence;
use super::replica::Replica;

/// What one replica holds, and how far behind its peers are.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    pub(crate) usage: Usage,
    pub(crate) fences: usize,
    /// Operations of this replica so far.
    pub(crate) operations: u64,
    /// Bytes of operations kept for peers.
    pub(crate) ring_bytes: usize,
    /// Changes kept by number for peers that are behind.
    pub(crate) log_len: usize,
    pub(crate) peers: Vec<PeerStats>,
}

/// What is known of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerStats {
    pub(crate) incarnation: Incarnation,
    pub(crate) presence: Presence,
    pub(crate) is_linked: bool,
    pub(crate) is_ready: bool,
    /// Operations of this replica that the peer has not acknowledged.
    pub(crate) lag: u64,
}

impl Replica {
    /// What the replica holds now.
    pub(crate) fn stats(&self) -> Stats {
        let me = self.me();
        let operations = self.next_seq() - 1;
        let peer = |(incarnation, member): (&Incarnation, &super::member::Member)| {
            let acked = member.acked.get(&me).copied().unwrap_or_default();
            PeerStats {
                incarnation: *incarnation,
                presence: member.presence,
                is_linked: member.link.is_some(),
                is_ready: member.is_ready,
                lag: operations - acked.min(operations),
            }
        };
        Stats {
            usage: self.usage(),
            fences: self.fences.len(),
            operations,
            ring_bytes: self.ring.bytes(),
            log_len: self.logs.len(),
            peers: self.members.iter().map(peer).collect(),
        }
    }
}
