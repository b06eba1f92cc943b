//! Elapsed time: the one place that reads it.

use std::time::{Instant, SystemTime};

/// The time since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "what is measured here is this machine's own speed"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    #[must_use]
    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Microseconds by the clock that all processes of this machine share.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "what is measured here is this machine's own speed, in several processes"
)]
pub(crate) fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}
