//! How a store is set up.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Bounds, Clock, Sharding, StoreFacts, SystemClock};

use crate::capacity::Capacity;
use crate::feed::Telling;
use crate::store::{MemoryStore, NAME};
use crate::stripe::Terms;
use crate::stripes::Stripes;

/// Sets up a [`MemoryStore`].
///
/// ```
/// use store_memory::MemoryStore;
///
/// let store = MemoryStore::builder()
///     .max_sessions(100_000)
///     .max_bytes(512 << 20)
///     .build();
/// assert_eq!(store.usage().sessions, 0);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct MemoryStoreBuilder {
    clock: Arc<dyn Clock>,
    facts: StoreFacts,
    max_sessions: Option<usize>,
    max_bytes: Option<usize>,
}

impl MemoryStoreBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            facts: StoreFacts::new(NAME),
            max_sessions: None,
            max_bytes: None,
        }
    }

    /// Reads the time from `clock` instead of the operating system's.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Holds at most `max` sessions. Without this, as many as memory has room for.
    ///
    /// An anonymous session is refused with [`ErrorKind::Full`](session_core::ErrorKind::Full) once
    /// there are four fifths of that many, a sign-in once there are that many. Choose the number of
    /// sessions that you expect in the longest idle timeout, several times over: it is a guard against
    /// floods, not a cache size.
    pub fn max_sessions(self, max: usize) -> Self {
        Self {
            max_sessions: Some(max),
            ..self
        }
    }

    /// Holds at most `max` bytes, as [`Usage::bytes`](crate::Usage::bytes) counts them. Without this, as
    /// many as memory has room for.
    ///
    /// Refused with [`ErrorKind::Full`](session_core::ErrorKind::Full) are sessions, and edits that make
    /// one larger: of anonymous ones beyond four fifths of it, of signed-in ones beyond all of it.
    /// Touches, renewals and ends are never refused. Choose what the process can spare.
    pub fn max_bytes(self, max: usize) -> Self {
        Self {
            max_bytes: Some(max),
            ..self
        }
    }

    /// Lets one session grow within `bounds`.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.facts.bounds = bounds;
        self
    }

    /// Places subjects in shards by `sharding`.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.facts.sharding = sharding;
        self
    }

    /// Lets a ticket sign somebody in for `life`: longer than any sign-in takes from the check of the
    /// credentials to its last step.
    pub const fn ticket_life(mut self, life: Duration) -> Self {
        self.facts.ticket_life = life;
        self
    }

    /// Makes the store, empty.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let terms = Terms {
            bounds: self.facts.bounds,
            ticket_life: self.facts.ticket_life,
            capacity: Capacity::new(self.max_sessions, self.max_bytes),
            feed: Telling::new(),
        };
        MemoryStore::over(self.facts, Stripes::new(self.clock, terms))
    }
}
