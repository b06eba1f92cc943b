//! What is known of one session, as an element of a lattice: joined in any order, any number of times,
//! it comes out the same.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use session_core::{
    EntryName, Header, LimitPolicy, Owner, Record, Revision, SessionId, SignInLimit, Timestamp,
};

use super::clock::Stamp;
use super::digest::Digest;
use super::fence::Revokes;
use super::secrets::{Secrets, rank};

/// What is known of one session, or a part of it. A change travels as the part that it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has ended: the top. Whatever is joined to it, it stays ended.
    Dead(Dead),
    /// It has not, as far as this says.
    Live(Box<Live>),
}

/// What is left of a session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dead {
    /// Until when some copy of it could still live: so long the end is remembered.
    pub(crate) until: Timestamp,
}

/// The registers of a session. What is left out of a part is at its bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// What its creator wrote once. Without it nobody can load the session.
    pub(crate) birth: Option<Birth>,
    /// The absolute deadline that it was born with, in every part. The greater.
    pub(crate) until: Timestamp,
    /// The absolute deadline. The lesser.
    pub(crate) deadline: Timestamp,
    /// When it was last used. The greater.
    pub(crate) last_seen: Timestamp,
    /// Whether its predecessor's end is confirmed. Once true, true.
    pub(crate) is_settled: bool,
    /// The revokes that it began after, or was excepted from.
    pub(crate) seen: Revokes,
    /// Entries older than this are gone, but for reserved ones.
    pub(crate) cleared: Stamp,
    /// The entries, and those removed. Each the greater.
    pub(crate) entries: BTreeMap<EntryName, Register>,
    pub(crate) secrets: Secrets,
    /// The latest change. The greater.
    pub(crate) change: LastChange,
    /// Registers of which only the greater bytes are known to win. Unknown ones are kept and passed on,
    /// for versions to come.
    pub(crate) opaque: BTreeMap<u8, Box<[u8]>>,
}

/// What the creator of a session wrote once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    /// A sign-in that knew of another has the greater one, whatever their wall clocks said.
    pub(crate) stamp: Stamp,
    pub(crate) created_at: Timestamp,
    pub(crate) idle: Option<Duration>,
    pub(crate) renewal: Option<Duration>,
    pub(crate) owner: Option<Owner>,
    pub(crate) predecessor: Option<SessionId>,
}

/// One entry: its JSON text, or that it was removed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Register {
    pub(crate) stamp: Stamp,
    pub(crate) value: Option<Box<str>>,
}

/// Never the value itself.
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("stamp", &self.stamp)
            .field("len", &self.value.as_ref().map(|value| value.len()))
            .finish()
    }
}

/// The latest change but a pure touch: its revision stands for the content that it made, and for no
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LastChange {
    pub(crate) stamp: Stamp,
    pub(crate) revision: u64,
    /// The digest of the content that it made.
    pub(crate) content: u64,
}

/// The opaque register that holds the limit under which a session was signed in.
pub(crate) const LIMIT: u8 = 64;

impl State {
    #[cfg(test)]
    pub(crate) fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Dead(dead), other) => dead.until = dead.until.max(other.until()),
            (Self::Live(live), Self::Dead(dead)) => {
                *self = Self::Dead(Dead {
                    until: dead.until.max(live.until),
                });
            }
            (Self::Live(live), Self::Live(other)) => live.join(other),
        }
    }

    pub(crate) const fn until(&self) -> Timestamp {
        match self {
            Self::Dead(dead) => dead.until,
            Self::Live(live) => live.until,
        }
    }
}

impl Live {
    /// A part that says nothing yet of a session born with this deadline.
    pub(crate) fn bottom(until: Timestamp) -> Self {
        Self {
            birth: None,
            until,
            deadline: Timestamp::MAX,
            last_seen: Timestamp::MIN,
            is_settled: false,
            seen: Revokes::default(),
            cleared: Stamp::ZERO,
            entries: BTreeMap::new(),
            secrets: Secrets::default(),
            change: LastChange::default(),
            opaque: BTreeMap::new(),
        }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        match (&mut self.birth, &other.birth) {
            (known @ None, Some(other)) => *known = Some(other.clone()),
            (Some(known), Some(other)) if known != other && known.order() < other.order() => {
                known.clone_from(other);
            }
            _ => {}
        }
        self.until = self.until.max(other.until);
        self.deadline = self.deadline.min(other.deadline);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.is_settled |= other.is_settled;
        self.seen.join(&other.seen);
        self.cleared = self.cleared.max(other.cleared);
        for (name, register) in &other.entries {
            match self.entries.get_mut(name) {
                Some(known) if *known < *register => known.clone_from(register),
                Some(_) => {}
                None => {
                    self.entries.insert(name.clone(), register.clone());
                }
            }
        }
        let cleared = self.cleared;
        self.entries
            .retain(|name, register| register.stamp >= cleared || name.is_reserved());
        self.secrets.join(&other.secrets);
        self.change = self.change.max(other.change);
        for (kind, value) in &other.opaque {
            let known = self.opaque.entry(*kind).or_default();
            if *known < *value {
                known.clone_from(value);
            }
        }
    }

    /// The session as the contract knows it, unless its birth is not known yet.
    pub(crate) fn record(&self) -> Option<Record> {
        let birth = self.birth.as_ref()?;
        let header = Header {
            revision: self.revision(),
            created_at: birth.created_at,
            last_seen_at: self.last_seen,
            deadline: self.deadline.min(self.until),
            idle: birth.idle,
            renewal: birth.renewal,
            slots: self
                .secrets
                .shown()
                .iter()
                .map(|secret| secret.slot)
                .collect(),
            owner: birth.owner.clone(),
            predecessor: birth.predecessor.filter(|_| !self.is_settled),
        };
        let entries: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(name, register)| Some((name.as_str(), register.value.as_deref()?)))
            .collect();
        Record::from_entries(&header, &entries).ok()
    }

    /// The revision of the latest change, while the content is the one that it made; else one that
    /// stands for this content.
    fn revision(&self) -> Revision {
        let content = self.content();
        Revision::from_u64(if content == self.change.content {
            self.change.revision
        } else {
            Digest::new()
                .number(self.change.revision)
                .number(content)
                .finish()
        })
    }

    /// A digest of all that a guarded change may rest on.
    pub(crate) fn content(&self) -> u64 {
        let mut digest = Digest::new()
            .number(self.deadline.as_millis())
            .number(u64::from(self.is_settled));
        for (name, register) in &self.entries {
            if register.value.is_some() {
                digest = digest
                    .bytes(name.as_str().as_bytes())
                    .number(register.stamp.time)
                    .number(u64::from(register.stamp.writer));
            }
        }
        for secret in &self.secrets.list {
            digest = digest
                .bytes(secret.slot.hash.as_bytes())
                .number(u64::from(rank(secret.slot.standing)))
                .number(secret.slot.accepted_until.as_millis());
        }
        digest.finish()
    }

    /// A digest of everything but the last use: equal on nodes that know the same of the session.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Digest::new()
            .number(self.content())
            .number(self.until.as_millis())
            .number(self.change.stamp.time)
            .number(self.change.revision)
            .number(
                self.birth
                    .as_ref()
                    .map_or(0, |birth| birth.created_at.as_millis() + 1),
            );
        for (origin, seq) in &self.seen.0 {
            digest = digest.number(origin.0).number(*seq);
        }
        for (kind, value) in &self.opaque {
            digest = digest.number(u64::from(*kind)).bytes(value);
        }
        digest.finish()
    }

    /// The highest stamp in here: what a clock that has seen this must be past.
    pub(crate) fn latest(&self) -> Stamp {
        let entry = self.entries.values().map(|register| register.stamp).max();
        entry
            .unwrap_or_default()
            .max(self.cleared)
            .max(self.change.stamp)
            .max(self.secrets.latest())
    }

    /// The limit under which the session was signed in.
    pub(crate) fn limit(&self) -> Option<SignInLimit> {
        let [a, b, c, d, policy] = **self.opaque.get(&LIMIT)? else {
            return None;
        };
        let max = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        Some(SignInLimit {
            max: std::num::NonZeroUsize::new(max)?,
            policy: if policy == 0 {
                LimitPolicy::EndOldest
            } else {
                LimitPolicy::Refuse
            },
        })
    }

    pub(crate) fn set_limit(&mut self, limit: SignInLimit) {
        let [a, b, c, d] = u32::try_from(limit.max.get())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        let policy = u8::from(limit.policy == LimitPolicy::Refuse);
        self.opaque.insert(LIMIT, Box::new([a, b, c, d, policy]));
    }
}

impl Birth {
    /// A total order, so that the join of two that differ, which no node makes, is one all the same.
    fn order(&self) -> impl Ord {
        let owner = self.owner.as_ref().map(|owner| {
            let subject = owner.subject.as_str().to_owned();
            (subject, owner.nonce, owner.attempt)
        });
        (
            self.stamp,
            self.created_at,
            self.idle,
            self.renewal,
            self.predecessor,
            owner,
        )
    }
}
