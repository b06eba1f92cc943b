//! Sessions as plain data: what the naive oracle knows, and how an answer's record is read into it.

use std::collections::BTreeMap;
use std::fmt;

use session_core::{Ended, Record, SecretHash, Standing};

/// A session, field by field. Instants and durations are milliseconds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) revision: u64,
    pub(super) created: u64,
    pub(super) last_seen: u64,
    pub(super) deadline: u64,
    pub(super) idle: Option<u64>,
    pub(super) renewal: Option<u64>,
    pub(super) owner: Option<Owner>,
    pub(super) predecessor: Option<[u8; 16]>,
    pub(super) secrets: Vec<Secret>,
    pub(super) entries: BTreeMap<String, String>,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) subject: String,
    pub(super) nonce: u64,
    pub(super) attempt: u32,
}

/// One secret of a session, in the order of issue.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Secret {
    pub(super) hash: [u8; 32],
    pub(super) issued: u64,
    pub(super) accepted_until: u64,
    pub(super) standing: Stands,
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stands {
    Unpresented,
    Current,
    Former,
}

/// What is left of a session that was ended.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Grave {
    pub(super) at: u64,
    pub(super) hashes: Vec<[u8; 32]>,
}

impl Session {
    /// Reads a record through its public getters.
    pub(super) fn of(record: &Record) -> Self {
        let header = record.header();
        Self {
            revision: record.revision().to_u64(),
            created: record.created_at().as_millis(),
            last_seen: record.last_seen_at().as_millis(),
            deadline: record.deadline().as_millis(),
            idle: header.idle.map(millis),
            renewal: header.renewal.map(millis),
            owner: header.owner.map(|owner| Owner {
                subject: owner.subject.as_str().to_owned(),
                nonce: owner.nonce,
                attempt: owner.attempt,
            }),
            predecessor: record.predecessor().map(|id| *id.as_bytes()),
            secrets: record
                .slots()
                .map(|slot| Secret {
                    hash: *slot.hash.as_bytes(),
                    issued: slot.issued_at.as_millis(),
                    accepted_until: slot.accepted_until.as_millis(),
                    standing: match slot.standing {
                        Standing::Unpresented => Stands::Unpresented,
                        Standing::Current => Stands::Current,
                        Standing::Former => Stands::Former,
                    },
                })
                .collect(),
            entries: record
                .entries()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.subject.as_str())
    }
}

impl Grave {
    pub(super) fn new(at: u64, hashes: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let mut hashes: Vec<_> = hashes.into_iter().collect();
        hashes.sort_unstable();
        Self { at, hashes }
    }

    pub(super) fn of(ended: &Ended) -> Self {
        Self::new(
            ended.at.as_millis(),
            ended.secrets.iter().map(|hash| *hash.as_bytes()),
        )
    }
}

/// A duration as a record keeps it.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Enough of a made-up hash to tell it from the others of a history.
pub(super) fn short(hash: &[u8; 32]) -> String {
    format!(
        "s{}",
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    )
}

/// As [`short`], of what a store keeps.
pub(super) fn short_hash(hash: &SecretHash) -> String {
    short(hash.as_bytes())
}

/// The beginning of a long text, in one line.
pub(super) fn short_text(text: &str) -> String {
    let head: String = text.chars().take(20).collect();
    if head.len() < text.len() {
        format!("{}.. of {} bytes", head.escape_debug(), text.len())
    } else {
        head.escape_debug().to_string()
    }
}

/// Enough of a made-up id to tell it from the others of a history.
pub(super) fn short_id(id: &[u8; 16]) -> String {
    let tail: String = id[4..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#{tail}")
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{r{:04x}", self.revision >> 48)?;
        write!(f, " created {} seen {}", self.created, self.last_seen)?;
        write!(f, " deadline {} idle {:?}", self.deadline, self.idle)?;
        if let Some(owner) = &self.owner {
            let Owner { nonce, attempt, .. } = owner;
            write!(f, " ticket {:04x}/{attempt}", nonce >> 48)?;
        }
        if let Some(id) = &self.predecessor {
            write!(f, " after {}", short_id(id))?;
        }
        write!(f, " {:?}", self.secrets)?;
        for (name, value) in &self.entries {
            write!(f, " {} = {}", short_text(name), short_text(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {}",
            short(&self.hash),
            self.standing,
            self.issued
        )?;
        if self.accepted_until < super::state::FOREVER {
            write!(f, "..{}", self.accepted_until)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Grave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hashes: Vec<_> = self.hashes.iter().map(short).collect();
        write!(f, "{{at {} {hashes:?}}}", self.at)
    }
}
