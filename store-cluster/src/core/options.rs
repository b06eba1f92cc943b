//! What a replica is set up with.

use std::time::Duration;

use session_core::{Bounds, Sharding, TICKET_LIFE, Timeouts};

use super::clock::Incarnation;

/// What a replica is set up with. All but the incarnation and the sizes must be equal on all nodes.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaOptions {
    pub(crate) incarnation: Incarnation,
    pub(crate) sharding: Sharding,
    pub(crate) bounds: Bounds,
    pub(crate) ticket_life: Duration,
    /// The longest that a session lives: so long fences are kept.
    pub(crate) max_lifetime: Duration,
    /// How far two nodes' wall clocks may be apart.
    pub(crate) max_skew: Duration,
    pub(crate) max_sessions: usize,
    pub(crate) max_bytes: usize,
    /// Bytes of operations kept for peers that are slow.
    pub(crate) ring_bytes: usize,
    /// Changes kept by number for peers that are behind.
    pub(crate) log_len: usize,
    /// Sessions sent in one frame of a scan at most.
    pub(crate) chunk_items: usize,
    /// How often two nodes compare what they know.
    pub(crate) gossip_every: Duration,
    /// How often touches are told.
    pub(crate) touches_every: Duration,
    /// How long a question to the peers may take.
    pub(crate) ask_limit: Duration,
    /// Questions to the peers in a second, and as many at once.
    pub(crate) asks_per_second: u32,
    /// How long after the last acknowledgement of an end its tombstone is dropped.
    pub(crate) settle: Duration,
    /// How often two nodes compare some of their sessions.
    pub(crate) audit_every: Duration,
    /// How many of the [buckets](super::audit::BUCKETS) they compare then.
    pub(crate) audited: u16,
}

impl ReplicaOptions {
    pub(crate) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            sharding: Sharding::default(),
            bounds: Bounds::default(),
            ticket_life: TICKET_LIFE,
            max_lifetime: Timeouts::MAX_ABSOLUTE,
            max_skew: Duration::from_secs(60),
            max_sessions: usize::MAX,
            max_bytes: usize::MAX,
            ring_bytes: 32 << 20,
            log_len: 1 << 20,
            chunk_items: 256,
            gossip_every: Duration::from_millis(500),
            touches_every: Duration::from_secs(1),
            ask_limit: Duration::from_millis(250),
            asks_per_second: 10_000,
            settle: Duration::from_secs(60),
            // All of them in ten minutes; summing up one of a million sessions' takes a few milliseconds.
            audit_every: Duration::from_millis(2_350),
            audited: 1,
        }
    }
}
