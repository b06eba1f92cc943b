//! Entries, packed: an offset table, then names and values, sorted by name.

use super::layout::{Corrupt, u32_at};
use crate::name::EntryName;

/// A view of packed entries.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    table: &'a [u8],
    data: &'a [u8],
}

const COUNT: usize = 4;
const ROW: usize = 8;

impl<'a> Entries<'a> {
    /// A view of a block that [`Entries::checked`] has seen.
    pub(super) fn new(block: &'a [u8]) -> Self {
        let rest = block.get(COUNT..).unwrap_or_default();
        let table = ROW.saturating_mul(u32_at(block, 0)).min(rest.len());
        let (table, data) = rest.split_at_checked(table).unwrap_or_default();
        Self { table, data }
    }

    pub(super) fn checked(block: &'a [u8]) -> Result<Self, Corrupt> {
        let entries = Self::new(block);
        let count = u32_at(block, 0);
        if block.len() < COUNT || entries.table.len() != count.saturating_mul(ROW) {
            return Err(Corrupt("its entries are cut short"));
        }
        let mut last: Option<&str> = None;
        let mut end = 0;
        for row in 0..count {
            let (name_end, value_end) = entries.ends(row);
            if name_end < end || value_end < name_end {
                return Err(Corrupt("its entries overlap"));
            }
            let (name, _) = entries.row(row).ok_or(Corrupt("an entry is no text"))?;
            EntryName::new(name).map_err(|_| Corrupt("an entry's name is no name"))?;
            if last >= Some(name) {
                return Err(Corrupt("its entries are out of order"));
            }
            last = Some(name);
            end = value_end;
        }
        if end == entries.data.len() {
            Ok(entries)
        } else {
            Err(Corrupt("bytes are left over"))
        }
    }

    fn len(&self) -> usize {
        self.table.len() / ROW
    }

    fn ends(&self, row: usize) -> (usize, usize) {
        (
            u32_at(self.table, row * ROW),
            u32_at(self.table, row * ROW + 4),
        )
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends(before).1)
    }

    fn name_bytes(&self, row: usize) -> &'a [u8] {
        self.data
            .get(self.start(row)..self.ends(row).0)
            .unwrap_or_default()
    }

    fn value_bytes(&self, row: usize) -> &'a [u8] {
        let (name_end, value_end) = self.ends(row);
        self.data.get(name_end..value_end).unwrap_or_default()
    }

    fn row(&self, row: usize) -> Option<(&'a str, &'a str)> {
        Some((
            str::from_utf8(self.name_bytes(row)).ok()?,
            str::from_utf8(self.value_bytes(row)).ok()?,
        ))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.name_bytes(middle).cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.row(middle).map(|(_, value)| value),
            }
        }
        None
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        (0..self.len()).filter_map(move |row| self.row(row))
    }

    /// The same, not read as text: to be copied.
    pub(super) fn packed(self) -> impl ExactSizeIterator<Item = PackedEntry<'a>> {
        (0..self.len()).map(move |row| (self.name_bytes(row), self.value_bytes(row)))
    }
}

/// An entry's name and its value.
pub(super) type PackedEntry<'a> = (&'a [u8], &'a [u8]);

/// How many bytes [`pack_into`] adds.
pub(super) fn packed_len<T: AsRef<[u8]>>(entries: &[(T, T)]) -> usize {
    COUNT
        + entries
            .iter()
            .map(|(name, value)| ROW + name.as_ref().len() + value.as_ref().len())
            .sum::<usize>()
}

/// Appends `entries`, which stand in the order of their names.
///
/// A session's bounds keep every length within 32 bits.
pub(super) fn pack_into<T: AsRef<[u8]>>(bytes: &mut Vec<u8>, entries: &[(T, T)]) {
    let mut push = |len: usize| {
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    };
    push(entries.len());
    let mut end = 0;
    for (name, value) in entries {
        let (name, value) = (name.as_ref(), value.as_ref());
        push(end + name.len());
        end += name.len() + value.len();
        push(end);
    }
    for (name, value) in entries {
        bytes.extend_from_slice(name.as_ref());
        bytes.extend_from_slice(value.as_ref());
    }
}
