//! What a tier has done, and what it holds.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Cached`](crate::Cached) has done since it was started, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedUsage {
    /// Loads that were answered from memory.
    pub hits: u64,
    /// Loads that were answered by the source, several maybe by one call.
    pub misses: u64,
    /// Calls that loaded from the source.
    pub loads: u64,
    /// Copies held, as far as is known: what came or went just now may not be counted yet.
    pub copies: u64,
    /// Whether it may answer from memory now. If not for long, the feed of the source is cut, slow or
    /// stuck.
    pub holds_lease: bool,
}

/// The numbers that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) loads: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}
