//! What a replica knows of the others.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::link::Link;
use crate::wire::Vector;

/// What membership says of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It answers.
    Up,
    /// It does not, and may come back with what it held: nobody can be sure of a "no" meanwhile.
    Down,
    /// It left, was replaced by a newer incarnation, or was given up: it never comes back.
    Gone,
}

/// A peer that may hold sessions.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) presence: Presence,
    pub(crate) link: Option<Link>,
    /// The number of the last frame that was written for it, over whichever link.
    pub(crate) sent: u64,
    /// That of the last frame that was taken from it: none that is older comes after it.
    pub(crate) taken: u64,
    /// What it said itself that it knows, over its own link.
    pub(crate) acked: Vector,
    pub(crate) is_ready: bool,
    pub(crate) reports: Reports,
    /// The buckets in which the last audit found other sessions.
    pub(crate) differed: BTreeSet<u16>,
}

impl Member {
    pub(crate) fn new() -> Self {
        Self {
            presence: Presence::Up,
            link: None,
            sent: 0,
            taken: 0,
            acked: Vector::new(),
            is_ready: false,
            reports: Reports::default(),
            differed: BTreeSet::new(),
        }
    }
}

/// How far an origin had come when, by its own hybrid clock: all it does later is stamped later.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    waiting: VecDeque<(u64, u64)>,
    /// Everything that the origin stamped up to here is everywhere.
    pub(crate) stable: u64,
}

/// More than this many are thinned out.
const WAITING: usize = 64;

impl Reports {
    pub(crate) fn add(&mut self, seq: u64, time: u64) {
        if let Some(last) = self.waiting.back_mut()
            && (last.0 == seq || self.waiting.len() >= WAITING)
        {
            *self.waiting.back_mut().unwrap_or(&mut (0, 0)) = (seq, time);
        } else {
            self.waiting.push_back((seq, time));
        }
    }

    /// Everybody has the origin's operations up to `seq`.
    pub(crate) fn settle(&mut self, seq: u64) {
        while let Some((_, time)) = self.waiting.pop_front_if(|(waiting, _)| *waiting <= seq) {
            self.stable = self.stable.max(time);
        }
    }
}

/// Up to which stamp everything is everywhere, and has been for a while: frames that were under way when
/// the last acknowledgement came have arrived, or never will.
#[derive(Debug, Default)]
pub(crate) struct Stability {
    waiting: VecDeque<(Duration, u64)>,
    settled: u64,
}

impl Stability {
    /// Everything up to `time` is everywhere at `uptime`.
    pub(crate) fn reach(&mut self, uptime: Duration, time: u64, delay: Duration) {
        if self.waiting.back().is_none_or(|(_, last)| *last < time) {
            self.waiting.push_back((uptime, time));
        }
        while let Some((_, time)) = self
            .waiting
            .pop_front_if(|(since, _)| *since + delay <= uptime)
        {
            self.settled = self.settled.max(time);
        }
    }

    pub(crate) const fn settled(&self) -> u64 {
        self.settled
    }
}
