//! The time by two clocks: one that can be set, and one that cannot.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, Timestamp};
use tokio::time::Instant;

/// One instant.
///
/// By the clock that cannot be set, a lease lasts no longer than it may. But that clock may stand while
/// the machine sleeps; the other one then does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the tier was made, by the clock that cannot be set.
    pub(crate) steady: Duration,
    pub(crate) time: Timestamp,
}

impl Moment {
    /// The first instant that is no longer less than `duration` after this one, by either clock.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self {
            steady: self.steady.saturating_add(duration),
            time: self.time + duration,
        }
    }

    /// Whether this instant lies before another, by both clocks.
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.steady < other.steady && self.time < other.time
    }
}

/// Both clocks.
#[derive(Debug)]
pub(crate) struct Clocks {
    clock: Arc<dyn Clock>,
    origin: Instant,
}

impl Clocks {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            origin: steady(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            steady: steady().duration_since(self.origin),
            time: self.clock.now(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a lease has lasted must not depend on a clock that can be set; tests pause this one"
)]
fn steady() -> Instant {
    Instant::now()
}
