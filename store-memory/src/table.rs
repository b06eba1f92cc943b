//! Sessions, and what is left of ended ones: by id, by subject, and by when they may go.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use session_core::{Ended, Record, SessionId, Timestamp};

use crate::expiry::{Queue, grow};

/// What the store holds under an id.
#[derive(Debug)]
pub(crate) enum State {
    /// A session, live until it expires.
    Live(Record),
    /// What is remembered of one that was ended.
    Ended(Box<Ended>),
}

/// The sessions of one stripe. All in slots without gaps, to which two indices and the queue point.
///
/// A session's subject is read from its record, so the index of subjects holds nothing but slot
/// numbers and cannot disagree with the records.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    by_id: HashTable<u32>,
    /// The slots of signed-in sessions, under the hash of their subject: as many of one hash as the
    /// subject has sessions.
    by_subject: HashTable<u32>,
    queue: Queue,
    /// People choose the names of subjects, so their hash is keyed.
    hasher: RandomState,
}

#[derive(Debug)]
struct Slot {
    id: SessionId,
    state: State,
}

impl Slot {
    fn subject(&self) -> Option<&str> {
        match &self.state {
            State::Live(record) => record.subject(),
            State::Ended(_) => None,
        }
    }
}

/// The hash of an id: eight of its random bytes. Whoever makes up ids can only look them up; those that
/// are inserted are drawn by the server.
fn hash(id: &SessionId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Below this many slots nothing is given back.
const SMALL: usize = 64;

impl Table {
    /// What is held under `id`.
    pub(crate) fn get(&self, id: SessionId) -> Option<&State> {
        self.slot(self.find(id)?).map(|slot| &slot.state)
    }

    /// The sessions of a subject, expired ones among them.
    pub(crate) fn sessions_of(&self, subject: &str) -> impl Iterator<Item = (SessionId, &Record)> {
        self.by_subject
            .iter_hash(self.hasher.hash_one(subject))
            .filter_map(|at| self.slot(*at))
            .filter_map(move |slot| match &slot.state {
                State::Live(record) if record.subject() == Some(subject) => Some((slot.id, record)),
                _ => None,
            })
    }

    /// Everything held, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &State)> {
        self.slots.iter().map(|slot| (slot.id, &slot.state))
    }

    /// Whether slot numbers are left. Memory ends before they do.
    pub(crate) fn has_room(&self) -> bool {
        u32::try_from(self.slots.len()).is_ok_and(|len| len < u32::MAX)
    }

    /// Holds a session under an id that is not held.
    pub(crate) fn insert(&mut self, id: SessionId, record: Record) {
        let Ok(at) = u32::try_from(self.slots.len()) else {
            return;
        };
        let due = record.expires_at();
        grow(&mut self.slots);
        self.slots.push(Slot {
            id,
            state: State::Live(record),
        });
        let slots = &self.slots;
        let slot = |at: &u32| slots.get(*at as usize);
        self.by_id.insert_unique(hash(&id), at, |at| {
            slot(at).map_or(0, |slot| hash(&slot.id))
        });
        let subject_hash = |at: &u32| Some(self.hasher.hash_one(slot(at)?.subject()?));
        if let Some(hash) = subject_hash(&at) {
            self.by_subject
                .insert_unique(hash, at, |at| subject_hash(at).unwrap_or_default());
        }
        self.queue.push(at, due);
    }

    /// Replaces the record of a session.
    pub(crate) fn replace(&mut self, id: SessionId, record: Record) {
        let Some(at) = self.find(id) else { return };
        let due = record.expires_at();
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        let before = std::mem::replace(&mut slot.state, State::Live(record));
        // Nothing stands in the queue later than it may go. So most need not be looked for there.
        let comes_sooner = match &before {
            State::Live(before) => due < before.expires_at(),
            State::Ended(_) => true,
        };
        if comes_sooner && self.queue.due(at).is_some_and(|before| due < before) {
            self.queue.set(at, due);
        }
    }

    /// Puts what is remembered of a session in its place.
    pub(crate) fn end(&mut self, id: SessionId, ended: Ended, due: Timestamp) {
        let Some(at) = self.find(id) else { return };
        self.unlist(at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.state = State::Ended(Box::new(ended));
        }
        self.queue.set(at, due);
    }

    /// Lets go of what is held under `id`.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<State> {
        let at = self.find(id)?;
        self.unlist(at);
        if let Ok(entry) = self.by_id.find_entry(hash(&id), |found| *found == at) {
            entry.remove();
        }
        self.queue.swap_remove(at);
        let removed = self.slots.swap_remove(at as usize);
        self.renumber(at);
        self.give_back();
        Some(removed.state)
    }

    /// When the first may go.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.queue.first().map(|(due, _)| due)
    }

    /// What may go first, and when.
    pub(crate) fn first_due(&self) -> Option<(Timestamp, SessionId, &State)> {
        let (due, at) = self.queue.first()?;
        let slot = self.slot(at)?;
        Some((due, slot.id, &slot.state))
    }

    /// Corrects when `id` may go: a session no later than it expires.
    pub(crate) fn postpone(&mut self, id: SessionId, due: Timestamp) {
        if let Some(at) = self.find(id) {
            self.queue.set(at, due);
        }
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)
    }

    fn find(&self, id: SessionId) -> Option<u32> {
        let is_it = |at: &u32| self.slot(*at).is_some_and(|slot| slot.id == id);
        self.by_id.find(hash(&id), is_it).copied()
    }

    fn subject_hash(&self, at: u32) -> Option<u64> {
        Some(self.hasher.hash_one(self.slot(at)?.subject()?))
    }

    /// Takes a slot out of the index of subjects.
    fn unlist(&mut self, at: u32) {
        if let Some(hash) = self.subject_hash(at)
            && let Ok(entry) = self.by_subject.find_entry(hash, |found| *found == at)
        {
            entry.remove();
        }
    }

    /// Points the indices to `at`, where the slot that was the last now stands.
    fn renumber(&mut self, at: u32) {
        let (Some(id), Ok(last)) = (
            self.slot(at).map(|slot| slot.id),
            u32::try_from(self.slots.len()),
        ) else {
            return;
        };
        if let Some(found) = self.by_id.find_mut(hash(&id), |found| *found == last) {
            *found = at;
        }
        if let Some(hash) = self.subject_hash(at)
            && let Some(found) = self.by_subject.find_mut(hash, |found| *found == last)
        {
            *found = at;
        }
    }

    /// Gives memory back once three quarters of it are unused.
    fn give_back(&mut self) {
        let len = self.slots.len();
        if self.slots.capacity() <= SMALL || len > self.slots.capacity() / 4 {
            return;
        }
        let keep = (len * 2).max(SMALL / 2);
        self.slots.shrink_to(keep);
        self.queue.shrink_to(keep);
        let slots = &self.slots;
        let slot = |at: &u32| slots.get(*at as usize);
        self.by_id
            .shrink_to(keep, |at| slot(at).map_or(0, |slot| hash(&slot.id)));
        self.by_subject.shrink_to(0, |at| {
            slot(at)
                .and_then(Slot::subject)
                .map_or(0, |subject| self.hasher.hash_one(subject))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use session_core::{Fence, NewRecord, SecretHash, Shard, Subject, Ticket, Timeouts};

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// A session of `subject`, or anonymous, that expires at `end`.
    fn record(subject: Option<&str>, end: Timestamp) -> Record {
        let timeouts = Timeouts::new(end.since(at(0))).without_idle();
        let new = NewRecord::new(SecretHash::from_bytes([7; 32]), timeouts);
        let ticket = subject.map(|subject| {
            let subject = Subject::new(subject).unwrap();
            Ticket::new(subject, Fence::default(), at(0))
        });
        ticket.map_or_else(
            || new.anonymous(at(0)).0,
            |ticket| new.signed_in(&ticket, at(0)).0,
        )
    }

    fn ended(record: &Record) -> Ended {
        Ended::of(record, at(0))
    }

    /// What a table should hold under an id: its subject if it is a live session's, and when it is due.
    type Model = BTreeMap<SessionId, (Option<&'static str>, bool, Timestamp)>;

    fn assert_agrees(table: &Table, model: &Model) {
        assert_eq!(table.iter().count(), model.len());
        assert_eq!(table.by_id.len(), model.len());
        for (id, (_, is_live, _)) in model {
            let found = table.get(*id).expect("it is held");
            assert_eq!(matches!(found, State::Live(_)), *is_live);
        }
        for subject in ["alice", "bob", "carol"] {
            let listed: BTreeSet<_> = table.sessions_of(subject).map(|(id, _)| id).collect();
            let expected: BTreeSet<_> = model
                .iter()
                .filter(|(_, (owner, is_live, _))| *is_live && *owner == Some(subject))
                .map(|(id, _)| *id)
                .collect();
            assert_eq!(listed, expected);
        }
        let owned = model.values().filter(|(owner, ..)| owner.is_some());
        assert_eq!(table.by_subject.len(), owned.count());
        let first = table.first_due().map(|(due, ..)| due);
        assert_eq!(first, model.values().map(|(.., due)| *due).min());
    }

    #[test]
    fn agrees_with_plain_maps_under_any_order_of_operations() {
        let mut table = Table::default();
        let mut model = Model::new();
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for step in 0..6_000 {
            let id = model
                .keys()
                .nth(usize::try_from(next(model.len().max(1) as u64)).unwrap())
                .copied();
            let end = at(10 + next(1_000));
            let subject = [None, Some("alice"), Some("bob"), Some("carol")]
                [usize::try_from(next(4)).unwrap()];
            // Grows to some hundreds, then shrinks to few, again and again.
            let grows = step / 1_000 % 2 == 0;
            match (next(if grows { 4 } else { 8 }), id) {
                (0 | 1, _) | (_, None) => {
                    let id = SessionId::generate(Shard::new(1));
                    table.insert(id, record(subject, end));
                    model.insert(id, (subject, true, end));
                }
                (2, Some(id)) => {
                    let Some((owner, true, due)) = model.get(&id).copied() else {
                        continue;
                    };
                    table.replace(id, record(owner, end));
                    model.insert(id, (owner, true, due.min(end)));
                }
                (3, Some(id)) => {
                    let Some(State::Live(record)) = table.get(id) else {
                        continue;
                    };
                    let left = ended(record);
                    table.end(id, left, end);
                    model.insert(id, (None, false, end));
                }
                (4, Some(id)) => {
                    let end = match table.get(id) {
                        Some(State::Live(record)) => end.min(record.expires_at()),
                        _ => end,
                    };
                    table.postpone(id, end);
                    model.entry(id).and_modify(|(.., due)| *due = end);
                }
                (_, Some(id)) => {
                    assert!(table.remove(id).is_some());
                    assert!(table.remove(id).is_none());
                    model.remove(&id);
                }
            }
            assert_agrees(&table, &model);
        }
    }

    #[test]
    fn each_of_many_subjects_has_its_own_sessions_and_no_others() {
        let mut table = Table::default();
        let subjects: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
        for subject in &subjects {
            let id = SessionId::generate(Shard::new(1));
            table.insert(id, record(Some(subject), at(60)));
        }
        for subject in &subjects {
            let owners = table
                .sessions_of(subject)
                .map(|(_, record)| record.subject());
            assert_eq!(owners.collect::<Vec<_>>(), [Some(subject.as_str())]);
        }
    }

    #[test]
    fn memory_is_given_back_when_most_sessions_are_gone() {
        let mut table = Table::default();
        let ids: Vec<_> = (0..10_000)
            .map(|_| SessionId::generate(Shard::new(1)))
            .collect();
        for id in &ids {
            table.insert(*id, record(Some("alice"), at(60)));
        }
        let full = table.slots.capacity();
        assert!(full < 10_700, "room for a sixteenth more at most");
        for id in &ids[10..] {
            table.remove(*id);
        }
        assert!(table.slots.capacity() <= SMALL);
        assert!(table.by_id.capacity() <= SMALL * 2);
        assert!(table.by_subject.capacity() <= SMALL * 2);
        assert_eq!(table.sessions_of("alice").count(), 10);
    }

    #[test]
    fn a_slot_is_an_id_and_a_pointer_to_a_record() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
