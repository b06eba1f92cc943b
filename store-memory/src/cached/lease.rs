//! Until when copies may be answered from.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_core::Timestamp;

use super::moment::Moment;

/// How many nonces may be on their way. Of more, the oldest are forgotten.
const ON_THEIR_WAY: usize = 16;

/// The right to answer from memory, which a nonce brings when it comes back behind the ends.
///
/// It lasts for the bound, counted from the instant at which the nonce was *sent*: every end that was
/// acknowledged before that has been heard. One that was acknowledged later is not older than the lease.
#[derive(Debug)]
pub(crate) struct Lease {
    bound: Duration,
    /// Until when, by each clock: microseconds and milliseconds. A reader may meet one of a lease and one
    /// of the next: both are true.
    steady: AtomicU64,
    time: AtomicU64,
    on_their_way: Mutex<VecDeque<(u64, Moment)>>,
}

impl Lease {
    pub(crate) fn new(bound: Duration) -> Self {
        Self {
            bound,
            steady: AtomicU64::new(0),
            time: AtomicU64::new(0),
            on_their_way: Mutex::default(),
        }
    }

    pub(crate) const fn bound(&self) -> Duration {
        self.bound
    }

    /// Whether copies may be answered from at this instant.
    pub(crate) fn holds(&self, now: Moment) -> bool {
        now.is_before(Moment {
            steady: Duration::from_micros(self.steady.load(Ordering::SeqCst)),
            time: Timestamp::from_millis(self.time.load(Ordering::SeqCst)),
        })
    }

    /// Notes that a nonce is about to be sent.
    pub(crate) fn sending(&self, nonce: u64, now: Moment) {
        let mut on_their_way = self.on_their_way.lock();
        if on_their_way.len() == ON_THEIR_WAY {
            on_their_way.pop_front();
        }
        on_their_way.push_back((nonce, now));
    }

    /// A nonce has come back. Those of others change nothing.
    pub(crate) fn came_back(&self, nonce: u64) {
        let mut on_their_way = self.on_their_way.lock();
        let Some(at) = on_their_way.iter().position(|(known, _)| *known == nonce) else {
            return;
        };
        // Those before it bring nothing that it does not.
        let Some((_, sent)) = on_their_way.drain(..=at).next_back() else {
            return;
        };
        let until = sent.plus(self.bound);
        let micros = u64::try_from(until.steady.as_micros()).unwrap_or(u64::MAX);
        self.time.store(until.time.as_millis(), Ordering::SeqCst);
        self.steady.store(micros, Ordering::SeqCst);
    }

    /// Something may not have been heard: the lease is over, and what was sent before brings none.
    pub(crate) fn is_lost(&self) {
        self.on_their_way.lock().clear();
        self.steady.store(0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        both(seconds, seconds)
    }

    fn both(steady: u64, time: u64) -> Moment {
        Moment {
            steady: Duration::from_secs(steady),
            time: Timestamp::MIN + Duration::from_secs(1_000_000 + time),
        }
    }

    #[test]
    fn it_lasts_for_the_bound_from_the_instant_at_which_the_nonce_was_sent() {
        let lease = Lease::new(BOUND);
        assert!(!lease.holds(at(0)));
        lease.sending(1, at(5));
        assert!(!lease.holds(at(5)));
        // However late it comes back.
        lease.came_back(1);
        assert!(lease.holds(at(14)));
        assert!(!lease.holds(at(15)));
    }

    #[test]
    fn nonces_of_others_old_ones_and_doubles_bring_nothing() {
        let lease = Lease::new(BOUND);
        lease.sending(1, at(0));
        lease.sending(2, at(3));
        lease.came_back(7);
        assert!(!lease.holds(at(4)));
        lease.came_back(2);
        assert!(lease.holds(at(12)));
        // One that was overtaken, and one that came before.
        lease.came_back(1);
        lease.came_back(2);
        assert!(lease.holds(at(12)));
        assert!(!lease.holds(at(13)));
    }

    #[test]
    fn what_was_sent_before_a_gap_brings_nothing_after_it() {
        let lease = Lease::new(BOUND);
        lease.sending(1, at(0));
        lease.came_back(1);
        lease.sending(2, at(3));
        lease.is_lost();
        assert!(!lease.holds(at(4)));
        lease.came_back(2);
        assert!(!lease.holds(at(4)));
        lease.sending(3, at(5));
        lease.came_back(3);
        assert!(lease.holds(at(6)));
    }

    #[test]
    fn it_is_over_when_either_clock_says_so() {
        let lease = Lease::new(BOUND);
        lease.sending(1, both(0, 0));
        lease.came_back(1);
        assert!(lease.holds(both(9, 9)));
        // Set back, and set forward or awake after a long sleep.
        assert!(!lease.holds(both(10, 0)));
        assert!(!lease.holds(both(1, 10)));
    }

    #[test]
    fn nonces_that_never_come_back_take_no_more_than_their_place() {
        let lease = Lease::new(BOUND);
        for nonce in 0..100 {
            lease.sending(nonce, at(0));
        }
        assert_eq!(lease.on_their_way.lock().len(), ON_THEIR_WAY);
        lease.came_back(99);
        assert!(lease.holds(at(0)));
    }
}
