//! One session as a replica keeps it: the packed record that answers are made of, and beside it what
//! the lattice needs to know besides.

use session_core::{Ended, REMEMBERED, Record, Timestamp};

use super::clock::Stamp;
use super::secrets::Secret;
use super::state::{Birth, Dead, LastChange, Live, Register, State};
use crate::wire::{Reader, WireError, Writer, read_live, write_live};

/// What is kept under an id.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// A session, live until it expires.
    Live(Packed),
    /// Parts that came before the birth of their session.
    Part(Box<Live>),
    /// What is left of a session that ended.
    Dead(Tombstone),
}

/// A session: its record, the stamps of what stands in it, and what does not.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) record: Record,
    /// The stamps of the birth, of the latest change, of each secret and of each entry, in the order of the
    /// record; behind them the registers that have no place in a record, as they travel, mostly none.
    beside: Box<[u8]>,
}

/// What is left of a session that ended.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) until: Timestamp,
    /// When this replica learned of it, by its hybrid clock.
    pub(crate) time: u64,
    /// What a late request is told from a forged one by, for a minute.
    pub(crate) ended: Option<Box<Ended>>,
}

impl Cell {
    /// Packs what is known; `None` if a record cannot hold it, which no node makes.
    pub(crate) fn pack(live: Live) -> Self {
        match Packed::of(&live) {
            Some(packed) => Self::Live(packed),
            None => Self::Part(Box::new(live)),
        }
    }

    /// All that is known.
    pub(crate) fn state(&self) -> State {
        match self {
            Self::Live(packed) => State::Live(Box::new(packed.unpack())),
            Self::Part(live) => State::Live(live.clone()),
            Self::Dead(tombstone) => State::Dead(Dead {
                until: tombstone.until,
            }),
        }
    }

    /// Until when some copy of the session could live.
    pub(crate) fn until(&self) -> Timestamp {
        match self {
            Self::Live(packed) => packed.until(),
            Self::Part(live) => live.until,
            Self::Dead(tombstone) => tombstone.until,
        }
    }

    pub(crate) const fn record(&self) -> Option<&Record> {
        match self {
            Self::Live(packed) => Some(&packed.record),
            Self::Part(_) | Self::Dead(_) => None,
        }
    }
}

impl Tombstone {
    /// What is remembered of the session at `now`.
    pub(crate) fn remembered(&self, now: Timestamp) -> Option<&Ended> {
        self.ended
            .as_deref()
            .filter(|ended| now < ended.at + REMEMBERED)
    }
}

/// Writes each stamp that there is once, since most are the same, and, if there are several, which of them
/// each register has.
fn write_stamps(stamps: &[Stamp], writer: &mut Writer) {
    let mut distinct = stamps.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    writer.len(distinct.len());
    for stamp in &distinct {
        writer.stamp(*stamp);
    }
    if distinct.len() > 1 {
        for stamp in stamps {
            writer.len(distinct.binary_search(stamp).unwrap_or_default());
        }
    }
}

/// The stamps of so many registers.
fn read_stamps(reader: &mut Reader<'_>, registers: usize) -> Result<Vec<Stamp>, WireError> {
    let count = reader.len()?;
    let distinct = (0..count)
        .map(|_| reader.stamp())
        .collect::<Result<Vec<_>, _>>()?;
    let mut next = |_| {
        let which = if count > 1 {
            usize::try_from(reader.number()?).unwrap_or(usize::MAX)
        } else {
            0
        };
        Ok(distinct.get(which).copied().unwrap_or_default())
    };
    (0..registers).map(&mut next).collect()
}

impl Packed {
    fn of(live: &Live) -> Option<Self> {
        let record = live.record()?;
        let shown = live.secrets.shown();
        let born = live.birth.as_ref()?.stamp;
        let mut stamps = vec![born, live.change.stamp];
        stamps.extend(shown.iter().map(|secret| secret.issued));
        let present = live.entries.values().filter(|it| it.value.is_some());
        stamps.extend(present.map(|register| register.stamp));
        let mut beside = Writer::default();
        write_stamps(&stamps, &mut beside);
        beside.bytes(&rest_of(live, &record, &shown));
        Some(Self {
            beside: beside.into_bytes().into(),
            record,
        })
    }

    /// The stamps, and the registers that have no place in the record. Written by this replica, so they
    /// read as they were written.
    fn beside(&self) -> (Vec<Stamp>, &[u8]) {
        let registers = 2 + self.record.slots().count() + self.record.entries().count();
        let mut reader = Reader::new(&self.beside);
        let stamps = read_stamps(&mut reader, registers).unwrap_or_default();
        (stamps, reader.rest())
    }

    /// The stamp of the session's birth.
    pub(crate) fn born(&self) -> Stamp {
        let (stamps, _) = self.beside();
        stamps.first().copied().unwrap_or_default()
    }

    /// As registers again.
    pub(crate) fn unpack(&self) -> Live {
        let header = self.record.header();
        let (stamps, rest) = self.beside();
        let mut stamps = stamps.into_iter();
        let mut next = || stamps.next().unwrap_or_default();
        let mut live = Live::bottom(header.deadline);
        live.deadline = header.deadline;
        live.last_seen = header.last_seen_at;
        live.birth = Some(Birth {
            stamp: next(),
            created_at: header.created_at,
            idle: header.idle,
            renewal: header.renewal,
            owner: header.owner,
            predecessor: header.predecessor,
        });
        let changed = next();
        live.secrets.list = header
            .slots
            .iter()
            .map(|slot| Secret {
                issued: next(),
                slot: *slot,
            })
            .collect();
        for (name, value) in self.record.entries() {
            let register = Register {
                stamp: next(),
                value: Some(value.into()),
            };
            // Names of a record were checked when it was made.
            if let Ok(name) = name.parse() {
                live.entries.insert(name, register);
            }
        }
        if !rest.is_empty()
            && let Ok(rest) = read_live(&mut Reader::new(rest))
        {
            live.join(&rest);
        }
        if live.change == LastChange::default() {
            live.change = LastChange {
                stamp: changed,
                revision: header.revision.to_u64(),
                content: live.content(),
            };
        }
        live
    }

    /// Until when some copy of the session could live.
    pub(crate) fn until(&self) -> Timestamp {
        let (_, rest) = self.beside();
        let rest = (!rest.is_empty()).then(|| read_live(&mut Reader::new(rest)));
        match rest {
            Some(Ok(rest)) => rest.until.max(self.record.deadline()),
            _ => self.record.deadline(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.record.as_bytes().len() + self.beside.len()
    }
}

/// What `record` does not say of `live`, as it travels; nothing if it says all.
fn rest_of(live: &Live, record: &Record, shown: &[Secret]) -> Box<[u8]> {
    let mut rest = Live::bottom(live.until);
    if live.is_settled {
        rest.is_settled = true;
        rest.birth.clone_from(&live.birth);
    }
    rest.seen.clone_from(&live.seen);
    rest.cleared = live.cleared;
    let removed = live.entries.iter().filter(|(_, it)| it.value.is_none());
    rest.entries = removed
        .map(|(name, register)| (name.clone(), register.clone()))
        .collect();
    rest.secrets.clone_from(&live.secrets);
    rest.secrets.list.retain(|secret| !shown.contains(secret));
    if record.revision().to_u64() != live.change.revision {
        rest.change = live.change;
    }
    rest.opaque.clone_from(&live.opaque);
    let says_all = rest == Live::bottom(live.until) && live.until == record.deadline();
    if says_all {
        return Box::default();
    }
    let mut writer = Writer::default();
    write_live(&rest, &mut writer);
    writer.into_bytes().into()
}
