//! Simulated connections: each an ordered stream either way, that may be slow, stuck or cut.

use std::collections::BTreeMap;

/// Bytes that fit into a connection before whoever writes has to wait.
pub(super) const IN_FLIGHT: usize = 8 << 10;

/// The connection between two nodes, seen from the one that sends.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Whether the sender believes that the connection stands.
    pub(super) linked: bool,
    /// Whether what is sent stays on its way.
    pub(super) stuck: bool,
    pub(super) delay: u64,
    /// When what was sent last arrives: nothing overtakes it.
    pub(super) last_arrival: u64,
    pub(super) in_flight: usize,
    /// What waits until the direction is no longer stuck.
    pub(super) held: Vec<Vec<u8>>,
}

/// All connections, by sender and receiver.
#[derive(Debug, Default)]
pub(super) struct Wires {
    pub(super) directions: BTreeMap<(usize, usize), Direction>,
    /// Per pair, how often it was connected: what was sent on an earlier connection is lost.
    pub(super) generations: BTreeMap<(usize, usize), u64>,
}

pub(super) fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Wires {
    pub(super) fn get(&mut self, from: usize, to: usize) -> &mut Direction {
        self.directions.entry((from, to)).or_default()
    }

    pub(super) fn generation(&self, a: usize, b: usize) -> u64 {
        self.generations
            .get(&pair(a, b))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn is_free(&mut self, a: usize, b: usize) -> bool {
        !self.get(a, b).linked && !self.get(b, a).linked
    }

    pub(super) fn is_stuck(&mut self, a: usize, b: usize) -> bool {
        self.get(a, b).stuck || self.get(b, a).stuck
    }

    /// A new connection: whatever was under way on the old one is lost.
    pub(super) fn connect(&mut self, a: usize, b: usize) {
        *self.generations.entry(pair(a, b)).or_default() += 1;
        for (from, to) in [(a, b), (b, a)] {
            let direction = self.get(from, to);
            direction.linked = true;
            direction.in_flight = 0;
            direction.held.clear();
            direction.last_arrival = 0;
        }
    }
}
