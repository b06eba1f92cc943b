//! Which nodes belong to the cluster, as far as this one knows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::core::Presence;
use crate::net::{MAX_NODES, NodeName, Peer, Refusal};

/// How many nodes that are gone are remembered.
const MAX_GONE: usize = 1024;

/// The newest life of each node, and how it stands. A state without time and I/O: it is told what
/// happens, and answers what changed.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    nodes: BTreeMap<NodeName, (Peer, Presence)>,
}

/// Something that changed.
pub(crate) type Change = (Peer, Presence);

impl Roster {
    /// Whether this life of a node may take part.
    pub(crate) fn admits(&self, peer: &Peer) -> Result<(), Refusal> {
        match self.nodes.get(&peer.node) {
            Some((known, Presence::Gone)) if known.incarnation == peer.incarnation => {
                Err(Refusal::Retired)
            }
            Some((known, _)) if known.replaces(peer) => Err(Refusal::Retired),
            Some(_) => Ok(()),
            // This node itself is not in the list.
            None if self.present().count() + 1 >= MAX_NODES => Err(Refusal::Crowded),
            None => Ok(()),
        }
    }

    /// A peer is known to have lived a moment ago. Whether it is up the membership says.
    pub(crate) fn found(&mut self, peer: &Peer) -> Vec<Change> {
        self.see(peer, None)
    }

    /// The membership was derived anew: these live.
    pub(crate) fn derive(&mut self, live: &HashMap<u64, Peer>) -> Vec<Change> {
        let mut changes = Vec::new();
        for peer in live.values() {
            changes.extend(self.see(peer, Some(Presence::Up)));
        }
        for (peer, presence) in self.nodes.values_mut() {
            if *presence == Presence::Up && !live.contains_key(&peer.incarnation) {
                *presence = Presence::Down;
                changes.push((peer.clone(), Presence::Down));
            }
        }
        changes
    }

    /// A peer left for good.
    pub(crate) fn left(&mut self, peer: &Peer) -> Vec<Change> {
        let known = self.nodes.get_mut(&peer.node);
        let Some((known, presence)) = known.filter(|(known, presence)| {
            known.incarnation == peer.incarnation && *presence != Presence::Gone
        }) else {
            return Vec::new();
        };
        *presence = Presence::Gone;
        let change = (known.clone(), Presence::Gone);
        self.prune();
        vec![change]
    }

    /// The life of a node that is down is never to come back. One that is up is not forgotten.
    pub(crate) fn forget(&mut self, node: &NodeName) -> Vec<Change> {
        match self.nodes.get(node) {
            Some((peer, Presence::Down)) => {
                let peer = peer.clone();
                self.left(&peer)
            }
            _ => Vec::new(),
        }
    }

    /// How a life of a node stands.
    pub(crate) fn presence(&self, peer: &Peer) -> Presence {
        match self.nodes.get(&peer.node) {
            Some((known, presence)) if known.incarnation == peer.incarnation => *presence,
            Some((known, _)) if known.replaces(peer) => Presence::Gone,
            _ => Presence::Down,
        }
    }

    /// The nodes that are not gone.
    pub(crate) fn present(&self) -> impl Iterator<Item = (&Peer, Presence)> {
        self.nodes
            .values()
            .filter(|(_, presence)| *presence != Presence::Gone)
            .map(|(peer, presence)| (peer, *presence))
    }

    /// Where the nodes that are not gone are reached.
    pub(crate) fn addrs(&self) -> HashSet<SocketAddr> {
        self.present().map(|(peer, _)| peer.addr).collect()
    }

    fn see(&mut self, peer: &Peer, presence: Option<Presence>) -> Vec<Change> {
        if self.admits(peer).is_err() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        match self.nodes.get_mut(&peer.node) {
            Some((known, standing)) if known.incarnation == peer.incarnation => {
                known.addr = peer.addr;
                if let Some(presence) = presence.filter(|presence| presence != standing) {
                    *standing = presence;
                    changes.push((peer.clone(), presence));
                }
                return changes;
            }
            Some((before, Presence::Gone)) => *before = peer.clone(),
            Some((before, _)) => {
                changes.push((before.clone(), Presence::Gone));
            }
            None => {}
        }
        let presence = presence.unwrap_or(Presence::Down);
        changes.push((peer.clone(), presence));
        self.nodes
            .insert(peer.node.clone(), (peer.clone(), presence));
        changes
    }

    /// Forgets the nodes that began first among those that are gone, if there are too many.
    fn prune(&mut self) {
        let mut gone: Vec<_> = self
            .nodes
            .values()
            .filter(|(_, presence)| *presence == Presence::Gone)
            .map(|(peer, _)| (peer.started_at(), peer.node.clone()))
            .collect();
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(MAX_GONE);
        for (_, node) in gone.into_iter().take(surplus) {
            self.nodes.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::Timestamp;

    use super::*;

    fn peer(node: &str, incarnation: u64, started_at: u64) -> Peer {
        Peer::new(
            NodeName::new(node).unwrap(),
            incarnation,
            Timestamp::from_millis(started_at),
            "127.0.0.1:7001".parse().unwrap(),
        )
    }

    fn live(peers: &[&Peer]) -> HashMap<u64, Peer> {
        let by_incarnation = |peer: &&Peer| (peer.incarnation, (*peer).clone());
        peers.iter().map(by_incarnation).collect()
    }

    #[test]
    fn a_node_that_was_found_is_down_until_the_membership_says_that_it_is_up() {
        let (mut roster, one) = (Roster::default(), peer("one", 1, 10));
        assert_eq!(roster.found(&one), [(one.clone(), Presence::Down)]);
        assert_eq!(roster.found(&one), []);
        assert_eq!(roster.derive(&live(&[&one])), [(one.clone(), Presence::Up)]);
        assert_eq!(roster.derive(&live(&[&one])), []);
        assert_eq!(
            roster.found(&one),
            [],
            "finding it again takes nothing back"
        );
        assert_eq!(roster.derive(&live(&[])), [(one.clone(), Presence::Down)]);
        assert_eq!(roster.derive(&live(&[&one])), [(one, Presence::Up)]);
    }

    #[test]
    fn a_later_life_makes_the_one_before_it_gone_for_ever() {
        let mut roster = Roster::default();
        let (first, second) = (peer("one", 9, 10), peer("one", 1, 20));
        roster.derive(&live(&[&first]));
        assert_eq!(
            roster.found(&second),
            [
                (first.clone(), Presence::Gone),
                (second.clone(), Presence::Down)
            ]
        );
        assert_eq!(roster.admits(&first), Err(Refusal::Retired));
        assert_eq!(roster.found(&first), []);
        assert_eq!(
            roster.derive(&live(&[&first, &second])),
            [(second, Presence::Up)]
        );
    }

    #[test]
    fn a_node_that_left_is_gone_and_may_be_started_again() {
        let mut roster = Roster::default();
        let (first, second) = (peer("one", 9, 10), peer("one", 1, 20));
        roster.derive(&live(&[&first]));
        assert_eq!(roster.left(&first), [(first.clone(), Presence::Gone)]);
        assert_eq!(roster.left(&first), []);
        assert_eq!(
            roster.derive(&live(&[&first])),
            [],
            "a late word of it changes nothing"
        );
        assert_eq!(roster.admits(&first), Err(Refusal::Retired));
        assert!(roster.addrs().is_empty());
        assert_eq!(roster.found(&second), [(second, Presence::Down)]);
        assert_eq!(roster.addrs().len(), 1);
    }

    #[test]
    fn only_a_node_that_is_down_is_forgotten() {
        let (mut roster, one) = (Roster::default(), peer("one", 1, 10));
        roster.derive(&live(&[&one]));
        assert_eq!(roster.forget(&one.node), []);
        roster.derive(&live(&[]));
        assert_eq!(roster.forget(&one.node), [(one.clone(), Presence::Gone)]);
        assert_eq!(roster.admits(&one), Err(Refusal::Retired));
        assert_eq!(roster.forget(&NodeName::new("two").unwrap()), []);
    }

    #[test]
    fn there_are_no_more_nodes_than_there_may_be() {
        let mut roster = Roster::default();
        for number in 1..MAX_NODES {
            roster.found(&peer(&format!("node-{number}"), number as u64, 10));
        }
        let surplus = peer("surplus", 1_000, 10);
        assert_eq!(roster.admits(&surplus), Err(Refusal::Crowded));
        assert_eq!(roster.found(&surplus), []);
        roster.left(&peer("node-1", 1, 10));
        assert_eq!(roster.admits(&surplus), Ok(()));
    }

    #[test]
    fn not_every_node_that_is_gone_is_remembered() {
        let mut roster = Roster::default();
        for number in 0..2 * MAX_GONE as u64 {
            let peer = peer(&format!("node-{number}"), number, number);
            roster.found(&peer);
            roster.left(&peer);
        }
        assert_eq!(roster.nodes.len(), MAX_GONE);
    }
}
