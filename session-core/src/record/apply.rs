//! How a change makes the next record: the one function that every store uses.

use std::ops::Range;

use super::entries::{self, Entries, Run};
use super::header::Header;
use super::layout::{self, Stamps, at};
use super::{Record, secrets};
use crate::change::{Change, Revision};
use crate::limits::{Bounds, TooLarge};
use crate::name::is_reserved;
use crate::time::Timestamp;

/// Why a change was refused. Of several reasons the first in this order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session has expired.
    Absent,
    /// The change is guarded by another revision, or renews a secret that may not be replaced.
    Conflict,
    /// The session would go over a bound.
    TooLarge(TooLarge),
}

impl Record {
    /// Applies `change` at `now`, whole or not at all.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], judged on this record.
    pub fn apply(&self, change: &Change, now: Timestamp, bounds: &Bounds) -> Result<Self, Refusal> {
        self.apply_stamped(change, now, bounds)
            .map(|(record, _)| record)
    }

    /// As [`Record::apply`], and says which instants of the next record `now` set.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], judged on this record.
    pub fn apply_stamped(
        &self,
        change: &Change,
        now: Timestamp,
        bounds: &Bounds,
    ) -> Result<(Self, Stamps), Refusal> {
        if !self.is_live(now) {
            return Err(Refusal::Absent);
        }
        if change.guard().is_some_and(|guard| guard != self.revision()) {
            return Err(Refusal::Conflict);
        }
        let mut stamps = Stamps::default();
        let repacked = if changes_beyond_instants(change) {
            let mut header = self.header();
            if !apply_header(&mut header, change, now, &mut stamps) {
                return Err(Refusal::Conflict);
            }
            Some(header.to_bytes())
        } else {
            None
        };
        let header = repacked.as_deref().unwrap_or(self.header_block());
        let fixed = self.fixed(change, now, &mut stamps);
        let bytes = if change.has_edits() {
            let entries = self.merged(change);
            check(change, &entries, bounds).map_err(Refusal::TooLarge)?;
            let runs = entries.iter().copied();
            let len = header.len() + entries::packed_len(runs.clone());
            layout::packed(len, |rest| {
                fixed.pack_into(header, rest);
                entries::pack_into(runs, rest);
            })
        } else {
            let entries = self.entries_block();
            layout::packed(header.len() + entries.len(), |rest| {
                fixed.pack_into(header, rest);
                layout::put(rest, entries);
            })
        };
        Ok((Self(bytes), stamps))
    }

    /// The fields at fixed places after `change`.
    fn fixed(&self, change: &Change, now: Timestamp, stamps: &mut Stamps) -> Fixed {
        let mut fixed = Fixed {
            revision: self.revision(),
            last_seen_at: self.last_seen_at(),
            deadline: self.deadline(),
        };
        if let Some(life) = change.shortening()
            && now + life < fixed.deadline
        {
            fixed.deadline = now + life;
            stamps.add(Stamps::DEADLINE);
        }
        if change.touches() && fixed.last_seen_at < now {
            fixed.last_seen_at = now;
            stamps.add(Stamps::LAST_SEEN);
        }
        if !change.is_pure_touch() {
            fixed.revision = change.revision();
        }
        fixed
    }

    /// The entries after the edits of `change`, in the order of their names.
    fn merged<'a>(&'a self, change: &'a Change) -> Vec<Run<'a>> {
        let stored = Entries::new(self.entries_block());
        let mut merged = Vec::with_capacity(2 * change.edits().len() + 1);
        let mut next = 0;
        let keep = |rows: Range<usize>, merged: &mut Vec<_>| {
            if change.clears() {
                let reserved = rows.filter(|row| is_reserved(stored.name_bytes(*row)));
                merged.extend(reserved.map(|row| stored.run(row..row + 1)));
            } else if !rows.is_empty() {
                merged.push(stored.run(rows));
            }
        };
        for (name, value) in change.edits() {
            let name = name.as_str();
            let (before, after) = match stored.place(name.as_bytes()) {
                Ok(at) => (at, at + 1),
                Err(at) => (at, at),
            };
            keep(next..before, &mut merged);
            next = after;
            merged.extend(value.as_ref().map(|value| Run::New(name, value.as_str())));
        }
        keep(next..stored.len(), &mut merged);
        merged
    }
}

/// What most changes change of a header. All of it stands at fixed places, and so the rest is copied as it is.
struct Fixed {
    revision: Revision,
    last_seen_at: Timestamp,
    deadline: Timestamp,
}

impl Fixed {
    /// Packs `header` with these fields.
    fn pack_into(&self, header: &[u8], rest: &mut &mut [u8]) {
        let (last_seen, deadline) = (self.last_seen_at.as_millis(), self.deadline.as_millis());
        let fields = [
            (at::REVISION, self.revision.to_u64()),
            (at::LAST_SEEN, last_seen),
            (at::DEADLINE, deadline),
        ];
        let packed = layout::put(rest, header);
        for (offset, field) in fields {
            if let Some(place) = packed.get_mut(offset..offset + 8) {
                place.copy_from_slice(&field.to_be_bytes());
            }
        }
    }
}

/// Whether more of a header may change than its [`Fixed`] fields.
const fn changes_beyond_instants(change: &Change) -> bool {
    change.promotion().is_some() || change.renewal().is_some() || change.settles_predecessor()
}

/// Changes what is not [`Fixed`]. Not done, if the change renews a secret that may not be replaced.
fn apply_header(header: &mut Header, change: &Change, now: Timestamp, stamps: &mut Stamps) -> bool {
    if let Some(secret) = change.promotion() {
        secrets::promote(&mut header.slots, secret, now, stamps);
    }
    if let Some(renewal) = change.renewal()
        && !secrets::renew(&mut header.slots, renewal, now, stamps)
    {
        return false;
    }
    if change.settles_predecessor() {
        header.predecessor = None;
    }
    true
}

/// Only what a change adds can be too large: a session over a bound that was lowered can still shrink.
fn check(change: &Change, entries: &[Run<'_>], bounds: &Bounds) -> Result<(), TooLarge> {
    let mut sets = change.edits().values().flatten().peekable();
    if sets.peek().is_none() {
        return Ok(());
    }
    sets.try_for_each(|value| bounds.check_value(value))?;
    let count = entries.iter().map(|run| run.count()).sum();
    let bytes = entries.iter().map(|run| run.data_len()).sum();
    bounds.check_session(count, bytes)
}
