//! How often a peer was refused, and why.

use std::sync::atomic::{AtomicU64, Ordering};

use super::hello::Refusal;
use super::mesh::Unfit;

/// How often something came that does not belong to the cluster, since the node started. Each was logged
/// and changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Connections that did not prove, within the time limit, a certificate of the cluster's authority
    /// made for the cluster's name.
    pub certificate: u64,
    /// Peers whose hello was none, or that belong to another cluster, speak no version of the protocol
    /// that this node speaks, or go by other terms.
    pub hello: u64,
    /// Peers whose clock differs by more than the bound.
    pub clock: u64,
    /// Earlier lives of nodes that were started again, and nodes that were away for too long.
    pub retired: u64,
    /// Connections over the bound.
    pub crowded: u64,
    /// Connections ended because of a frame over the bound of size.
    pub oversized: u64,
    /// Connections ended because of a frame that could not be read.
    pub malformed: u64,
    /// Connections ended because a frame came a second time, or after one that was written later.
    pub repeated: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    certificate: AtomicU64,
    hello: AtomicU64,
    clock: AtomicU64,
    retired: AtomicU64,
    crowded: AtomicU64,
    oversized: AtomicU64,
    malformed: AtomicU64,
    repeated: AtomicU64,
}

impl Counters {
    pub(crate) fn certificate(&self) {
        self.certificate.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn oversized(&self) {
        self.oversized.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unfit(&self, unfit: Unfit) {
        let counter = match unfit {
            Unfit::Malformed => &self.malformed,
            Unfit::Repeated => &self.repeated,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refusal(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Garbled
            | Refusal::Cluster
            | Refusal::Version
            | Refusal::Sharding
            | Refusal::TicketLife
            | Refusal::Skew => &self.hello,
            Refusal::Clock => &self.clock,
            Refusal::Retired => &self.retired,
            Refusal::Crowded => &self.crowded,
            // A node that is among its own seeds.
            Refusal::Myself => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Refused {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Refused {
            certificate: read(&self.certificate),
            hello: read(&self.hello),
            clock: read(&self.clock),
            retired: read(&self.retired),
            crowded: read(&self.crowded),
            oversized: read(&self.oversized),
            malformed: read(&self.malformed),
            repeated: read(&self.repeated),
        }
    }
}
