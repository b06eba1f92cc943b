//! A change of the contract as a part of the lattice, and the way of an operation from here to all.

use bytes::Bytes;
use session_core::{Change, NewRecord, Record, SessionId, SignInLimit, Ticket};

use super::clock::{Now, Stamp};
use super::effect::Effects;
use super::fence::Revokes;
use super::log::Key;
use super::replica::Replica;
use super::secrets::{Secret, Secrets};
use super::state::{Birth, LastChange, Live, Register, State};
use crate::wire::{Item, Writer, write_op};

impl Live {
    /// A session that begins with `record`, whose content is `new`.
    pub(crate) fn born(record: &Record, stamp: Stamp, seen: Revokes) -> Self {
        let header = record.header();
        let mut live = Self::bottom(header.deadline);
        live.deadline = header.deadline;
        live.last_seen = header.last_seen_at;
        live.seen = seen;
        live.secrets.list = header
            .slots
            .iter()
            .map(|slot| Secret {
                issued: stamp,
                slot: *slot,
            })
            .collect();
        for (name, value) in record.entries() {
            if let Ok(name) = name.parse() {
                let value = Some(value.into());
                live.entries.insert(name, Register { stamp, value });
            }
        }
        live.change = LastChange {
            stamp,
            revision: header.revision.to_u64(),
            content: live.content(),
        };
        live.birth = Some(Birth {
            stamp,
            created_at: header.created_at,
            idle: header.idle,
            renewal: header.renewal,
            owner: header.owner,
            predecessor: header.predecessor,
        });
        live
    }

    /// The part that makes of this session what `change` made of its record.
    pub(crate) fn changed(&self, change: &Change, after: &Record, stamp: Stamp) -> Self {
        let mut part = Self::bottom(self.until);
        if change.clears() {
            part.cleared = stamp;
        }
        for (name, value) in change.edits() {
            let value = value.as_ref().map(|value| value.as_str().into());
            part.entries.insert(name.clone(), Register { stamp, value });
        }
        if after.last_seen_at() > self.last_seen {
            part.last_seen = after.last_seen_at();
        }
        if after.deadline() < self.deadline {
            part.deadline = after.deadline();
        }
        part.is_settled = change.settles_predecessor();
        part.secrets = if change.promotion().is_some() || change.renewal().is_some() {
            self.secrets.change(after.slots(), stamp)
        } else {
            Secrets::default()
        };
        let mut made = self.clone();
        made.join(&part);
        part.change = LastChange {
            stamp,
            revision: change.revision().to_u64(),
            content: made.content(),
        };
        part
    }
}

impl Replica {
    /// The part with which a new session begins.
    pub(crate) fn birth(
        &mut self,
        now: Now,
        new: &NewRecord,
        ticket: Option<(&Ticket, Revokes)>,
        limit: Option<SignInLimit>,
    ) -> Live {
        let stamp = self.clock.stamp(now.wall);
        let mut live = match ticket {
            None => Live::born(&new.anonymous(now.wall).0, stamp, Revokes::default()),
            Some((ticket, seen)) => Live::born(&new.signed_in(ticket, now.wall).0, stamp, seen),
        };
        if let Some(limit) = limit {
            live.set_limit(limit);
        }
        live
    }

    /// Number of the next operation.
    pub(crate) fn next_seq(&self) -> u64 {
        self.known.get(&self.me()).copied().unwrap_or_default() + 1
    }

    /// Numbers an operation, keeps it for the peers, and joins it here: one step.
    pub(crate) fn commit(
        &mut self,
        now: Now,
        items: Vec<Item>,
        effects: &mut Effects,
    ) -> (u64, Vec<SessionId>) {
        let (me, seq) = (self.me(), self.next_seq());
        let mut writer = Writer::default();
        write_op(&items, &mut writer);
        self.ring.push(Bytes::from(writer.into_bytes()));
        for item in &items {
            self.logs.note(me, seq, Key::of(item));
        }
        self.known.insert(me, seq);
        let ended = self.integrate_own(now, items, effects);
        self.wake_all(effects);
        (seq, ended)
    }

    /// Tells of the touches since they were last told.
    pub(crate) fn tell_touches(&mut self, now: Now, effects: &mut Effects) {
        while !self.touched.is_empty() {
            let mut items = Vec::new();
            while items.len() < 1024
                && let Some((id, last_seen)) = self.touched.pop_first()
            {
                if let Some(record) = self.cells.record(id) {
                    let mut part = Live::bottom(record.deadline());
                    part.last_seen = last_seen;
                    items.push(Item::Session(id, State::Live(Box::new(part))));
                }
            }
            if !items.is_empty() {
                self.commit(now, items, effects);
            }
        }
    }
}
