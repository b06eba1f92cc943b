//! The secrets of a session: which one a client may present, and how one follows another.
//!
//! A renewal **adds** a secret. The one before it stays accepted until the new one is first presented;
//! that makes the new one current and starts the overlap of those before it. So a lost answer signs
//! nobody out, and requests in flight reach the same session.

use std::time::Duration;

use super::layout::{MAX_SLOTS, Stamps};
use crate::change::Renewal;
use crate::time::Timestamp;
use crate::token::SecretHash;

/// How long a secret stays accepted once a later one was presented.
pub const OVERLAP: Duration = Duration::from_secs(30);

/// How long a secret that stopped being accepted, and what a session's end leaves behind, is told
/// apart from one that never was.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// How long an automatic renewal waits for the secret it issued to be presented before it issues
/// another; and how long a sign-in may stay unpresented before it is the first to make room.
pub const UNPRESENTED_GRACE: Duration = Duration::from_secs(60);

/// One secret of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The secret's hash.
    pub hash: SecretHash,
    /// When the secret was issued.
    pub issued_at: Timestamp,
    /// From when on it is no longer accepted; [`Timestamp::MAX`] while no later one was presented.
    pub accepted_until: Timestamp,
    /// Where it stands among the session's secrets.
    pub standing: Standing,
}

/// Where a secret stands among those of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Issued, and not yet seen in a request.
    Unpresented,
    /// The one that renewals replace.
    Current,
    /// Followed by a later one.
    Former,
}

impl Standing {
    pub(super) const fn to_u8(self) -> u8 {
        match self {
            Self::Unpresented => 0,
            Self::Current => 1,
            Self::Former => 2,
        }
    }

    pub(super) const fn from_u8(byte: u8) -> Self {
        match byte {
            0 => Self::Unpresented,
            1 => Self::Current,
            _ => Self::Former,
        }
    }
}

/// What a presented secret is to a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretVerdict {
    /// It is accepted, from where it stands.
    Accepted(Standing),
    /// It stopped being accepted less than [`REMEMBERED`] ago.
    Superseded,
    /// It stopped being accepted longer ago: whoever presents it may have stolen it.
    Outdated,
    /// The session does not know it.
    Unknown,
}

impl Slot {
    pub(super) const fn issued(hash: SecretHash, now: Timestamp, standing: Standing) -> Self {
        Self {
            hash,
            issued_at: now,
            accepted_until: Timestamp::MAX,
            standing,
        }
    }

    fn is_accepted(&self, now: Timestamp) -> bool {
        now < self.accepted_until
    }
}

pub(super) fn judge(
    slots: impl Iterator<Item = Slot>,
    secret: &SecretHash,
    now: Timestamp,
) -> SecretVerdict {
    let mut verdict = SecretVerdict::Unknown;
    for slot in slots.filter(|slot| slot.hash == *secret) {
        verdict = if slot.is_accepted(now) {
            SecretVerdict::Accepted(slot.standing)
        } else if now < slot.accepted_until + REMEMBERED {
            SecretVerdict::Superseded
        } else {
            SecretVerdict::Outdated
        };
    }
    verdict
}

/// Makes an accepted secret that was not presented before a current one, and starts the overlap of all
/// issued before it. Any other secret changes nothing.
///
/// A later one that was presented already stays current too: which of the two the client kept depends on
/// the order in which their answers arrived.
pub(super) fn promote(
    slots: &mut [Slot],
    secret: &SecretHash,
    now: Timestamp,
    stamps: &mut Stamps,
) {
    let is_first = |slot: &Slot| {
        slot.hash == *secret && slot.is_accepted(now) && slot.standing == Standing::Unpresented
    };
    let Some(promoted) = slots.iter().position(is_first) else {
        return;
    };
    for (index, slot) in slots.iter_mut().enumerate().take(promoted) {
        if slot.standing == Standing::Current {
            slot.standing = Standing::Former;
        }
        if now + OVERLAP < slot.accepted_until {
            slot.accepted_until = now + OVERLAP;
            stamps.add(Stamps::accepted_until(index));
        }
    }
    if let Some(slot) = slots.get_mut(promoted) {
        slot.standing = Standing::Current;
        slot.accepted_until = Timestamp::MAX;
    }
}

/// Adds a secret. A soft renewal that is not due adds none.
///
/// Refused, with `false`, if the secret that it replaces is not one that may be replaced: it is
/// unknown, no longer accepted, or followed by one that was presented.
pub(super) fn renew(
    slots: &mut Vec<Slot>,
    renewal: &Renewal,
    now: Timestamp,
    stamps: &mut Stamps,
) -> bool {
    let replaceable = slots.iter().any(|slot| {
        slot.hash == renewal.replaces && slot.is_accepted(now) && slot.standing != Standing::Former
    });
    let awaits = |slot: &Slot| {
        slot.standing == Standing::Unpresented && now < slot.issued_at + UNPRESENTED_GRACE
    };
    if renewal.soft && (!replaceable || slots.iter().any(awaits)) {
        return true;
    }
    if !replaceable {
        return false;
    }
    if slots.len() == MAX_SLOTS {
        let oldest = slots
            .iter()
            .position(|slot| slot.standing != Standing::Current)
            .unwrap_or(0);
        slots.remove(oldest);
        stamps.forget_slot(oldest);
    }
    stamps.add(Stamps::issued(slots.len()));
    slots.push(Slot::issued(renewal.issue, now, Standing::Unpresented));
    true
}
