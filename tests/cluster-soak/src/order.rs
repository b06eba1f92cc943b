//! What a run asks of a node, and what the node answers: one line of JSON each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use session_core::{Record, SecretHash};

/// An order or an answer, with the number that the two share.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) what: T,
}

/// What is asked of a node. Sessions are named by the text of their ids, secrets by [`secret`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Make an anonymous session that lives for so many milliseconds.
    Create {
        /// Its id.
        id: String,
        /// Its secret.
        secret: u64,
        /// Milliseconds.
        life: u64,
    },
    /// Take a ticket, and sign in with it.
    SignIn {
        /// The id of the new session.
        id: String,
        /// Whose it is.
        subject: String,
        /// Its secret.
        secret: u64,
        /// Milliseconds.
        life: u64,
        /// How many sessions the subject may have; the oldest make room.
        limit: Option<usize>,
    },
    /// Set entries by one change.
    Write {
        /// The session.
        id: String,
        /// The entries and their numbers.
        entries: Vec<(String, u64)>,
        /// How many bytes more each value has.
        padding: usize,
    },
    /// Say that the session was used.
    Touch {
        /// The session.
        id: String,
    },
    /// Add a secret.
    Renew {
        /// The session.
        id: String,
        /// The new one.
        issue: u64,
        /// The one that it follows.
        replaces: u64,
    },
    /// Look at a session.
    Load {
        /// The session.
        id: String,
    },
    /// End a session.
    Delete {
        /// The session.
        id: String,
    },
    /// End all of a subject's sessions but one.
    Revoke {
        /// The subject.
        subject: String,
        /// The session that stays.
        except: Option<String>,
    },
    /// Say how far the node has come.
    Standing,
    /// Sum up all sessions that expire later than this many milliseconds since 1970.
    Digest {
        /// Milliseconds.
        after: u64,
    },
    /// Set the clock to differ from the machine's by so many milliseconds.
    Clock {
        /// Milliseconds.
        offset: i64,
    },
    /// Leave the cluster for good.
    Leave,
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The session lives.
    Live(Sight),
    /// The change is made.
    Wrote {
        /// The session before it.
        before: Sight,
        /// The session after it.
        after: Sight,
    },
    /// There is no such live session.
    Gone,
    /// The change does not fit the session as it stands.
    Conflict,
    /// These have ended.
    Ended(Vec<String>),
    /// How far the node has come.
    Standing(Standing),
    /// The digest.
    Digest(u64),
    /// It is done.
    Done,
    /// Nothing is done.
    Refused(String),
    /// It is not known what is done.
    Unknown(String),
}

/// How far a node has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// How many changes of each life of a node it has.
    pub(crate) known: BTreeMap<u64, u64>,
    /// Whether it holds what the others hold.
    pub(crate) is_ready: bool,
    /// The wire versions on its links.
    pub(crate) versions: Vec<u8>,
    /// How many sessions it holds.
    pub(crate) sessions: usize,
}

/// What a session holds, as far as a run cares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// The numbers in its entries.
    pub(crate) entries: BTreeMap<String, u64>,
    /// The first eight bytes of its secrets' hashes.
    pub(crate) secrets: Vec<u64>,
}

impl Sight {
    /// What is to be seen of a record.
    pub(crate) fn of(record: &Record) -> Self {
        let number = |text: &str| {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            digits.parse().unwrap_or_default()
        };
        let entries = record.entries();
        let mut secrets: Vec<_> = record
            .slots()
            .filter_map(|slot| slot.hash.as_bytes().first_chunk().copied())
            .map(u64::from_be_bytes)
            .collect();
        secrets.sort_unstable();
        Self {
            entries: entries
                .map(|(name, text)| (name.to_owned(), number(text)))
                .collect(),
            secrets,
        }
    }
}

/// A secret's hash that is told by its first eight bytes.
pub(crate) fn secret(number: u64) -> SecretHash {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&number.to_be_bytes());
    }
    SecretHash::from_bytes(bytes)
}
