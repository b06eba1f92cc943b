//! Entries, packed: an offset table, then names and values, sorted by name.

use std::ops::Range;

use super::layout::{Corrupt, put, u32_at};
use crate::name::check_name;

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
        let text = str::from_utf8(entries.data).map_err(|_| Corrupt("an entry is no text"))?;
        let mut last: Option<&str> = None;
        let mut end = 0;
        for row in 0..count {
            let (name_end, value_end) = entries.ends(row);
            if name_end < end || value_end < name_end {
                return Err(Corrupt("its entries overlap"));
            }
            // Texts end where characters do.
            let (Some(name), Some(_)) = (text.get(end..name_end), text.get(name_end..value_end))
            else {
                return Err(Corrupt("an entry is no text"));
            };
            check_name(name).map_err(|_| Corrupt("an entry's name is no name"))?;
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

    pub(super) const fn len(self) -> usize {
        self.table.len() / ROW
    }

    fn ends(self, row: usize) -> (usize, usize) {
        (
            u32_at(self.table, row * ROW),
            u32_at(self.table, row * ROW + 4),
        )
    }

    fn start(self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends(before).1)
    }

    pub(super) fn name_bytes(self, row: usize) -> &'a [u8] {
        self.data
            .get(self.start(row)..self.ends(row).0)
            .unwrap_or_default()
    }

    fn value_bytes(self, row: usize) -> &'a [u8] {
        let (name_end, value_end) = self.ends(row);
        self.data.get(name_end..value_end).unwrap_or_default()
    }

    fn row(self, row: usize) -> Option<(&'a str, &'a str)> {
        Some((
            str::from_utf8(self.name_bytes(row)).ok()?,
            str::from_utf8(self.value_bytes(row)).ok()?,
        ))
    }

    /// The row of a name; or the one that it would come before.
    pub(super) fn place(self, name: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.name_bytes(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        let row = self.place(name.as_bytes()).ok()?;
        self.row(row).map(|(_, value)| value)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        (0..self.len()).filter_map(move |row| self.row(row))
    }

    /// Neighbouring rows, to be copied.
    pub(super) fn run(self, rows: Range<usize>) -> Run<'a> {
        let (start, end) = (self.start(rows.start), self.start(rows.end));
        Run::Stored {
            table: self
                .table
                .get(rows.start * ROW..rows.end * ROW)
                .unwrap_or_default(),
            start,
            data: self.data.get(start..end).unwrap_or_default(),
        }
    }
}

/// What packed entries are made of, in the order of their names.
#[derive(Clone, Copy)]
pub(super) enum Run<'a> {
    /// Entries that stand beside each other in another block.
    Stored {
        table: &'a [u8],
        /// Where their data begins there.
        start: usize,
        data: &'a [u8],
    },
    /// One entry: its name and its value.
    New(&'a str, &'a str),
}

impl Run<'_> {
    /// How many entries it is.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Stored { table, .. } => table.len() / ROW,
            Self::New(..) => 1,
        }
    }

    /// How many bytes their names and values have.
    pub(super) const fn data_len(self) -> usize {
        match self {
            Self::Stored { data, .. } => data.len(),
            Self::New(name, value) => name.len() + value.len(),
        }
    }
}

/// How many bytes [`pack_into`] packs.
pub(super) fn packed_len<'a>(runs: impl Iterator<Item = Run<'a>>) -> usize {
    COUNT
        + runs
            .map(|run| ROW * run.count() + run.data_len())
            .sum::<usize>()
}

/// Packs entries, which stand in the order of their names.
///
/// A session's bounds keep every length within 32 bits.
pub(super) fn pack_into<'a>(runs: impl Iterator<Item = Run<'a>> + Clone, rest: &mut &mut [u8]) {
    let mut push = |number: usize| {
        put(
            rest,
            &u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes(),
        );
    };
    push(runs.clone().map(Run::count).sum());
    let mut at = 0;
    for run in runs.clone() {
        match run {
            Run::Stored { table, start, .. } => {
                for end in table.as_chunks().0 {
                    push(u32::from_be_bytes(*end) as usize - start + at);
                }
            }
            Run::New(name, _) => {
                push(at + name.len());
                push(at + run.data_len());
            }
        }
        at += run.data_len();
    }
    for run in runs {
        match run {
            Run::Stored { data, .. } => {
                put(rest, data);
            }
            Run::New(name, value) => {
                put(rest, name.as_bytes());
                put(rest, value.as_bytes());
            }
        }
    }
}
