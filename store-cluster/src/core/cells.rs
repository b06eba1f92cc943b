//! All sessions of a replica, in the order of their ids.

use std::collections::BTreeMap;
use std::ops::Bound;

use session_core::{Record, SessionId, Shard};

use super::cell::Cell;

/// How much a replica holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Sessions, among them expired ones that have not been removed yet.
    pub sessions: usize,
    /// Ends that are remembered.
    pub tombstones: usize,
    /// Bytes of both, without the allocator's own.
    pub bytes: usize,
}

/// What the map itself takes for a session.
const SLOT: usize = 80;

impl Usage {
    pub(crate) fn of(cell: &Cell) -> Self {
        let (sessions, tombstones, len) = match cell {
            Cell::Live(packed) => (1, 0, packed.len()),
            Cell::Part(live) => (0, 0, 256 + live.entries.len() * 64),
            Cell::Dead(tombstone) => (0, 1, if tombstone.ended.is_some() { 200 } else { 0 }),
        };
        Self {
            sessions,
            tombstones,
            bytes: SLOT + len,
        }
    }

    pub(crate) const fn exchanged(self, given: Self, taken: Self) -> Self {
        Self {
            sessions: (self.sessions + taken.sessions).saturating_sub(given.sessions),
            tombstones: (self.tombstones + taken.tombstones).saturating_sub(given.tombstones),
            bytes: (self.bytes + taken.bytes).saturating_sub(given.bytes),
        }
    }
}

/// All sessions of a replica.
///
/// A session stands in its subject's shard and ids are in the order of their shards, so the sessions of
/// a subject are found in a short range: there is no index that could disagree.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    map: BTreeMap<SessionId, Cell>,
    usage: Usage,
}

impl Cells {
    pub(crate) fn get(&self, id: SessionId) -> Option<&Cell> {
        self.map.get(&id)
    }

    pub(crate) fn record(&self, id: SessionId) -> Option<&Record> {
        self.get(id)?.record()
    }

    pub(crate) fn put(&mut self, id: SessionId, cell: Cell) {
        let taken = Usage::of(&cell);
        let given = self.map.insert(id, cell);
        let given = given.as_ref().map_or_else(Usage::default, Usage::of);
        self.usage = self.usage.exchanged(given, taken);
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Cell> {
        let cell = self.map.remove(&id)?;
        self.usage = self.usage.exchanged(Usage::of(&cell), Usage::default());
        Some(cell)
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// What follows `after`, in the order of the ids.
    pub(crate) fn after(
        &self,
        after: Option<SessionId>,
    ) -> impl Iterator<Item = (SessionId, &Cell)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.map
            .range((from, Bound::Unbounded))
            .map(|(id, cell)| (*id, cell))
    }

    /// All that stands in a shard.
    pub(crate) fn in_shard(&self, shard: Shard) -> impl Iterator<Item = (SessionId, &Cell)> {
        self.in_shards(shard.number(), shard.number())
    }

    /// All that stands in the shards of these numbers and between them.
    pub(crate) fn in_shards(&self, from: u16, to: u16) -> impl Iterator<Item = (SessionId, &Cell)> {
        let mut first = [0; 16];
        let mut last = [u8::MAX; 16];
        [first[0], first[1]] = from.to_be_bytes();
        [last[0], last[1]] = to.to_be_bytes();
        self.map
            .range(SessionId::from_bytes(first)..=SessionId::from_bytes(last))
            .map(|(id, cell)| (*id, cell))
    }

    /// The sessions of a subject, expired ones among them.
    pub(crate) fn of_subject(
        &self,
        shard: Shard,
        subject: &str,
    ) -> impl Iterator<Item = (SessionId, &Record)> {
        self.in_shard(shard).filter_map(move |(id, cell)| {
            let record = cell.record()?;
            (record.subject() == Some(subject)).then_some((id, record))
        })
    }
}
