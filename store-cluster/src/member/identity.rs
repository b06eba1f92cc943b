//! What a node is to the membership protocol.

use std::fmt;

use foca::Identity;
use serde::{Deserialize, Serialize};

use crate::net::{NodeName, Peer};

/// A life of a node, and how often it came back after the others had taken it for dead: its memory is
/// then still whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) peer: Peer,
    returns: u32,
}

impl Member {
    pub(super) const fn new(peer: Peer) -> Self {
        Self { peer, returns: 0 }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}+{}", self.peer, self.returns)
    }
}

/// Of one node only one life counts: the one that began last.
impl Identity for Member {
    type Addr = NodeName;

    fn renew(&self) -> Option<Self> {
        Some(Self {
            peer: self.peer.clone(),
            returns: self.returns.checked_add(1)?,
        })
    }

    fn addr(&self) -> NodeName {
        self.peer.node.clone()
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        if self.peer.incarnation == adversary.peer.incarnation {
            self.returns > adversary.returns
        } else {
            self.peer.replaces(&adversary.peer)
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::Timestamp;

    use super::*;

    fn member(incarnation: u64, started_at: u64) -> Member {
        let node = NodeName::new("one").unwrap();
        let addr = "127.0.0.1:7001".parse().unwrap();
        let started_at = Timestamp::from_millis(started_at);
        Member::new(Peer::new(node, incarnation, started_at, addr))
    }

    #[test]
    fn a_later_life_wins_and_a_return_wins_over_the_life_before_it_only() {
        let (early, late) = (member(2, 10), member(1, 20));
        assert!(late.win_addr_conflict(&early));
        assert!(!early.win_addr_conflict(&late));
        let returned = early.renew().unwrap();
        assert!(returned.win_addr_conflict(&early));
        assert!(!early.win_addr_conflict(&returned));
        assert!(late.win_addr_conflict(&returned));
        assert!(!returned.win_addr_conflict(&late));
    }
}
