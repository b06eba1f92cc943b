//! How much the store holds, and how much it may.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use session_core::Record;

/// How much a store holds: what its bounds are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Sessions. Expired ones count until they are removed, which is before any is refused for them.
    pub sessions: usize,
    /// Sessions that were ended less than 60 s ago, of which id and secret hashes are remembered.
    pub ended: usize,
    /// Bytes of both, rounded up: a session counts as if it had its four secrets. Fences are not
    /// counted: there are never more than half a million, and hardly any unless as many subjects are
    /// revoked within minutes.
    pub bytes: usize,
}

/// What a session takes besides its subject and its entries: the record's header with four secrets,
/// its allocation, its slot, its places in the indices and in the queue.
const SESSION: usize = 400;
/// What is remembered of an ended one takes this much at most: always less than the session did.
const ENDED: usize = 272;

impl Usage {
    /// What a session takes.
    ///
    /// Nothing but its entries can change it, so a renewal never fails for want of room.
    pub(crate) fn of(record: &Record) -> Self {
        let subject = record.subject().map_or(0, str::len);
        Self {
            sessions: 1,
            ended: 0,
            bytes: SESSION + subject + record.entries_block().len(),
        }
    }

    /// What is left of a session after its end.
    pub(crate) const fn of_ended() -> Self {
        Self {
            sessions: 0,
            ended: 1,
            bytes: ENDED,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            ended: self.ended + other.ended,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            sessions: self.sessions.saturating_sub(other.sessions),
            ended: self.ended.saturating_sub(other.ended),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// The store would hold more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The bounds of all stripes together, and what of them is used. Bounds nothing unless asked to.
#[derive(Debug)]
pub(crate) struct Capacity {
    max_sessions: usize,
    max_bytes: usize,
    is_bounded: bool,
    /// Taken inside a stripe's lock and never around one. Both numbers change together, so no step
    /// is refused because of another that is then refused itself.
    used: Mutex<Usage>,
    /// How often room was given back.
    givings: AtomicU64,
}

impl Capacity {
    pub(crate) fn new(max_sessions: Option<usize>, max_bytes: Option<usize>) -> Self {
        Self {
            max_sessions: max_sessions.unwrap_or(usize::MAX),
            max_bytes: max_bytes.unwrap_or(usize::MAX),
            is_bounded: max_sessions.is_some() || max_bytes.is_some(),
            used: Mutex::default(),
            givings: AtomicU64::new(0),
        }
    }

    /// Replaces `given` by `taken`, if what grows stays within the bounds: for what belongs to nobody,
    /// four fifths of them.
    pub(crate) fn exchange(
        &self,
        given: Usage,
        taken: Usage,
        is_anonymous: bool,
    ) -> Result<(), NoRoom> {
        if !self.is_bounded {
            return Ok(());
        }
        let share = |max: usize| if is_anonymous { max - max / 5 } else { max };
        let mut used = self.used.lock();
        let next = used.minus(given).plus(taken);
        if next.sessions > used.sessions && next.sessions > share(self.max_sessions)
            || next.bytes > used.bytes && next.bytes > share(self.max_bytes)
        {
            return Err(NoRoom);
        }
        if next.sessions < used.sessions || next.bytes < used.bytes {
            self.givings.fetch_add(1, Ordering::SeqCst);
        }
        *used = next;
        Ok(())
    }

    /// Replaces `given` by `taken`, which is less.
    pub(crate) fn give(&self, given: Usage, taken: Usage) {
        if self.is_bounded {
            let mut used = self.used.lock();
            *used = used.minus(given).plus(taken);
            self.givings.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often room was given back: who was refused for want of room may try again once this moved.
    pub(crate) fn givings(&self) -> u64 {
        self.givings.load(Ordering::SeqCst)
    }
}
