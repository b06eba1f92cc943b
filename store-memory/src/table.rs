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
const SMALL: usize = 32;

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
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.state = State::Live(record);
        }
        if self.queue.due(at).is_some_and(|before| due < before) {
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

    /// What may go first, and when.
    pub(crate) fn first_due(&self) -> Option<(Timestamp, SessionId, &State)> {
        let (due, at) = self.queue.first()?;
        let slot = self.slot(at)?;
        Some((due, slot.id, &slot.state))
    }

    /// Corrects when `id` may go.
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
