//! What is written down of each call, as one line of JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_core::{InvalidSessionId, SessionId, Subject, Timestamp};

/// Where events go, in the order in which one caller made them.
pub type Journal = Arc<dyn Fn(Event) + Send + Sync>;

/// A session's id, as text in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(pub SessionId);

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, InvalidSessionId> {
        text.parse().map(Self)
    }
}

/// When a call began, and when its answer came: none if it is unknown what came of it, which may then
/// happen at any later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When it began.
    pub begun: Timestamp,
    /// When it was acknowledged.
    pub ended: Option<Timestamp>,
}

/// What a look at a session found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// It is not there.
    Nothing,
    /// It lives. Who looked does not know what it should hold.
    Alive,
    /// It lives and holds this, as its owner saw, or anybody after all writes were over.
    Read(Sight),
}

/// What a session holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The numbers in its entries.
    pub entries: BTreeMap<String, u64>,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

/// Something that a call did, may have done, or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A session begins.
    Began {
        /// The session.
        id: Id,
        /// Whose it is.
        subject: Option<Subject>,
        /// When.
        span: Span,
        /// When the answer with the ticket came.
        ticket_at: Option<Timestamp>,
        /// After how many milliseconds it expires, if that is soon.
        life: Option<u64>,
    },
    /// Entries are set, or removed if there is no number. None: the session was touched.
    Wrote {
        /// The session.
        id: Id,
        /// The entries.
        entries: Vec<(String, Option<u64>)>,
        /// When.
        span: Span,
        /// When the session was last seen, as the answer says.
        last_seen: Option<Timestamp>,
    },
    /// One is added to the entry of a session that counts.
    Counted {
        /// The session.
        id: Id,
        /// Whether it was acknowledged.
        is_certain: bool,
    },
    /// Sessions are ended.
    Ended {
        /// The sessions.
        ids: Vec<Id>,
        /// When.
        span: Span,
    },
    /// A subject's sessions are ended, and the sign-ins that are under way refused.
    Revoked {
        /// Whose.
        subject: Subject,
        /// The one that stays.
        except: Option<Id>,
        /// Those that ended, as the answer says.
        ids: Vec<Id>,
        /// When.
        span: Span,
    },
    /// A sign-in under a limit may have ended any of a subject's sessions.
    MadeRoom {
        /// Whose.
        subject: Subject,
        /// When it began.
        begun: Timestamp,
    },
    /// A session was looked at.
    Saw {
        /// The session.
        id: Id,
        /// When.
        span: Span,
        /// What was found.
        found: Found,
    },
    /// A subject's sessions were listed.
    Listed {
        /// Whose.
        subject: Subject,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A call went on past its time limit.
    Hung {
        /// Which.
        verb: String,
    },
}
