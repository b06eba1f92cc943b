//! What happens to sessions, told to whoever observes it. Never with a secret or a token.

use std::fmt;
use std::sync::Arc;

use crate::id::SessionId;
use crate::name::Subject;
use crate::time::Timestamp;

/// Something that happened to a session (OWASP Session Management Cheat Sheet, "Logging Sessions Life
/// Cycle").
#[derive(Clone, Debug)]
pub struct Event {
    /// When, by the clock of [`Sessions`](crate::Sessions).
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which session, if it concerns a certain one.
    pub session: Option<SessionId>,
    /// Whose session, if it is somebody's.
    pub subject: Option<Subject>,
}

/// What happened. Each is told once, by the process in which it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// An anonymous session was created.
    Created,
    /// A subject signed in.
    SignedIn,
    /// A session was given a new secret.
    Renewed,
    /// A token was presented that no session accepts.
    UnknownToken,
    /// A token was presented that stopped being accepted less than a minute ago.
    SupersededToken,
    /// A secret was presented long after a later one had followed it: it may have been stolen.
    ReuseSuspected,
    /// Tokens of two different sessions were presented at once.
    ConflictingTokens,
    /// A session reached a timeout. Told when the store removes it.
    Expired,
    /// A session was ended.
    Destroyed(EndCause),
    /// A request's writes were refused because its session had ended.
    WriteRefused,
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndCause {
    /// Its own client signed out, or the application destroyed it.
    SignOut,
    /// Another session of its subject signed it out.
    SignOutOthers,
    /// Its subject was signed out everywhere.
    SignOutEverywhere,
    /// A sign-in replaced it.
    Replaced,
    /// It made room for another, or was made by a try whose answer was lost.
    Limit,
    /// A secret of it was presented that may have been stolen.
    ReuseSuspected,
}

/// Whoever wants to know. Called where the thing happened, so it must not block.
///
/// Any `Fn(&Event)` is one:
///
/// ```
/// use session_core::{Event, Observer};
///
/// let log = |event: &Event| println!("{:?}", event.kind);
/// let _: &dyn Observer = &log;
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes note.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// All observers of an application's sessions.
#[derive(Clone, Default)]
pub(super) struct Observers(pub(super) Vec<Arc<dyn Observer>>);

impl Observers {
    pub(super) fn tell(&self, event: &Event) {
        self.0.iter().for_each(|observer| observer.observe(event));
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}
