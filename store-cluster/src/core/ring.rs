//! The latest operations of this replica, encoded once for all peers.

use std::collections::VecDeque;

use bytes::Bytes;

/// Operations in the order of their numbers. When they take more than the bound, the oldest go, and a
/// peer that still needs them is sent whole states instead. So memory is bounded in total, however many
/// peers are slow.
#[derive(Debug)]
pub(crate) struct Ring {
    ops: VecDeque<Bytes>,
    first: u64,
    bytes: usize,
    max_bytes: usize,
}

impl Ring {
    pub(crate) const fn new(max_bytes: usize) -> Self {
        Self {
            ops: VecDeque::new(),
            first: 1,
            bytes: 0,
            max_bytes,
        }
    }

    /// Takes the operation that follows.
    pub(crate) fn push(&mut self, op: Bytes) {
        self.bytes += op.len();
        self.ops.push_back(op);
        while self.bytes > self.max_bytes {
            self.drop_first();
        }
    }

    /// Lets go of what every peer has.
    pub(crate) fn drop_until(&mut self, seq: u64) {
        while self.first <= seq && !self.ops.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(op) = self.ops.pop_front() {
            self.bytes -= op.len();
            self.first += 1;
        }
    }

    /// The operations from number `seq` on; `None` if some of them are gone.
    pub(crate) fn from(&self, seq: u64) -> Option<impl Iterator<Item = &Bytes>> {
        let skip = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        Some(self.ops.iter().skip(skip))
    }

    /// The number of the oldest operation that is kept, or would be.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    #[cfg(test)]
    const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_and_is_known_to_be_gone() {
        let mut ring = Ring::new(10);
        for byte in 0..4 {
            ring.push(Bytes::from(vec![byte; 4]));
        }
        assert!(ring.from(2).is_none());
        assert_eq!(ring.from(3).unwrap().count(), 2);
        assert_eq!(ring.from(5).unwrap().count(), 0);
        ring.drop_until(3);
        assert_eq!(ring.bytes(), 4);
        assert!(ring.from(3).is_none());
    }
}
