//! Until when an answer is worth waiting for.

use std::time::Duration;

use tokio::time::Instant;

/// The instant at which a call must have ended, by the runtime's clock: a time limit that is handed on.
///
/// It has nothing to do with the times of sessions, which come from a [`Clock`](crate::Clock).
///
/// ```
/// # use std::time::Duration;
/// # use session_core::Deadline;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let deadline = Deadline::after(Duration::from_millis(1));
/// assert_eq!(deadline.within(async { 7 }).await, Some(7));
/// assert_eq!(deadline.within(std::future::pending::<()>()).await, None);
/// assert!(deadline.has_passed());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `limit` from now; as good as never if that is beyond what the clock can tell.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        Self(now() + limit.min(NEVER))
    }

    /// Whether it is too late.
    #[must_use]
    pub fn has_passed(self) -> bool {
        now() >= self.0
    }

    /// What `work` gives, or nothing if the deadline comes first: `work` is then dropped.
    pub async fn within<F: Future>(self, work: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a wait is measured by the clock that its timers go by"
)]
fn now() -> Instant {
    Instant::now()
}
