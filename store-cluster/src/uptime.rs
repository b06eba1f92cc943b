//! A clock that only goes forward.

use std::time::{Duration, Instant};

/// Since when this node runs. What goes by it are waits and rates, never a session's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime(Instant);

#[expect(
    clippy::disallowed_methods,
    reason = "timers must not follow the wall clock's steps; no session is judged by this"
)]
impl Uptime {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn read(self) -> Duration {
        Instant::now().saturating_duration_since(self.0)
    }
}
