//! One session as a replica keeps it: the packed record that answers are made of, and beside it what
//! the lattice needs to know besides.

use session_core::{Ended, REMEMBERED, Record, Timestamp};

use super::clock::Stamp;
use super::secrets::Secret;
use super::state::{Birth, Dead, LastChange, Live, Register, State};
use crate::wire::{Reader, Writer, read_live, write_live};

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
    /// Of the birth, of the latest change, of each secret and of each entry, in the order of the record.
    stamps: Box<[[u8; 10]]>,
    /// Registers that have no place in a record, as they travel. Mostly nothing.
    rest: Box<[u8]>,
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

fn pack_stamp(stamp: Stamp) -> [u8; 10] {
    let mut bytes = [0; 10];
    let (time, writer) = bytes.split_at_mut(8);
    time.copy_from_slice(&stamp.time.to_be_bytes());
    writer.copy_from_slice(&stamp.writer.to_be_bytes());
    bytes
}

const fn unpack_stamp(bytes: [u8; 10]) -> Stamp {
    let [a, b, c, d, e, f, g, h, high, low] = bytes;
    Stamp {
        time: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        writer: u16::from_be_bytes([high, low]),
    }
}

impl Packed {
    fn of(live: &Live) -> Option<Self> {
        let record = live.record()?;
        let shown = live.secrets.shown();
        let born = live.birth.as_ref()?.stamp;
        let mut stamps = vec![pack_stamp(born), pack_stamp(live.change.stamp)];
        stamps.extend(shown.iter().map(|secret| pack_stamp(secret.issued)));
        let present = live.entries.values().filter(|it| it.value.is_some());
        stamps.extend(present.map(|register| pack_stamp(register.stamp)));
        Some(Self {
            stamps: stamps.into(),
            rest: rest_of(live, &record, &shown),
            record,
        })
    }

    /// The stamp of the session's birth.
    pub(crate) fn born(&self) -> Stamp {
        self.stamps
            .first()
            .copied()
            .map_or(Stamp::ZERO, unpack_stamp)
    }

    /// As registers again.
    pub(crate) fn unpack(&self) -> Live {
        let header = self.record.header();
        let mut stamps = self.stamps.iter().copied().map(unpack_stamp);
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
        if !self.rest.is_empty() {
            let mut rest = Reader::new(&self.rest);
            // Written by this replica: it reads as it was written.
            if let Ok(rest) = read_live(&mut rest) {
                live.join(&rest);
            }
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
        self.unpack().until
    }

    pub(crate) fn len(&self) -> usize {
        self.record.as_bytes().len() + self.stamps.len() * 10 + self.rest.len()
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
