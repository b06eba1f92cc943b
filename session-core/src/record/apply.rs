//! How a change makes the next record: the one function that every store uses.

use super::entries::{Entries, PackedEntry};
use super::header::Header;
use super::layout::Stamps;
use super::{Record, secrets};
use crate::change::Change;
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
        let mut header = self.header();
        let mut stamps = Stamps::default();
        if !apply_header(&mut header, change, now, &mut stamps) {
            return Err(Refusal::Conflict);
        }
        if !change.has_edits() {
            let bytes = header.followed_by(self.entries_block());
            return Ok((Self(bytes), stamps));
        }
        let entries = self.merged(change);
        check(change, &entries, bounds).map_err(Refusal::TooLarge)?;
        Ok((Self::build(&header, &entries), stamps))
    }

    /// The entries after the edits of `change`, in the order of their names.
    fn merged<'a>(&'a self, change: &'a Change) -> Vec<PackedEntry<'a>> {
        let stays = |name: &[u8]| !change.clears() || is_reserved(name);
        let mut stored = Entries::new(self.entries_block()).packed().peekable();
        let mut merged = Vec::with_capacity(stored.len() + change.edits().len());
        for (name, value) in change.edits() {
            let name = name.as_str().as_bytes();
            while let Some(before) = stored.next_if(|(stored, _)| *stored < name) {
                merged.extend(stays(before.0).then_some(before));
            }
            stored.next_if(|(stored, _)| *stored == name);
            merged.extend(
                value
                    .as_ref()
                    .map(|value| (name, value.as_str().as_bytes())),
            );
        }
        merged.extend(stored.filter(|(name, _)| stays(name)));
        merged
    }
}

fn apply_header(header: &mut Header, change: &Change, now: Timestamp, stamps: &mut Stamps) -> bool {
    if let Some(secret) = change.promotion() {
        secrets::promote(&mut header.slots, secret, now, stamps);
    }
    if let Some(renewal) = change.renewal()
        && !secrets::renew(&mut header.slots, renewal, now, stamps)
    {
        return false;
    }
    if let Some(life) = change.shortening()
        && now + life < header.deadline
    {
        header.deadline = now + life;
        stamps.add(Stamps::DEADLINE);
    }
    if change.touches() && header.last_seen_at < now {
        header.last_seen_at = now;
        stamps.add(Stamps::LAST_SEEN);
    }
    if change.settles_predecessor() {
        header.predecessor = None;
    }
    if !change.is_pure_touch() {
        header.revision = change.revision();
    }
    true
}

/// Only what a change adds can be too large: a session over a bound that was lowered can still shrink.
fn check(change: &Change, entries: &[PackedEntry<'_>], bounds: &Bounds) -> Result<(), TooLarge> {
    let mut sets = change.edits().values().flatten().peekable();
    if sets.peek().is_none() {
        return Ok(());
    }
    sets.try_for_each(|value| bounds.check_value(value))?;
    let bytes = entries
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    bounds.check_session(entries.len(), bytes)
}
