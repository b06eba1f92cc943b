//! In which order sessions were invalidated and what is known of them began to be known.

use std::sync::atomic::{AtomicU64, Ordering};

use session_core::SessionId;

/// How many places there are for ids, of eight bytes each. Two that share one are invalidated together,
/// which costs a load: with fewer places than writes within a copy's age, most copies would be lost to others.
const PLACES: usize = 1 << 18;

/// A place in the order: what began at it has seen every invalidation up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

/// Numbers that only grow: the latest, that of the last invalidation of all, and those of single ids.
///
/// Whatever began before a number is no longer good. So no copy that is late, by whatever interleaving,
/// can be taken for a good one: it carries the number that it began at.
#[derive(Debug)]
pub(crate) struct Marks {
    latest: AtomicU64,
    all: AtomicU64,
    by_id: Box<[AtomicU64]>,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            all: AtomicU64::new(0),
            by_id: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What begins now, whatever its end.
    pub(crate) fn begin(&self) -> Mark {
        Mark(self.latest.load(Ordering::SeqCst))
    }

    /// Whether nothing was invalidated since that concerns `id`.
    pub(crate) fn is_good(&self, id: SessionId, began: Mark) -> bool {
        self.last_of(id).load(Ordering::SeqCst) <= began.0
            && self.all.load(Ordering::SeqCst) <= began.0
    }

    /// What is known of `id`, or being learnt, is no longer good.
    pub(crate) fn invalidate(&self, id: SessionId) {
        self.last_of(id).fetch_max(self.next(), Ordering::SeqCst);
    }

    /// Nothing that is known, or being learnt, is good any more.
    pub(crate) fn invalidate_all(&self) {
        self.all.fetch_max(self.next(), Ordering::SeqCst);
    }

    /// As [`invalidate`](Self::invalidate), by who made a change that `began`, and knows what came of it.
    /// That is good from now on, at the mark returned, unless something else came between.
    pub(crate) fn replace(&self, id: SessionId, began: Mark) -> Option<Mark> {
        let next = self.next();
        let before = self.last_of(id).fetch_max(next, Ordering::SeqCst);
        if before <= began.0 && self.all.load(Ordering::SeqCst) <= began.0 {
            return Some(Mark(next));
        }
        // Who came between may have taken a greater number, and does not know of this change.
        self.invalidate(id);
        None
    }

    fn next(&self) -> u64 {
        self.latest.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder by the number of places"
    )]
    fn last_of(&self, id: SessionId) -> &AtomicU64 {
        // The last bytes of an id are random.
        let [.., a, b, c, d] = *id.as_bytes();
        &self.by_id[u32::from_be_bytes([a, b, c, d]) as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use session_core::Shard;

    use super::*;

    fn ids() -> (SessionId, SessionId) {
        let id = |text: &str| text.parse().unwrap();
        (
            id("beef0123456789abcdef0123456789ab"),
            id("beef0123456789abcdef0123456789ac"),
        )
    }

    #[test]
    fn what_began_before_an_invalidation_is_not_good_after_it() {
        let (marks, (one, other)) = (Marks::new(), ids());
        let began = marks.begin();
        assert!(marks.is_good(one, began));
        marks.invalidate(one);
        assert!(!marks.is_good(one, began));
        assert!(marks.is_good(other, began));
        assert!(marks.is_good(one, marks.begin()));
        marks.invalidate_all();
        assert!(!marks.is_good(other, began));
        assert!(marks.is_good(one, marks.begin()));
    }

    #[test]
    fn a_change_alone_replaces_what_was_known_and_overlapping_ones_leave_nothing() {
        let (marks, (id, _)) = (Marks::new(), ids());
        let before = marks.begin();
        let mark = marks.replace(id, before).unwrap();
        assert!(!marks.is_good(id, before));
        assert!(marks.is_good(id, mark));

        let (one, two) = (marks.begin(), marks.begin());
        let first = marks.replace(id, one).unwrap();
        assert_eq!(marks.replace(id, two), None);
        assert!(!marks.is_good(id, first));
        assert!(marks.is_good(id, marks.begin()));
    }

    #[test]
    fn a_change_during_which_its_session_ended_leaves_nothing() {
        let marks = Marks::new();
        for invalidate in [Marks::invalidate as fn(&Marks, SessionId), |marks, _| {
            marks.invalidate_all();
        }] {
            let id = SessionId::generate(Shard::random());
            let began = marks.begin();
            invalidate(&marks, id);
            assert_eq!(marks.replace(id, began), None);
        }
    }
}
