//! What a person may see of the other nodes.

use std::net::SocketAddr;

use session_core::Timestamp;

use crate::core::{Incarnation, Presence};
use crate::node::Node;

/// Another node, as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its name.
    pub node: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// When its process started, by its own clock.
    pub started_at: Timestamp,
    /// Whether the membership takes it for alive.
    pub is_up: bool,
    /// Whether sessions go to it and come from it just now.
    pub is_linked: bool,
    /// Whether it is linked, and holds what the others hold, as it last said.
    pub is_ready: bool,
    /// Which version of the wire format the two speak, while they are linked.
    pub wire_version: Option<u8>,
    /// How many of this node's changes it has not acknowledged.
    pub lag: u64,
}

impl MemberStatus {
    pub(crate) fn of(node: &Node) -> Vec<Self> {
        let present: Vec<_> = {
            let roster = node.roster.lock();
            let present = roster.present();
            present
                .map(|(peer, presence)| (peer.clone(), presence))
                .collect()
        };
        node.step(|replica, _, _| {
            let (me, last) = (replica.me(), replica.next_seq().saturating_sub(1));
            let status = |(peer, presence): (crate::net::Peer, Presence)| {
                let member = replica.members.get(&Incarnation(peer.incarnation));
                let acknowledged = member.and_then(|member| member.acked.get(&me).copied());
                Self {
                    node: peer.node.to_string(),
                    address: peer.addr,
                    started_at: peer.started_at(),
                    is_up: presence == Presence::Up,
                    is_linked: member.is_some_and(|member| member.link.is_some()),
                    is_ready: member.is_some_and(|member| member.link.is_some() && member.is_ready),
                    wire_version: member
                        .and_then(|member| member.link.as_ref())
                        .map(|link| link.version),
                    lag: last.saturating_sub(acknowledged.unwrap_or_default()),
                }
            };
            present.into_iter().map(status).collect()
        })
    }
}
