//! A cluster in simulated time: nodes, connections between them, and what goes wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use session_core::{FeedItem, SessionId, Timestamp};

use super::ledger::{Ledger, Waiting};
use super::mishaps::Mishap;
use super::plan::Plan;
use super::rng::Rng;
use super::wires::Wires;
use crate::core::{
    AskId, BUCKETS, Effect, Effects, Fault, Incarnation, Now, Replica, ReplicaOptions,
};
use crate::wire::VERSION;

/// What clocks say when the simulation begins.
const EPOCH: u64 = 2_000_000_000_000;
const TICK: u64 = 100;

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
    /// What was delivered before arrives again.
    Repeat {
        from: usize,
        to: usize,
        lives: [Incarnation; 2],
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
    /// How much its clock gains, in parts per million.
    drift: i64,
    pub(super) paused_until: u64,
    pub(super) started: u64,
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
    pub(super) is_quiet: bool,
    pub(super) violation: Option<String>,
    pub(super) settle: u64,
    /// How far apart clocks may be, in milliseconds.
    pub(super) max_skew: u64,
    /// What does not happen in this run.
    pub(super) without: Vec<Mishap>,
    /// Until when frames arrive more than once.
    pub(super) repeats_until: u64,
    /// Whether all nodes have known the same since the last one died.
    pub(super) may_crash: bool,
    pub(super) has_crashed: bool,
}

impl World {
    pub(super) fn new(plan: &Plan, fault: Option<Fault>) -> Self {
        let mut rng = Rng::new(plan.seed);
        // How far each clock may be off, and how far apart any two may be.
        let offsets = [
            (50, 20_000),
            (50, 20_000),
            (2_000, 20_000),
            (9_000, 20_000),
            (60_000, 125_000),
        ];
        let (most, max_skew) = *rng.pick(&offsets);
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
            is_quiet: false,
            violation: None,
            settle: 2_000,
            max_skew,
            without: plan.without.clone(),
            repeats_until: 0,
            may_crash: false,
            has_crashed: false,
            rng,
        };
        for index in 0..plan.size {
            let incarnation = Incarnation(world.rng.next());
            let skew =
                i64::try_from(world.rng.below(2 * most)).unwrap() - i64::try_from(most).unwrap();
            let drift = i64::try_from(world.rng.below(4_000)).unwrap() - 2_000;
            let version = if mixed && world.rng.chance(50) {
                VERSION - 1
            } else {
                VERSION
            };
            let replica = Some(world.replica(incarnation));
            world.nodes.push(Node {
                replica,
                incarnation,
                skew,
                drift,
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
        for a in 0..plan.size {
            for b in 0..a {
                world.at(0, Event::Dial(a, b));
            }
        }
        world
    }

    pub(super) fn replica(&self, incarnation: Incarnation) -> Replica {
        let mut replica = Replica::new(ReplicaOptions {
            max_skew: Duration::from_millis(self.max_skew),
            max_lifetime: Duration::from_secs(600),
            ring_bytes: 6 << 10,
            log_len: 150,
            chunk_items: 4,
            settle: Duration::from_millis(self.settle),
            audit_every: Duration::from_secs(5),
            audited: BUCKETS,
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
            Event::Tick(node)
            | Event::Deliver { to: node, .. }
            | Event::Repeat { to: node, .. } => Some(*node),
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
            } => self.deliver(from, to, generation, bytes),
            Event::Repeat {
                from,
                to,
                lives,
                generation,
                bytes,
            } => {
                if lives == self.lives(from, to) {
                    self.repeat(from, to, generation, &bytes);
                }
            }
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

    pub(super) fn lives(&self, from: usize, to: usize) -> [Incarnation; 2] {
        [from, to].map(|node| self.nodes[node].incarnation)
    }

    pub(super) fn wall(&self, node: usize) -> u64 {
        let Node { skew, drift, .. } = self.nodes[node];
        let gained = drift * i64::try_from(self.now).unwrap() / 1_000_000;
        (EPOCH + self.now)
            .checked_add_signed(skew + gained)
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
            let stands_still = self.nodes.iter().any(|node| node.paused_until > self.now);
            if !stands_still && self.has_converged() && self.now + 1_500 < until {
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
