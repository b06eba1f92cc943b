//! When things happened, by a clock that nobody steps.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "how long something took, while the clocks of nodes are stepped"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
