//! A record's header, unpacked: what a store may keep as columns.

use std::sync::Arc;
use std::time::Duration;

use super::layout::{self, Corrupt, at};
use super::secrets::Slot;
use crate::change::Revision;
use crate::id::SessionId;
use crate::name::{Subject, check_name};
use crate::time::Timestamp;

/// Everything of a record but its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What the last change but a pure touch set.
    pub revision: Revision,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When it was last used, to within the touch interval.
    pub last_seen_at: Timestamp,
    /// Its absolute deadline.
    pub deadline: Timestamp,
    /// How long it lives unused.
    pub idle: Option<Duration>,
    /// How old a secret grows before a signed-in session is given a new one.
    pub renewal: Option<Duration>,
    /// Its secrets, in the order of their issue: at most four.
    pub slots: Vec<Slot>,
    /// Whom it belongs to; nobody if it is anonymous.
    pub owner: Option<Owner>,
    /// The session that it replaces, until that one's end is confirmed.
    pub predecessor: Option<SessionId>,
}

/// Whom a session belongs to, and under which ticket it was signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The subject.
    pub subject: Subject,
    /// The nonce of the ticket.
    pub nonce: u64,
    /// Which try under that ticket made the session, counted from 1.
    pub attempt: u32,
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::MIN
    }
}

impl Header {
    /// Checks that a buffer begins with a header, and with one that would be packed the same again.
    pub(super) fn check(bytes: &[u8]) -> Result<(), Corrupt> {
        if layout::u8_at(bytes, 0) != layout::VERSION {
            return Err(Corrupt("its version is unknown"));
        }
        if usize::from(layout::u8_at(bytes, at::SLOTS)) > layout::MAX_SLOTS {
            return Err(Corrupt("it has more than four secrets"));
        }
        let flags = layout::u8_at(bytes, at::FLAGS);
        if flags & !(layout::OWNER | layout::PREDECESSOR) != 0 || layout::u8_at(bytes, 3) != 0 {
            return Err(Corrupt("it has unknown flags"));
        }
        let mut len = layout::owner_at(bytes);
        if layout::has_owner(bytes) {
            let subject = layout::subject(bytes).ok_or(Corrupt("its subject is cut short"))?;
            check_name(subject).map_err(|_| Corrupt("its subject is no name"))?;
            len += 13 + subject.len();
        }
        if flags & layout::PREDECESSOR != 0 {
            len += 16;
        }
        if layout::entries_at(bytes) != len || bytes.len() < len {
            return Err(Corrupt("its header is cut short"));
        }
        let is_instant = |at| layout::u64_at(bytes, at) <= Timestamp::MAX.as_millis();
        let fixed = [
            at::CREATED,
            at::LAST_SEEN,
            at::DEADLINE,
            at::IDLE,
            at::RENEWAL,
        ];
        let mut slots = (layout::FIXED..layout::owner_at(bytes)).step_by(layout::SLOT);
        let are_slots = slots.all(|slot| {
            is_instant(slot + 32) && is_instant(slot + 40) && layout::u8_at(bytes, slot + 48) <= 2
        });
        if are_slots && fixed.into_iter().all(is_instant) {
            Ok(())
        } else {
            Err(Corrupt("its header contradicts itself"))
        }
    }

    /// The header of a buffer that [`Header::check`] has seen.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            revision: Revision::from_u64(layout::u64_at(bytes, at::REVISION)),
            created_at: layout::instant_at(bytes, at::CREATED),
            last_seen_at: layout::instant_at(bytes, at::LAST_SEEN),
            deadline: layout::instant_at(bytes, at::DEADLINE),
            idle: layout::duration_at(bytes, at::IDLE),
            renewal: layout::duration_at(bytes, at::RENEWAL),
            slots: layout::slots(bytes).collect(),
            owner: Owner::read(bytes),
            predecessor: layout::predecessor(bytes),
        }
    }

    /// The length of the packed header.
    fn len(&self) -> usize {
        layout::FIXED
            + layout::SLOT * self.slots.len()
            + self
                .owner
                .as_ref()
                .map_or(0, |owner| 13 + owner.subject.as_str().len())
            + self.predecessor.map_or(0, |_| 16)
    }

    /// The packed header.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let len = self.len();
        let mut bytes = Vec::with_capacity(len);
        let owner = if self.owner.is_some() {
            layout::OWNER
        } else {
            0
        };
        let predecessor = if self.predecessor.is_some() {
            layout::PREDECESSOR
        } else {
            0
        };
        // Never more than four secrets and 600 bytes in all.
        let slots = u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&[layout::VERSION, slots, owner | predecessor, 0]);
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        let numbers = [
            self.revision.to_u64(),
            self.created_at.as_millis(),
            self.last_seen_at.as_millis(),
            self.deadline.as_millis(),
            layout::duration_millis(self.idle),
            layout::duration_millis(self.renewal),
        ];
        numbers
            .iter()
            .for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        self.slots
            .iter()
            .for_each(|slot| layout::write_slot(&mut bytes, slot));
        if let Some(owner) = &self.owner {
            let subject = owner.subject.as_str().as_bytes();
            bytes.extend_from_slice(&owner.nonce.to_be_bytes());
            bytes.extend_from_slice(&owner.attempt.to_be_bytes());
            bytes.push(u8::try_from(subject.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(subject);
        }
        if let Some(id) = &self.predecessor {
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }

    pub(super) fn followed_by(&self, entries_block: &[u8]) -> Arc<[u8]> {
        let header = self.to_bytes();
        layout::packed(header.len() + entries_block.len(), |rest| {
            layout::put(rest, &header);
            layout::put(rest, entries_block);
        })
    }
}

impl Owner {
    fn read(bytes: &[u8]) -> Option<Self> {
        let subject = Subject::new(layout::subject(bytes)?).ok()?;
        let at = layout::owner_at(bytes);
        Some(Self {
            subject,
            nonce: layout::u64_at(bytes, at),
            attempt: layout::chunk_at(bytes, at + 8).map_or(0, u32::from_be_bytes),
        })
    }
}
