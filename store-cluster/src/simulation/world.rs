//! A cluster in simulated time: nodes, connections between them, and what goes wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use session_core::{FeedItem, SessionId, Timestamp};

use super::ledger::{Ledger, Waiting};
use super::rng::Rng;
use super::wires::{IN_FLIGHT, Wires};
use crate::core::{
    AskId, Effect, Effects, Fault, Incarnation, Now, Presence, Replica, ReplicaOptions, State,
};
use crate::wire::{Item, Message, VERSION};

/// What clocks say when the simulation begins.
const EPOCH: u64 = 2_000_000_000_000;
pub(super) const MAX_SKEW: u64 = 20_000;
const TICK: u64 = 100;
/// Broken connections are made anew within this time.
const REDIAL: u64 = 500;

/// What happens at an instant.
#[derive(Debug)]
pub(super) enum Event {
    Tick(usize),
    Deliver {
        from: usize,
        to: usize,
        generation: u64,
        bytes: Vec<u8>,
    },
    /// A connection between two nodes is tried.
    Dial(usize, usize),
    /// One side finds that its connection is gone.
    Break {
        at: usize,
        peer: usize,
        generation: u64,
    },
    Client,
    Fault,
    /// What was cut is whole again.
    Heal,
    Restart(usize),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) replica: Option<Replica>,
    pub(super) incarnation: Incarnation,
    pub(super) skew: i64,
    pub(super) paused_until: u64,
    started: u64,
    pub(super) waiting: Vec<Waiting>,
    pub(super) acked: BTreeMap<Incarnation, u64>,
    pub(super) asking: BTreeMap<AskId, super::clients::Call>,
}

/// A cluster, and what its clients know.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    bodies: BTreeMap<u64, Event>,
    last_event: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) wires: Wires,
    pub(super) ledger: Ledger,
    pub(super) fault: Option<Fault>,
    pub(super) versions: Vec<u8>,
    /// Whether some nodes began with the version before: they know nothing of limits across nodes.
    pub(super) is_mixed: bool,
    pub(super) is_quiet: bool,
    pub(super) violation: Option<String>,
    pub(super) settle: u64,
    /// Whether all nodes have known the same since the last one died.
    may_crash: bool,
}

impl World {
    pub(super) fn new(seed: u64, size: usize, fault: Option<Fault>) -> Self {
        let mut rng = Rng::new(seed);
        let most = *rng.pick(&[50, 50, 2_000, 9_000]);
        let mixed = rng.chance(25);
        let mut world = Self {
            now: 0,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            last_event: 0,
            nodes: Vec::new(),
            wires: Wires::default(),
            ledger: Ledger::default(),
            fault,
            versions: Vec::new(),
            is_mixed: mixed,
            is_quiet: false,
            violation: None,
            settle: 2_000,
            may_crash: false,
            rng,
        };
        for index in 0..size {
            let incarnation = Incarnation(world.rng.next());
            let skew =
                i64::try_from(world.rng.below(2 * most)).unwrap() - i64::try_from(most).unwrap();
            let version = if mixed && world.rng.chance(50) {
                VERSION - 1
            } else {
                VERSION
            };
            let replica = Some(world.replica(incarnation, version));
            world.nodes.push(Node {
                replica,
                incarnation,
                skew,
                paused_until: 0,
                started: 0,
                waiting: Vec::new(),
                acked: BTreeMap::new(),
                asking: BTreeMap::new(),
            });
            world.versions.push(version);
            world.at(index as u64 * 7, Event::Tick(index));
            world.act(index, |replica, _, effects| replica.cold_start(effects));
        }
        for a in 0..size {
            for b in 0..a {
                world.at(0, Event::Dial(a, b));
            }
        }
        world
    }

    fn replica(&self, incarnation: Incarnation, version: u8) -> Replica {
        let mut replica = Replica::new(ReplicaOptions {
            version,
            max_skew: Duration::from_millis(MAX_SKEW),
            max_lifetime: Duration::from_secs(600),
            ring_bytes: 6 << 10,
            log_len: 150,
            chunk_items: 4,
            settle: Duration::from_millis(self.settle),
            audit_every: Duration::from_secs(5),
            ..ReplicaOptions::new(incarnation)
        });
        replica.planted = self.fault;
        replica
    }

    /// Something is to happen `delay` milliseconds from now.
    pub(super) fn at(&mut self, delay: u64, event: Event) {
        self.last_event += 1;
        self.events
            .push(Reverse((self.now + delay, self.last_event)));
        self.bodies.insert(self.last_event, event);
    }

    /// Lets everything happen up to the instant `until`.
    pub(super) fn run_until(&mut self, until: u64) {
        while let Some(Reverse((at, number))) = self.events.peek().copied() {
            if at > until || self.violation.is_some() {
                break;
            }
            self.events.pop();
            self.now = self.now.max(at);
            if let Some(event) = self.bodies.remove(&number) {
                self.happen(event);
            }
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        // A node that stands still does what is to do when it goes on.
        let whose = match &event {
            Event::Tick(node) | Event::Deliver { to: node, .. } => Some(*node),
            _ => None,
        };
        if let Some(node) = whose
            && self.nodes[node].paused_until > self.now
        {
            let delay = self.nodes[node].paused_until - self.now;
            self.at(delay, event);
            return;
        }
        match event {
            Event::Tick(node) => {
                self.may_crash |= node == 0 && self.has_converged();
                self.act(node, |replica, now, effects| replica.tick(now, effects));
                self.at(TICK, Event::Tick(node));
            }
            Event::Deliver {
                from,
                to,
                generation,
                bytes,
            } => self.deliver(from, to, generation, &bytes),
            Event::Dial(a, b) => self.dial(a, b),
            Event::Break {
                at,
                peer,
                generation,
            } => self.break_off(at, peer, generation),
            Event::Client => self.client(),
            Event::Fault => self.go_wrong(),
            Event::Heal => self.heal(),
            Event::Restart(node) => self.restart(node),
        }
    }

    pub(super) fn wall(&self, node: usize) -> u64 {
        (EPOCH + self.now)
            .checked_add_signed(self.nodes[node].skew)
            .unwrap()
    }

    pub(super) fn clock(&self, node: usize) -> Now {
        Now {
            wall: Timestamp::from_millis(self.wall(node)),
            uptime: Duration::from_millis(self.now - self.nodes[node].started),
        }
    }

    /// Lets a node take a step, and carries out what it wants done.
    pub(super) fn act<T>(
        &mut self,
        node: usize,
        step: impl FnOnce(&mut Replica, Now, &mut Effects) -> T,
    ) -> Option<T> {
        let now = self.clock(node);
        let mut effects = Effects::new();
        let answer = step(self.nodes[node].replica.as_mut()?, now, &mut effects);
        for effect in effects {
            self.carry_out(node, effect);
        }
        Some(answer)
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Wake(peer) => {
                if let Some(peer) = self.index_of(peer) {
                    self.pump(node, peer);
                }
            }
            Effect::Acknowledged { peer, seq } => {
                self.nodes[node].acked.insert(peer, seq);
                self.acknowledged(node);
            }
            Effect::Answered { ask, certain } => {
                if let Some(call) = self.nodes[node].asking.remove(&ask) {
                    self.asked(node, call, certain);
                }
            }
            Effect::Feed(FeedItem::Ended(id)) => {
                let incarnation = self.nodes[node].incarnation;
                self.ledger.ended_at.insert((incarnation, id));
            }
            Effect::Feed(_) | Effect::Ready => {}
            Effect::Alarm(alarm) => self.violate(format!("node {node} raised {alarm:?}")),
        }
    }

    pub(super) fn violate(&mut self, what: impl std::fmt::Display) {
        let now = self.now;
        self.violation.get_or_insert(format!("at {now} ms: {what}"));
    }

    pub(super) fn index_of(&self, incarnation: Incarnation) -> Option<usize> {
        let is_it = |node: &Node| node.incarnation == incarnation && node.replica.is_some();
        self.nodes.iter().position(is_it)
    }

    /// Notes acknowledgements that have come in.
    pub(super) fn acknowledged(&mut self, node: usize) {
        let others: Vec<_> = (0..self.nodes.len())
            .filter(|other| *other != node && self.nodes[*other].replica.is_some())
            .map(|other| self.nodes[other].incarnation)
            .collect();
        let at = &mut self.nodes[node];
        let has = |peer: &Incarnation, seq| at.acked.get(peer).is_some_and(|acked| *acked >= seq);
        let is_done = |waiting: &Waiting| {
            if waiting.needs_all {
                others.iter().all(|peer| has(peer, waiting.seq))
            } else {
                others.iter().any(|peer| has(peer, waiting.seq))
            }
        };
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut at.waiting)
            .into_iter()
            .partition(is_done);
        at.waiting = waiting;
        for waiting in done {
            self.ledger.acknowledge(waiting.effect);
        }
    }

    /// Sends what waits for a peer, as much as fits into the connection.
    pub(super) fn pump(&mut self, from: usize, to: usize) {
        let incarnation = self.nodes[to].incarnation;
        let now = self.clock(from);
        while self.wires.get(from, to).linked && self.wires.get(from, to).in_flight < IN_FLIGHT {
            let Some(replica) = self.nodes[from].replica.as_mut() else {
                return;
            };
            let mut bytes = Vec::new();
            replica.next_frames(now, incarnation, &mut bytes, 1 << 10);
            if bytes.is_empty() {
                return;
            }
            let direction = self.wires.get(from, to);
            direction.in_flight += bytes.len();
            if direction.stuck {
                direction.held.push(bytes);
            } else {
                self.send(from, to, bytes);
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let generation = self.wires.generation(from, to);
        let jitter = self.rng.below(3);
        let now = self.now;
        let direction = self.wires.get(from, to);
        let arrival = (now + direction.delay + jitter).max(direction.last_arrival);
        direction.last_arrival = arrival;
        let event = Event::Deliver {
            from,
            to,
            generation,
            bytes,
        };
        self.at(arrival - now, event);
    }

    fn deliver(&mut self, from: usize, to: usize, generation: u64, bytes: &[u8]) {
        if generation != self.wires.generation(from, to) {
            return;
        }
        let direction = self.wires.get(from, to);
        direction.in_flight = direction.in_flight.saturating_sub(bytes.len());
        if self.wires.get(to, from).linked {
            let sender = self.nodes[from].incarnation;
            let mut rest = bytes;
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let (frame, next) = after.split_at(u32::from_be_bytes(*len) as usize);
                rest = next;
                self.note_ends(to, frame);
                let taken = self.act(to, |replica, now, effects| {
                    replica.received(now, sender, frame[0], frame[1], &frame[2..], effects)
                });
                if let Some(Err(error)) = taken {
                    self.violate(format!("node {to} refused a frame: {error}"));
                }
            }
        }
        self.pump(from, to);
    }

    /// Notes which ends a node is told of: from now on it knows.
    fn note_ends(&mut self, to: usize, frame: &[u8]) {
        let items = match Message::read(frame[0], frame[1], &frame[2..]) {
            Ok(Some(Message::Answer {
                state: Some((id, state)),
                ..
            })) => vec![Item::Session(id, state)],
            Ok(Some(Message::States { items })) => items,
            _ => return,
        };
        let incarnation = self.nodes[to].incarnation;
        for item in items {
            if let Item::Session(id, State::Dead(_)) = item {
                self.ledger.ended_at.insert((incarnation, id));
            }
        }
    }

    fn dial(&mut self, a: usize, b: usize) {
        let is_possible = self.wires.is_free(a, b)
            && !self.wires.is_stuck(a, b)
            && [a, b].iter().all(|node| {
                self.nodes[*node].replica.is_some() && self.nodes[*node].paused_until <= self.now
            });
        if is_possible {
            self.wires.connect(a, b);
            let version = self.versions[a].min(self.versions[b]);
            for (from, to) in [(a, b), (b, a)] {
                let delay = self.rng.below(20);
                self.wires.get(from, to).delay = delay;
                let peer = self.nodes[to].incarnation;
                self.act(from, |replica, now, effects| {
                    replica.linked(now, peer, version, effects);
                });
            }
        }
        let delay = 1 + self.rng.below(REDIAL);
        self.at(delay, Event::Dial(a, b));
    }

    fn break_off(&mut self, at: usize, peer: usize, generation: u64) {
        if generation != self.wires.generation(at, peer) || !self.wires.get(at, peer).linked {
            return;
        }
        self.wires.get(at, peer).linked = false;
        let incarnation = self.nodes[peer].incarnation;
        self.act(at, |replica, now, effects| {
            replica.unlinked(now, incarnation, effects);
            replica.member(now, incarnation, Presence::Down, effects);
        });
        // The other side is told, or finds out.
        let delay = self.rng.below(3_000);
        let event = Event::Break {
            at: peer,
            peer: at,
            generation,
        };
        self.at(delay, event);
    }

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

    fn heal(&mut self) {
        for (from, to) in self.all_pairs() {
            let direction = self.wires.get(from, to);
            direction.stuck = false;
            for bytes in std::mem::take(&mut direction.held) {
                self.send(from, to, bytes);
            }
        }
    }

    pub(super) fn all_pairs(&self) -> Vec<(usize, usize)> {
        let size = self.nodes.len();
        let pairs = (0..size).flat_map(|a| (0..size).map(move |b| (a, b)));
        pairs.filter(|(a, b)| a != b).collect()
    }

    fn go_wrong(&mut self) {
        if self.is_quiet {
            return;
        }
        let lasts = *self.rng.pick(&[200, 1_500, 6_000, 25_000]);
        let size = self.nodes.len();
        let (a, b) = (self.rng.index(size), self.rng.index(size));
        match self.rng.below(8) {
            // A partition in two.
            0 | 1 => {
                let side: Vec<_> = (0..size).map(|_| self.rng.chance(50)).collect();
                for (from, to) in self.all_pairs() {
                    if side[from] != side[to] {
                        self.cut(from, to, lasts);
                    }
                }
            }
            // One connection, both ways or one way.
            2 if a != b => {
                self.cut(a, b, lasts);
                if self.rng.chance(50) {
                    self.cut(b, a, lasts);
                }
            }
            // A connection that breaks.
            3 if a != b => {
                let generation = self.wires.generation(a, b);
                let event = Event::Break {
                    at: a,
                    peer: b,
                    generation,
                };
                self.at(0, event);
            }
            // A slow one.
            4 if a != b => self.wires.get(a, b).delay = self.rng.below(2_000),
            // A node stands still.
            5 => {
                let until = self.now + self.rng.below(lasts.min(8_000)) + 1;
                self.nodes[a].paused_until = until;
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
            6 if size > 1 => self.crash(a),
            // A clock steps.
            _ => {
                let step = i64::try_from(self.rng.below(4_000)).unwrap() - 2_000;
                let most = i64::try_from(MAX_SKEW / 2 - 1_000).unwrap();
                let node = &mut self.nodes[a];
                node.skew = (node.skew + step).clamp(-most, most);
            }
        }
        self.at(lasts, Event::Heal);
        let next = lasts.min(4_000) + self.rng.below(4_000);
        self.at(next, Event::Fault);
    }

    /// A node dies, whatever is under way, if all came to know the same since the last one did: of the two
    /// copies that an acknowledgement promises, one may be lost at a time.
    fn crash(&mut self, node: usize) {
        if self.nodes[node].paused_until > self.now || !std::mem::take(&mut self.may_crash) {
            return;
        }
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
    fn restart(&mut self, node: usize) {
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
        self.nodes[node].replica = Some(self.replica(incarnation, VERSION));
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

    /// Whether all nodes run, are ready, and know the same.
    pub(super) fn has_converged(&self) -> bool {
        let mut replicas = self.nodes.iter().map(|node| node.replica.as_ref());
        let Some(Some(first)) = replicas.next() else {
            return false;
        };
        first.is_ready()
            && replicas.all(|replica| {
                replica.is_some_and(|other| other.is_ready() && other.known == first.known)
            })
    }

    /// Ends what goes wrong, and lets the cluster come to rest.
    pub(super) fn come_to_rest(&mut self, within: u64) {
        self.is_quiet = true;
        self.heal();
        for (from, to) in self.all_pairs() {
            self.wires.get(from, to).delay = 5;
        }
        let until = self.now + within;
        while self.now < until && self.violation.is_none() {
            let next = self.now + 500;
            self.run_until(next);
            self.heal();
            if self.has_converged() && self.now + 1_500 < until {
                let rest = self.now + 1_500;
                self.run_until(rest);
                break;
            }
        }
    }

    pub(super) fn id(&mut self, shard: u16) -> SessionId {
        let mut bytes = self.rng.bytes::<16>();
        [bytes[0], bytes[1]] = shard.to_be_bytes();
        SessionId::from_bytes(bytes)
    }
}
