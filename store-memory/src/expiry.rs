//! The expiry queue: which slot may go first.

use session_core::Timestamp;

/// A binary heap of slots by the instant before which none needs to be looked at.
///
/// Slots are numbered from zero without gaps, and every slot is in the queue exactly once: a slot
/// that goes leaves at once, so the queue is never longer than what it is the queue of. A session that
/// is used stays where it is; its instant is corrected when its turn comes, so a touch costs nothing
/// here.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: Vec<Entry>,
    /// Per slot, where it stands in the heap.
    places: Vec<u32>,
}

/// Packed, as there is one for each session: aligned to eight bytes it would take a third more.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Entry {
    due: Timestamp,
    slot: u32,
}

impl Queue {
    /// The slot whose turn comes first, and when.
    pub(crate) fn first(&self) -> Option<(Timestamp, u32)> {
        self.heap.first().map(|entry| (entry.due, entry.slot))
    }

    /// Adds `slot`, which follows the last one.
    pub(crate) fn push(&mut self, slot: u32, due: Timestamp) {
        let place = self.heap.len();
        grow(&mut self.heap);
        grow(&mut self.places);
        self.heap.push(Entry { due, slot });
        self.places.push(slot);
        self.sift_up(place);
    }

    /// When it is `slot`'s turn.
    pub(crate) fn due(&self, slot: u32) -> Option<Timestamp> {
        self.heap.get(self.place(slot)?).map(|entry| entry.due)
    }

    /// Moves the turn of `slot`.
    pub(crate) fn set(&mut self, slot: u32, due: Timestamp) {
        if let Some(place) = self.place(slot)
            && let Some(entry) = self.heap.get_mut(place)
        {
            entry.due = due;
            self.sift(place);
        }
    }

    /// Removes `slot`. The last slot takes its number.
    pub(crate) fn swap_remove(&mut self, slot: u32) {
        let Some(place) = self.place(slot) else {
            return;
        };
        self.heap.swap_remove(place);
        self.note(place);
        self.sift(place);
        self.places.swap_remove(slot as usize);
        if let Some(place) = self.place(slot)
            && let Some(moved) = self.heap.get_mut(place)
        {
            moved.slot = slot;
        }
    }

    /// Gives back room for more than `len` slots.
    pub(crate) fn shrink_to(&mut self, len: usize) {
        self.heap.shrink_to(len);
        self.places.shrink_to(len);
    }

    fn place(&self, slot: u32) -> Option<usize> {
        self.places.get(slot as usize).map(|place| *place as usize)
    }

    fn sift(&mut self, place: usize) {
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let above = (place - 1) / 2;
            if !self.is_before(place, above) {
                break;
            }
            self.swap(place, above);
            place = above;
        }
        self.note(place);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (place * 2 + 1, place * 2 + 2);
            let first = if self.is_before(right, left) {
                right
            } else {
                left
            };
            if !self.is_before(first, place) {
                break;
            }
            self.swap(place, first);
            place = first;
        }
        self.note(place);
    }

    /// Whether there are two entries there and the one at `place` goes before the one at `other`.
    fn is_before(&self, place: usize, other: usize) -> bool {
        match (self.heap.get(place), self.heap.get(other)) {
            (Some(&Entry { due, .. }), Some(&Entry { due: other, .. })) => due < other,
            _ => false,
        }
    }

    fn swap(&mut self, place: usize, other: usize) {
        self.heap.swap(place, other);
        self.note(place);
        self.note(other);
    }

    /// Writes down that what stands at `place` stands there.
    fn note(&mut self, place: usize) {
        if let Some(entry) = self.heap.get(place)
            && let Some(noted) = self.places.get_mut(entry.slot as usize)
            && let Ok(place) = u32::try_from(place)
        {
            *noted = place;
        }
    }
}

/// Makes room for more by a sixteenth of what there is, and for 64 at the least. At a million sessions, what
/// larger steps leave unused and the holes that smaller ones leave behind are the difference between the memory
/// that they need and the memory they take.
pub(crate) fn grow<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 16).max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Numbers that look random, the same in every run.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    #[test]
    fn agrees_with_a_sorted_list_under_any_order_of_operations() {
        let mut next = numbers();
        let mut queue = Queue::default();
        let mut model: Vec<Timestamp> = Vec::new();
        for _ in 0..20_000 {
            let slot = next(model.len().max(1) as u64);
            let due = at(next(500));
            match next(5) {
                0 | 1 => {
                    queue.push(u32::try_from(model.len()).unwrap(), due);
                    model.push(due);
                }
                2 if !model.is_empty() => {
                    queue.set(u32::try_from(slot).unwrap(), due);
                    model[usize::try_from(slot).unwrap()] = due;
                }
                3 if !model.is_empty() => {
                    queue.swap_remove(u32::try_from(slot).unwrap());
                    model.swap_remove(usize::try_from(slot).unwrap());
                }
                4 if model.len() > 300 => {
                    let (_, slot) = queue.first().unwrap();
                    queue.swap_remove(slot);
                    model.swap_remove(slot as usize);
                }
                _ => {}
            }
            assert_eq!(queue.heap.len(), model.len());
            assert_eq!(
                queue.first().map(|(due, _)| due),
                model.iter().min().copied()
            );
            if let Some((due, slot)) = queue.first() {
                assert_eq!(model[slot as usize], due);
            }
            for (slot, due) in model.iter().enumerate().take(3) {
                assert_eq!(queue.due(u32::try_from(slot).unwrap()), Some(*due));
            }
        }
    }
}
