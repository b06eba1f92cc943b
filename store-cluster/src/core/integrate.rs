//! Taking in what was done here or elsewhere: the one way in which anything changes.

use session_core::{Ended, FeedItem, SessionId, Subject, Timestamp};

use super::cell::{Cell, Tombstone};
use super::clock::{Incarnation, Now};
use super::effect::{Effect, Effects};
use super::fence::Fence;
use super::planted::Fault;
use super::replica::Replica;
use super::state::{Dead, Live, State};
use crate::wire::{Item, Message};

impl Replica {
    /// Joins an item that `from` sent; nobody, if it was made here.
    ///
    /// Refused is what lies past its deadline on every clock: a copy from a node that slept through it
    /// does not come back.
    pub(crate) fn integrate(
        &mut self,
        now: Now,
        from: Option<Incarnation>,
        item: Item,
        effects: &mut Effects,
    ) {
        match item {
            Item::Session(id, state) => self.integrate_session(now, from, id, state, effects),
            Item::Fence(subject, fence) => {
                self.integrate_fence(now, &subject, &fence, effects);
            }
        }
    }

    fn integrate_session(
        &mut self,
        now: Now,
        from: Option<Incarnation>,
        id: SessionId,
        state: State,
        effects: &mut Effects,
    ) {
        if state.until() + self.options.max_skew <= now.wall {
            return;
        }
        match state {
            State::Dead(dead) => {
                self.bury(now, id, dead.until, effects);
            }
            State::Live(part) => {
                if !self.has(Fault::ClockNotAdvanced) {
                    self.clock.see(part.latest());
                }
                self.integrate_live(now, from, id, &part, effects);
            }
        }
    }

    fn integrate_live(
        &mut self,
        now: Now,
        from: Option<Incarnation>,
        id: SessionId,
        part: &Live,
        effects: &mut Effects,
    ) {
        let mut live = match self.cells.get(id) {
            Some(Cell::Dead(tombstone)) => {
                let is_later = part.change.stamp.time > tombstone.time;
                if !(self.has(Fault::LastWriteWins) && is_later) {
                    self.bury(now, id, part.until, effects);
                    return;
                }
                Live::clone(part)
            }
            Some(Cell::Part(live)) => Live::clone(live),
            Some(Cell::Live(packed)) => packed.unpack(),
            None => Live::bottom(part.until),
        };
        let before = self.cells.record(id).cloned();
        live.join(part);
        if self.has(Fault::TouchLastWins) && part.last_seen > Timestamp::MIN {
            live.last_seen = part.last_seen;
        }
        self.forget_removed(&mut live);
        if self.is_fenced(&live) {
            self.put(id, Cell::pack(live));
            let until = part.until;
            self.bury(now, id, until, effects);
            return;
        }
        let is_born = live.birth.is_some();
        self.put(id, Cell::pack(live));
        if !is_born {
            self.fetch(from, id, effects);
            return;
        }
        let Some(after) = self.cells.record(id).cloned() else {
            return;
        };
        match before {
            Some(before) => {
                if before.slots().ne(after.slots()) {
                    effects.push(Effect::Feed(FeedItem::Renewed(id)));
                }
                if before.entries_block() != after.entries_block()
                    || before.deadline() != after.deadline()
                    || before.predecessor() != after.predecessor()
                {
                    effects.push(Effect::Feed(FeedItem::Changed(id)));
                }
            }
            None => self.admitted(now, id, from.is_some(), effects),
        }
    }

    /// Asks whoever sent a part for the rest of its session.
    fn fetch(&mut self, from: Option<Incarnation>, id: SessionId, effects: &mut Effects) {
        if let Some(peer) = from
            && let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
        {
            link.say(Message::Ask { ask: 0, id });
            effects.push(Effect::Wake(peer));
        }
    }

    /// Puts a tombstone in a session's place.
    pub(crate) fn bury(
        &mut self,
        now: Now,
        id: SessionId,
        until: Timestamp,
        effects: &mut Effects,
    ) {
        let mut tombstone = Tombstone {
            until,
            time: self.clock.stamp(now.wall).time,
            ended: None,
        };
        let mut was_live = false;
        match self.cells.get(id) {
            Some(Cell::Dead(known)) => {
                if known.until >= until {
                    return;
                }
                tombstone.ended.clone_from(&known.ended);
            }
            Some(Cell::Live(packed)) => {
                tombstone.until = tombstone.until.max(packed.until());
                was_live = packed.record.is_live(now.wall);
                let ended = Ended::of(&packed.record, now.wall);
                tombstone.ended = was_live.then(|| Box::new(ended));
            }
            Some(Cell::Part(live)) => tombstone.until = tombstone.until.max(live.until),
            None => {}
        }
        self.touched.remove(&id);
        self.put(id, Cell::Dead(tombstone));
        if was_live {
            effects.push(Effect::Feed(FeedItem::Ended(id)));
        }
    }

    /// Whether a revoke that the session had not seen ends it.
    fn is_fenced(&self, live: &Live) -> bool {
        let birth = live.birth.as_ref();
        let Some((birth, owner)) = birth.and_then(|birth| Some((birth, birth.owner.as_ref()?)))
        else {
            return false;
        };
        let Some(fence) = self.fences.get(&owner.subject) else {
            return false;
        };
        if self.has(Fault::FenceByTime) {
            let raised_at = fence.until - self.options.max_lifetime - self.options.max_skew;
            return birth.created_at <= raised_at && live.seen.is_empty();
        }
        !fence.revokes.is_within(&live.seen)
    }

    fn integrate_fence(
        &mut self,
        now: Now,
        subject: &Subject,
        fence: &Fence,
        effects: &mut Effects,
    ) -> Vec<SessionId> {
        if fence.until <= now.wall {
            return Vec::new();
        }
        self.fences.entry(subject.clone()).or_default().join(fence);
        let sessions: Vec<_> = self
            .cells
            .of_subject(self.shard_of(subject), subject.as_str())
            .map(|(id, _)| id)
            .collect();
        let mut ended = Vec::new();
        for id in sessions {
            let Some(Cell::Live(packed)) = self.cells.get(id) else {
                continue;
            };
            let live = packed.unpack();
            if self.is_fenced(&live) {
                if packed.record.is_live(now.wall) {
                    ended.push(id);
                }
                self.bury(now, id, live.until, effects);
            }
        }
        ended
    }

    /// Joins what was done here, and says which live sessions a fence ended.
    pub(crate) fn integrate_own(
        &mut self,
        now: Now,
        items: Vec<Item>,
        effects: &mut Effects,
    ) -> Vec<SessionId> {
        let mut ended = Vec::new();
        for item in items {
            match item {
                Item::Session(id, state) => {
                    self.integrate_session(now, None, id, state, effects);
                }
                Item::Fence(subject, fence) => {
                    ended.extend(self.integrate_fence(now, &subject, &fence, effects));
                }
            }
        }
        ended
    }

    /// Lets go of the names of removed entries once everybody has the removal.
    fn forget_removed(&self, live: &mut Live) {
        let settled = self.settled();
        live.entries
            .retain(|_, register| register.value.is_some() || register.stamp.time > settled);
    }

    /// Up to which stamp everything is everywhere. Alone, everything is.
    pub(crate) fn settled(&self) -> u64 {
        if self.members.is_empty() && self.is_ready {
            u64::MAX
        } else {
            self.stability.settled()
        }
    }

    pub(crate) fn put(&mut self, id: SessionId, cell: Cell) {
        if let Some(record) = cell.record() {
            self.timers.first_expiry = self.timers.first_expiry.min(record.expires_at());
        }
        self.cells.put(id, cell);
    }

    /// The item that ends a session.
    pub(crate) fn end_of(&self, id: SessionId) -> Option<Item> {
        let until = self.cells.get(id)?.until();
        Some(Item::Session(id, State::Dead(Dead { until })))
    }
}
