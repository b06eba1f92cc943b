//! Whose clock the store goes by: the server's, or in tests another.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use session_core::{Clock, SystemClock, Timestamp};

/// The store's clock. What it shows here is assumed: the server's is read inside each step.
#[derive(Debug)]
pub(crate) enum StoreClock {
    /// The server's, and by how many milliseconds it was last seen to differ from this machine's.
    Server(AtomicI64),
    /// One that replaces the server's in every step.
    Test(Arc<dyn Clock>),
}

impl StoreClock {
    /// What the clock will probably show when a step is taken.
    pub(crate) fn assumed(&self) -> Timestamp {
        match self {
            Self::Server(ahead) => SystemClock.now().shifted(ahead.load(Ordering::Relaxed)),
            Self::Test(clock) => clock.now(),
        }
    }

    /// What a step is to go by instead of the server's clock.
    pub(crate) fn test(&self) -> Option<Timestamp> {
        match self {
            Self::Server(_) => None,
            Self::Test(clock) => Some(clock.now()),
        }
    }

    /// Notes what the server's clock showed.
    pub(crate) fn heard(&self, now: Timestamp) {
        if let Self::Server(ahead) = self {
            ahead.store(ahead_of(now, SystemClock.now()), Ordering::Relaxed);
        }
    }
}

/// By how many milliseconds `now` is ahead of `other`.
pub(crate) fn ahead_of(now: Timestamp, other: Timestamp) -> i64 {
    // Both are below 2^53.
    now.as_millis().cast_signed() - other.as_millis().cast_signed()
}
