//! What goes wrong.

use super::world::{Event, World};
use crate::core::{Fault, Incarnation, Presence};
use crate::wire::VERSION;

/// A kind of thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The cluster falls in two.
    Partition,
    /// What one node sends to another stays on its way.
    OneWay,
    /// A connection is stuck both ways.
    Connection,
    /// A connection breaks.
    Break,
    /// What one node sends to another takes long.
    Slow,
    /// A node stands still, and goes on.
    Pause,
    /// A node dies, and starts again with nothing.
    Crash,
    /// A clock is set.
    ClockStep,
    /// Frames arrive again later, in another order: they are refused, where they are numbered.
    Repeats,
}

impl Mishap {
    pub(super) const ALL: [Self; 9] = [
        Self::Partition,
        Self::OneWay,
        Self::Connection,
        Self::Break,
        Self::Slow,
        Self::Pause,
        Self::Crash,
        Self::ClockStep,
        Self::Repeats,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Connection => "connection",
            Self::Break => "break",
            Self::Slow => "slow",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::ClockStep => "clock-step",
            Self::Repeats => "repeats",
        }
    }
}

impl World {
    /// Holds up what `from` sends to `to`; a connection that is stuck for long breaks.
    fn cut(&mut self, from: usize, to: usize, lasts: u64) {
        self.wires.get(from, to).stuck = true;
        let patience = 500 + self.rng.below(4_000);
        if patience < lasts {
            let generation = self.wires.generation(from, to);
            let at = if self.rng.chance(50) { from } else { to };
            let peer = from + to - at;
            let event = Event::Break {
                at,
                peer,
                generation,
            };
            self.at(patience, event);
        }
    }

    pub(super) fn heal(&mut self) {
        for (from, to) in self.all_pairs() {
            let direction = self.wires.get(from, to);
            direction.stuck = false;
            for bytes in std::mem::take(&mut direction.held) {
                self.send(from, to, bytes);
            }
        }
    }

    pub(super) fn go_wrong(&mut self) {
        if self.is_quiet {
            return;
        }
        let lasts = *self.rng.pick(&[200, 1_500, 6_000, 25_000]);
        let size = self.nodes.len();
        let (a, b) = (self.rng.index(size), self.rng.index(size));
        let mishap = *self.rng.pick(&Mishap::ALL);
        if !self.without.contains(&mishap) {
            self.befall(mishap, a, b, lasts);
        }
        self.at(lasts, Event::Heal);
        let next = lasts.min(4_000) + self.rng.below(4_000);
        self.at(next, Event::Fault);
    }

    fn befall(&mut self, mishap: Mishap, a: usize, b: usize, lasts: u64) {
        let size = self.nodes.len();
        match mishap {
            Mishap::Partition => {
                let side: Vec<_> = (0..size).map(|_| self.rng.chance(50)).collect();
                for (from, to) in self.all_pairs() {
                    if side[from] != side[to] {
                        self.cut(from, to, lasts);
                    }
                }
            }
            Mishap::OneWay if a != b => self.cut(a, b, lasts),
            Mishap::Connection if a != b => {
                self.cut(a, b, lasts);
                self.cut(b, a, lasts);
            }
            Mishap::Break if a != b => {
                let generation = self.wires.generation(a, b);
                let event = Event::Break {
                    at: a,
                    peer: b,
                    generation,
                };
                self.at(0, event);
            }
            Mishap::Slow if a != b => self.wires.get(a, b).delay = self.rng.below(2_000),
            Mishap::Pause => {
                let until = self.now + self.rng.below(lasts) + 1;
                let node = &mut self.nodes[a];
                node.paused_until = node.paused_until.max(until);
                for peer in (0..size).filter(|peer| *peer != a) {
                    let generation = self.wires.generation(a, peer);
                    let event = Event::Break {
                        at: peer,
                        peer: a,
                        generation,
                    };
                    self.at(4_000, event);
                }
            }
            Mishap::Crash => self.crash(a),
            Mishap::ClockStep => {
                let step = i64::try_from(self.rng.below(4_000)).unwrap() - 2_000;
                let most = i64::try_from(self.max_skew / 2 - 1_000).unwrap();
                let node = &mut self.nodes[a];
                node.skew = (node.skew + step).clamp(-most, most);
            }
            Mishap::Repeats => self.repeats_until = self.now + lasts,
            // A node has no connection with itself.
            Mishap::OneWay | Mishap::Connection | Mishap::Break | Mishap::Slow => {}
        }
    }

    /// A node dies, whatever is under way, if all came to know the same since the last one did: of the two
    /// copies that an acknowledgement promises, one may be lost at a time.
    fn crash(&mut self, node: usize) {
        if self.nodes[node].paused_until > self.now || !std::mem::take(&mut self.may_crash) {
            return;
        }
        self.has_crashed = true;
        let old = self.nodes[node].incarnation;
        self.nodes[node].replica = None;
        self.nodes[node].waiting.clear();
        self.nodes[node].asking.clear();
        self.nodes[node].acked.clear();
        for peer in 0..self.nodes.len() {
            if peer == node {
                continue;
            }
            self.wires.connect(node, peer);
            self.wires.get(node, peer).linked = false;
            self.wires.get(peer, node).linked = false;
            self.act(peer, |replica, now, effects| {
                replica.unlinked(now, old, effects);
                replica.member(now, old, Presence::Down, effects);
            });
        }
        let delay = 100 + self.rng.below(3_000);
        self.at(delay, Event::Restart(node));
    }

    /// A node starts again, empty and under a new name.
    pub(super) fn restart(&mut self, node: usize) {
        let old = self.nodes[node].incarnation;
        if self.fault != Some(Fault::IncarnationReused) {
            self.nodes[node].incarnation = Incarnation(self.rng.next());
            for peer in 0..self.nodes.len() {
                self.act(peer, |replica, now, effects| {
                    replica.member(now, old, Presence::Gone, effects);
                });
            }
        }
        let incarnation = self.nodes[node].incarnation;
        // Whoever starts again is upgraded.
        self.versions[node] = VERSION;
        self.nodes[node].replica = Some(self.replica(incarnation));
        self.nodes[node].started = self.now;
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            if let Some(known) = self.nodes[peer].replica.as_ref().map(|_| peer) {
                self.act(known, |replica, now, effects| {
                    replica.member(now, incarnation, Presence::Up, effects);
                });
            }
        }
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            let other = self.nodes[peer].incarnation;
            if self.nodes[peer].replica.is_some() {
                self.act(node, |replica, now, effects| {
                    replica.member(now, other, Presence::Up, effects);
                });
            }
        }
    }
}
