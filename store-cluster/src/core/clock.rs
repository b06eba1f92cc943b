//! Time and order: what the caller's clocks say, and hybrid logical stamps.

use std::time::Duration;

use session_core::Timestamp;

/// The present, as whoever drives a replica reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// The wall clock: what deadlines are judged by. It may step.
    pub(crate) wall: Timestamp,
    /// A clock that only goes forward, since the process began: what timers go by.
    pub(crate) uptime: Duration,
}

/// One run of one node: random, drawn anew whenever the process starts, because a node that starts has
/// lost its memory and must never use a number of an earlier run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Incarnation(pub(crate) u64);

/// When and where a register was written. Of two, the greater wins.
///
/// The time is that of a hybrid logical clock (Kulkarni et al., 2014): milliseconds since 1970 in the
/// upper 48 bits, a counter in the lower 16. Whatever follows what it has seen is greater, however far
/// behind its wall clock is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    pub(crate) time: u64,
    /// Some bits of the incarnation that wrote it. Two that share them are told apart by their values.
    pub(crate) writer: u16,
}

impl Stamp {
    /// Before every other.
    pub(crate) const ZERO: Self = Self { time: 0, writer: 0 };
}

/// The hybrid logical clock of one replica.
#[derive(Debug)]
pub(crate) struct HybridClock {
    last: u64,
    writer: u16,
}

const COUNTER_BITS: u32 = 16;

impl HybridClock {
    pub(crate) fn new(incarnation: Incarnation) -> Self {
        let [.., high, low] = incarnation.0.to_be_bytes();
        Self {
            last: 0,
            writer: u16::from_be_bytes([high, low]),
        }
    }

    /// A stamp greater than all that were taken or seen before.
    pub(crate) fn stamp(&mut self, now: Timestamp) -> Stamp {
        self.last = (now.as_millis() << COUNTER_BITS).max(self.last.saturating_add(1));
        Stamp {
            time: self.last,
            writer: self.writer,
        }
    }

    /// A time that all stamps to come are after.
    pub(crate) fn read(&mut self, now: Timestamp) -> u64 {
        self.last = self.last.max(now.as_millis() << COUNTER_BITS);
        self.last
    }

    /// Sees a stamp of another replica.
    pub(crate) fn see(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_greater_however_far_the_wall_clock_is_behind() {
        let mut ahead = HybridClock::new(Incarnation(1));
        let mut behind = HybridClock::new(Incarnation(2));
        let first = ahead.stamp(Timestamp::from_millis(9_000));
        behind.see(first);
        let second = behind.stamp(Timestamp::from_millis(1_000));
        assert!(second > first);
        assert!(behind.stamp(Timestamp::from_millis(1_000)) > second);
    }
}
