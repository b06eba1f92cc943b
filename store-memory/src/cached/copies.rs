//! Copies of live sessions, as the source last gave them.

use std::time::Duration;

use moka::sync::Cache;
use session_core::{Record, SessionId};

use super::marks::{Mark, Marks};
use super::moment::Moment;
use crate::capacity::Usage;

/// A session as it was at the source.
#[derive(Clone, Debug)]
struct Copy {
    record: Record,
    began: Beginning,
}

/// When something was asked of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    mark: Mark,
    at: Moment,
}

/// Copies of live sessions, bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct Copies {
    held: Cache<SessionId, Copy>,
    marks: Marks,
    max_age: Duration,
}

/// What a copy takes besides what it would take in a store: the cache's own.
const PLACE: usize = 200;

impl Copies {
    pub(crate) fn new(max_copies: usize, max_bytes: usize, max_age: Duration) -> Self {
        // One bound for both: a copy counts as at least its share of the bytes.
        let share = max_bytes / max_copies.max(1);
        let weigh = move |_: &SessionId, copy: &Copy| {
            let bytes = Usage::of(&copy.record).bytes + PLACE;
            u32::try_from(bytes.max(share)).unwrap_or(u32::MAX)
        };
        let held = Cache::builder()
            .max_capacity(u64::try_from(max_bytes).unwrap_or(u64::MAX))
            .weigher(weigh)
            .time_to_live(max_age)
            .build();
        Self {
            held,
            marks: Marks::new(),
            max_age,
        }
    }

    /// A load begins.
    pub(crate) fn begin(&self, now: Moment) -> Beginning {
        Beginning {
            mark: self.marks.begin(),
            at: now,
        }
    }

    /// A change of a session begins.
    pub(crate) fn begin_write(&self, id: SessionId, now: Moment) -> Write<'_> {
        Write {
            copies: self,
            id,
            began: self.begin(now),
        }
    }

    /// The copy of a session, if there is a good one and the session lives now.
    pub(crate) fn get(&self, id: SessionId, now: Moment) -> Option<Record> {
        let copy = self.held.get(&id)?;
        let is_good = self.marks.is_good(id, copy.began.mark)
            && now.is_before(copy.began.at.plus(self.max_age))
            && copy.record.is_live(now.time);
        is_good.then_some(copy.record)
    }

    /// Holds what a load gave, unless the session was invalidated since the load began.
    pub(crate) fn install(&self, id: SessionId, record: Record, began: Beginning) {
        if self.marks.is_good(id, began.mark) {
            self.held.insert(id, Copy { record, began });
        }
    }

    /// Has no copy answered from that began before now.
    pub(crate) fn invalidate(&self, id: SessionId) {
        self.marks.invalidate(id);
        self.held.invalidate(&id);
    }

    pub(crate) fn invalidate_all(&self) {
        self.marks.invalidate_all();
        self.held.invalidate_all();
    }

    /// How many there are, as far as is known.
    pub(crate) fn count(&self) -> u64 {
        self.held.entry_count()
    }
}

/// A change under way. Whatever comes of it, also if its future is dropped, what was known of the session
/// before is not good after it.
#[derive(Debug)]
#[must_use = "what it changes is invalidated when it is dropped"]
pub(crate) struct Write<'a> {
    copies: &'a Copies,
    id: SessionId,
    began: Beginning,
}

impl Write<'_> {
    /// The change gave this record, which is held unless something else happened to the session meanwhile.
    pub(crate) fn gave(self, record: &Record) {
        let Self { copies, id, began } = self;
        // It is over: what follows is its end.
        std::mem::forget(self);
        match copies.marks.replace(id, began.mark) {
            Some(mark) => {
                let began = Beginning { mark, ..began };
                copies.install(id, record.clone(), began);
            }
            None => copies.held.invalidate(&id),
        }
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.copies.invalidate(self.id);
    }
}
