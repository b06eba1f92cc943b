//! Letting go of what expired, and of ends that everybody knows.

use session_core::{FeedItem, SessionId, Timestamp};

use super::cell::Cell;
use super::cells::Usage;
use super::clock::Now;
use super::effect::{Effect, Effects, Refused};
use super::planted::Fault;
use super::replica::Replica;
use super::state::Live;

/// So many sessions are looked at in one tick.
const LOOKS: usize = 256;

impl Replica {
    /// Looks at the next few sessions, and removes what is due.
    pub(crate) fn sweep(&mut self, now: Now, effects: &mut Effects) {
        let from = self.timers.swept;
        let mut looks = 0;
        let mut due = Vec::new();
        let mut last = None;
        for (id, cell) in self.cells.after(from).take(LOOKS) {
            looks += 1;
            last = Some(id);
            if self.is_due(cell, now) {
                due.push(id);
            }
        }
        self.timers.swept = last.filter(|_| looks == LOOKS);
        for id in due {
            self.forget(id, effects);
        }
        if from.is_none() {
            let life = self.options.ticket_life + self.options.max_skew;
            self.tries.forget(now.wall, life);
            let early = self.options.max_lifetime;
            let is_early = self.has(Fault::FenceDroppedEarly);
            self.fences.retain(|_, fence| {
                fence.until > now.wall && !(is_early && fence.until - early <= now.wall)
            });
        }
        let remembered = self.cells.after(from).take(LOOKS);
        let forgotten: Vec<_> = remembered
            .filter_map(|(id, cell)| match cell {
                Cell::Dead(tombstone)
                    if tombstone.ended.is_some() && tombstone.remembered(now.wall).is_none() =>
                {
                    let mut tombstone = tombstone.clone();
                    tombstone.ended = None;
                    Some((id, tombstone))
                }
                _ => None,
            })
            .collect();
        for (id, tombstone) in forgotten {
            self.cells.put(id, Cell::Dead(tombstone));
        }
    }

    fn is_due(&self, cell: &Cell, now: Now) -> bool {
        let skew = self.options.max_skew;
        match cell {
            // Another node may have been told of a use that is not known here yet.
            Cell::Live(packed) => now.wall >= packed.record.expires_at() + skew,
            Cell::Part(live) => now.wall >= live.until + skew,
            Cell::Dead(tombstone) => {
                let is_settled =
                    tombstone.time <= self.settled() || self.has(Fault::TombstoneDroppedEarly);
                let is_over = is_settled || now.wall >= tombstone.until + skew;
                is_over && tombstone.remembered(now.wall).is_none()
            }
        }
    }

    fn forget(&mut self, id: SessionId, effects: &mut Effects) {
        self.touched.remove(&id);
        if let Some(Cell::Live(_)) = self.cells.remove(id) {
            effects.push(Effect::Feed(FeedItem::Expired(id)));
        }
    }

    /// Sees that there is room for `live` once `leaving` are gone; if need be, by removing all that
    /// expired.
    pub(crate) fn make_room(
        &mut self,
        now: Now,
        live: &Live,
        leaving: &[SessionId],
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        if self.has_room(live, leaving) {
            return Ok(());
        }
        if self.timers.first_expiry <= now.wall {
            let expired: Vec<_> = self
                .cells
                .after(None)
                .filter(|(id, cell)| {
                    let record = cell.record();
                    record.is_some_and(|record| !record.is_live(now.wall)) && !leaving.contains(id)
                })
                .map(|(id, _)| id)
                .collect();
            for id in expired {
                self.forget(id, effects);
            }
            let first = self.cells.after(None);
            self.timers.first_expiry = first
                .filter_map(|(_, cell)| Some(cell.record()?.expires_at()))
                .min()
                .unwrap_or(Timestamp::MAX);
        }
        if self.has_room(live, leaving) {
            Ok(())
        } else {
            Err(Refused::Full)
        }
    }

    /// Anonymous sessions take at most four fifths, so that visitors keep nobody from signing in.
    fn has_room(&self, live: &Live, leaving: &[SessionId]) -> bool {
        let (max_sessions, max_bytes) = (self.options.max_sessions, self.options.max_bytes);
        if max_sessions == usize::MAX && max_bytes == usize::MAX {
            return true;
        }
        let is_owned = live
            .birth
            .as_ref()
            .is_some_and(|birth| birth.owner.is_some());
        let share = |max: usize| if is_owned { max } else { max - max / 5 };
        let used = self.cells.usage();
        let leaving = leaving.iter().filter_map(|id| self.cells.get(*id));
        let given = leaving.map(Usage::of).fold(Usage::default(), |sum, it| {
            sum.exchanged(Usage::default(), it)
        });
        let taken = Usage::of(&Cell::pack(live.clone()));
        let next = used.exchanged(given, taken);
        (next.sessions <= used.sessions || next.sessions <= share(max_sessions))
            && (next.bytes <= used.bytes || next.bytes <= share(max_bytes))
    }
}
