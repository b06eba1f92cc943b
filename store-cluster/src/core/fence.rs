//! Fences: which revokes of a subject took effect, and which of them a session began after.

use std::collections::BTreeMap;

use session_core::Timestamp;

use super::clock::Incarnation;

/// A set of revokes: per node that revoked, the number of its latest. A node's revokes are known in
/// their order, so the latest stands for all.
///
/// No clock takes part: a sign-in is after a revoke if its ticket had seen it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revokes(pub(crate) BTreeMap<Incarnation, u64>);

impl Revokes {
    pub(crate) fn one(origin: Incarnation, seq: u64) -> Self {
        Self(BTreeMap::from([(origin, seq)]))
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (origin, seq) in &other.0 {
            let known = self.0.entry(*origin).or_default();
            *known = (*known).max(*seq);
        }
    }

    /// Whether all of these are in `seen`.
    pub(crate) fn is_within(&self, seen: &Self) -> bool {
        let known = |origin| seen.0.get(origin).copied().unwrap_or_default();
        self.0.iter().all(|(origin, seq)| *seq <= known(origin))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the bytes of a ticket's fence.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let pair = |(origin, seq): (&Incarnation, &u64)| {
            [origin.0.to_be_bytes(), seq.to_be_bytes()].concat()
        };
        self.0.iter().flat_map(pair).collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let (pairs, odd) = numbers.as_chunks::<2>();
        if !rest.is_empty() || !odd.is_empty() {
            return None;
        }
        let number = |[origin, seq]: &[[u8; 8]; 2]| {
            (
                Incarnation(u64::from_be_bytes(*origin)),
                u64::from_be_bytes(*seq),
            )
        };
        Some(Self(pairs.iter().map(number).collect()))
    }
}

/// The fence of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) revokes: Revokes,
    /// Until when a session that it ends could live: so long it is kept.
    pub(crate) until: Timestamp,
}

impl Fence {
    pub(crate) fn join(&mut self, other: &Self) {
        self.revokes.join(&other.revokes);
        self.until = self.until.max(other.until);
    }
}
