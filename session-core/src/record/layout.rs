//! Where everything stands in a packed record. Version 1, integers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | number of secrets, at most 4 |
//! | 2 | flags: 1 the session has an owner, 2 it has a predecessor |
//! | 3 | zero |
//! | 4..8 | where the entries begin |
//! | 8..16 | revision |
//! | 16..24, 24..32, 32..40 | created at, last seen at, deadline: milliseconds since 1970 |
//! | 40..48, 48..56 | idle timeout, renewal interval: milliseconds, 2^53 − 1 for none |
//! | 56.. | per secret: hash 32, issued at 8, accepted until 8, standing 1 |
//! | then, with an owner | ticket's nonce 8, attempt 4, length of the subject 1, subject |
//! | then, with a predecessor | its id 16 |
//! | then | the entries: their number 4; per entry the end of its name 4 and of its value 4, counted from the end of this table; names and values, sorted by name |

use std::sync::Arc;
use std::time::Duration;

use super::secrets::{Slot, Standing};
use crate::id::SessionId;
use crate::time::{Timestamp, whole_millis};
use crate::token::SecretHash;

pub(super) const VERSION: u8 = 1;
pub(super) const FIXED: usize = 56;
pub(super) const SLOT: usize = 32 + 8 + 8 + 1;
pub(super) const MAX_SLOTS: usize = 4;
pub(super) const OWNER: u8 = 1;
pub(super) const PREDECESSOR: u8 = 2;

/// Offsets of the fixed fields.
pub(super) mod at {
    pub(crate) const SLOTS: usize = 1;
    pub(crate) const FLAGS: usize = 2;
    pub(crate) const ENTRIES: usize = 4;
    pub(crate) const REVISION: usize = 8;
    pub(crate) const CREATED: usize = 16;
    pub(crate) const LAST_SEEN: usize = 24;
    pub(crate) const DEADLINE: usize = 32;
    pub(crate) const IDLE: usize = 40;
    pub(crate) const RENEWAL: usize = 48;
}

/// A stored record that is of another version, cut short, or contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored record is corrupt: {0}")]
pub struct Corrupt(pub(super) &'static str);

/// Which instants of a record a step stamped, and thus depend on the clock that it read.
///
/// A store whose server reads the clock applies a change with an assumed "now", sends the record with
/// these, and lets the server move the named instants by what its clock differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps(u16);

impl Stamps {
    pub(super) const CREATED: Self = Self(1);
    pub(super) const LAST_SEEN: Self = Self(1 << 1);
    pub(super) const DEADLINE: Self = Self(1 << 2);

    pub(super) const fn issued(slot: usize) -> Self {
        Self(1 << (3 + slot * 2))
    }

    pub(super) const fn accepted_until(slot: usize) -> Self {
        Self(1 << (4 + slot * 2))
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Forgets a slot that was removed; those after it move up.
    pub(super) fn forget_slot(&mut self, slot: usize) {
        let below = (1 << (3 + slot * 2)) - 1;
        self.0 = self.0 & below | self.0 >> 2 & !below;
    }

    /// Whether no instant was stamped.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Where the stamped instants stand in the packed record: each eight bytes, big-endian.
    pub fn offsets(self) -> impl Iterator<Item = usize> {
        (0..3 + MAX_SLOTS * 2)
            .filter(move |bit| self.0 & (1 << bit) != 0)
            .map(|bit| match bit {
                0 => at::CREATED,
                1 => at::LAST_SEEN,
                2 => at::DEADLINE,
                bit => FIXED + (bit - 3) / 2 * SLOT + 32 + (bit - 3) % 2 * 8,
            })
    }
}

pub(super) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or_default()
}

pub(super) fn chunk_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> usize {
    chunk_at(bytes, offset).map_or(0, |chunk| u32::from_be_bytes(chunk) as usize)
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    chunk_at(bytes, offset).map_or(0, u64::from_be_bytes)
}

pub(super) fn instant_at(bytes: &[u8], offset: usize) -> Timestamp {
    Timestamp::from_millis(u64_at(bytes, offset))
}

pub(super) fn duration_at(bytes: &[u8], offset: usize) -> Option<Duration> {
    let millis = u64_at(bytes, offset);
    (millis < Timestamp::MAX.as_millis()).then(|| Duration::from_millis(millis))
}

pub(super) fn duration_millis(duration: Option<Duration>) -> u64 {
    duration.map_or(Timestamp::MAX.as_millis(), whole_millis)
}

/// A buffer of `len` bytes that `pack` fills from its beginning, made where it stays.
pub(super) fn packed(len: usize, pack: impl FnOnce(&mut &mut [u8])) -> Arc<[u8]> {
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    if let Some(mut rest) = Arc::get_mut(&mut bytes) {
        pack(&mut rest);
    }
    bytes
}

/// Packs `part` as what comes next; gives where it stands.
pub(super) fn put<'a>(rest: &mut &'a mut [u8], part: &[u8]) -> &'a mut [u8] {
    let place = rest.split_off_mut(..part.len()).unwrap_or_default();
    if place.len() == part.len() {
        place.copy_from_slice(part);
    }
    place
}

pub(super) fn shift(bytes: &mut [u8], offset: usize, delta: i64) {
    let moved = instant_at(bytes, offset)
        .shifted(delta)
        .as_millis()
        .to_be_bytes();
    if let Some(field) = bytes.get_mut(offset..offset + moved.len()) {
        field.copy_from_slice(&moved);
    }
}

pub(super) fn entries_at(bytes: &[u8]) -> usize {
    u32_at(bytes, at::ENTRIES)
}

pub(super) fn has_owner(bytes: &[u8]) -> bool {
    u8_at(bytes, at::FLAGS) & OWNER != 0
}

/// Where the part after the secrets begins.
pub(super) fn owner_at(bytes: &[u8]) -> usize {
    FIXED + SLOT * usize::from(u8_at(bytes, at::SLOTS))
}

pub(super) fn subject(bytes: &[u8]) -> Option<&str> {
    if !has_owner(bytes) {
        return None;
    }
    let at = owner_at(bytes) + 12;
    let len = usize::from(u8_at(bytes, at));
    str::from_utf8(bytes.get(at + 1..at + 1 + len)?).ok()
}

pub(super) fn predecessor(bytes: &[u8]) -> Option<SessionId> {
    if u8_at(bytes, at::FLAGS) & PREDECESSOR == 0 {
        return None;
    }
    chunk_at(bytes, entries_at(bytes).checked_sub(16)?).map(SessionId::from_bytes)
}

pub(super) fn slots(bytes: &[u8]) -> impl Iterator<Item = Slot> + '_ {
    let packed = bytes.get(FIXED..owner_at(bytes)).unwrap_or_default();
    packed.as_chunks::<SLOT>().0.iter().map(read_slot)
}

fn read_slot(packed: &[u8; SLOT]) -> Slot {
    Slot {
        hash: SecretHash::from_bytes(chunk_at(packed, 0).unwrap_or_default()),
        issued_at: instant_at(packed, 32),
        accepted_until: instant_at(packed, 40),
        standing: Standing::from_u8(u8_at(packed, 48)),
    }
}

pub(super) fn write_slot(bytes: &mut Vec<u8>, slot: &Slot) {
    bytes.extend_from_slice(slot.hash.as_bytes());
    bytes.extend_from_slice(&slot.issued_at.as_millis().to_be_bytes());
    bytes.extend_from_slice(&slot.accepted_until.as_millis().to_be_bytes());
    bytes.push(slot.standing.to_u8());
}
