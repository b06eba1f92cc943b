//! What nodes send each other, and the connections that come and go.

use super::wires::IN_FLIGHT;
use super::world::{Event, World};
use crate::core::{FrameError, Presence, State};
use crate::wire::{Item, Message, VERSION};

/// Broken connections are made anew within this time.
const REDIAL: u64 = 500;

impl World {
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

    pub(super) fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
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

    pub(super) fn deliver(&mut self, from: usize, to: usize, generation: u64, bytes: Vec<u8>) {
        if generation != self.wires.generation(from, to) {
            return;
        }
        let direction = self.wires.get(from, to);
        direction.in_flight = direction.in_flight.saturating_sub(bytes.len());
        let is_linked = self.wires.get(to, from).linked;
        if let Err(error) = self.receive(from, to, &bytes) {
            self.violate(format!("node {to} refused a frame: {error}"));
        }
        self.pump(from, to);
        if is_linked && self.now < self.repeats_until && self.rng.chance(20) {
            let delay = self.rng.below(2_000);
            let event = Event::Repeat {
                from,
                to,
                lives: self.lives(from, to),
                generation,
                bytes,
            };
            self.at(delay, event);
        }
    }

    /// Frames that arrived before arrive again, after others, and on whichever connection there is now.
    /// Where they are numbered the first is refused, and the connection ended.
    pub(super) fn repeat(&mut self, from: usize, to: usize, generation: u64, bytes: &[u8]) {
        let is_numbered = bytes[5] == VERSION;
        if !is_numbered && generation != self.wires.generation(from, to) {
            return;
        }
        let is_linked = self.wires.get(to, from).linked;
        match self.receive(from, to, bytes) {
            Err(FrameError::Repeated) => {
                let generation = self.wires.generation(from, to);
                self.break_off(to, from, generation);
            }
            Err(error) => self.violate(format!("node {to} refused a frame: {error}")),
            Ok(()) if is_numbered && is_linked => {
                self.violate(format!("node {to} took a frame a second time"));
            }
            Ok(()) => {}
        }
    }

    /// Has a node take frames, up to one that it refuses.
    fn receive(&mut self, from: usize, to: usize, bytes: &[u8]) -> Result<(), FrameError> {
        if !self.wires.get(to, from).linked {
            return Ok(());
        }
        let sender = self.nodes[from].incarnation;
        let mut rest = bytes;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (frame, next) = after.split_at(u32::from_be_bytes(*len) as usize);
            rest = next;
            self.note_ends(to, frame);
            let taken = self.act(to, |replica, now, effects| {
                replica.received(now, sender, frame[0], frame[1], &frame[2..], effects)
            });
            taken.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    /// Notes which ends a node is told of: from now on it knows.
    fn note_ends(&mut self, to: usize, frame: &[u8]) {
        let items = match Message::read(frame[0], frame[1], &frame[2..]) {
            Ok(Some((
                _,
                Message::Answer {
                    state: Some((id, state)),
                    ..
                },
            ))) => vec![Item::Session(id, state)],
            Ok(Some((_, Message::States { items }))) => items,
            _ => return,
        };
        let incarnation = self.nodes[to].incarnation;
        for item in items {
            if let Item::Session(id, State::Dead(_)) = item {
                self.ledger.ended_at.insert((incarnation, id));
            }
        }
    }

    pub(super) fn dial(&mut self, a: usize, b: usize) {
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

    pub(super) fn break_off(&mut self, at: usize, peer: usize, generation: u64) {
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

    pub(super) fn all_pairs(&self) -> Vec<(usize, usize)> {
        let size = self.nodes.len();
        let pairs = (0..size).flat_map(|a| (0..size).map(move |b| (a, b)));
        pairs.filter(|(a, b)| a != b).collect()
    }
}
