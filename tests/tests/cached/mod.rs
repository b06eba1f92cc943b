//! A cache of its own in front of each handle, as each server has one.

#![allow(
    clippy::expect_used,
    dead_code,
    reason = "a test fails by panicking; each test program uses some of it"
)]

use std::time::Duration;

use session_conformance::Opened;
use session_core::{ManualClock, SessionStore};
use store_memory::Cached;

/// How long an end elsewhere may be missed: short, so that nonces come and go while a suite runs, and a
/// lease that a moved clock took away is soon back.
const BOUND: Duration = Duration::from_millis(300);

/// A cache in front of `source`.
pub(crate) fn cached<S: SessionStore>(source: S, clock: &ManualClock) -> Cached<S> {
    let builder = Cached::builder(source, BOUND).clock(clock.clone());
    builder.start().expect("a cache")
}

/// Two servers on one store, which `two` connects to by a clock.
pub(crate) async fn open<S: SessionStore>(
    clock: ManualClock,
    two: impl AsyncFnOnce(ManualClock) -> [S; 2],
) -> Opened {
    let [first, second] = two(clock.clone()).await;
    Opened::from(cached(first, &clock)).with_handle(cached(second, &clock))
}
