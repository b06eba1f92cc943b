//! What a session handle refuses, and why.

use std::sync::Arc;

use crate::error::StoreError;
use crate::limits::TooLarge;
use crate::name::InvalidName;

/// Why a call on a [`Session`](crate::Session) did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed. Nothing is known about the session, least of all that it is not there.
    #[error("the session's store failed")]
    Store(#[source] Arc<StoreError>),
    /// The entry does not hold what it was read as. The session itself is fine.
    #[error("the entry {name:?} does not decode")]
    Decode {
        /// The entry's name.
        name: String,
        /// Why it does not.
        source: Arc<serde_json::Error>,
    },
    /// The value has no JSON form.
    #[error("the value for the entry {name:?} does not encode")]
    Encode {
        /// The entry's name.
        name: String,
        /// Why it does not.
        source: Arc<serde_json::Error>,
    },
    /// The text cannot be a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The name is kept for the lifecycle: it begins with
    /// [`RESERVED_PREFIX`](crate::RESERVED_PREFIX).
    #[error("the name {0:?} is reserved")]
    Reserved(String),
    /// The value is over the store's bound.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The client presented a secret that a newer one has followed, or one of a session that has just
    /// ended: it holds, or will hold, another cookie. Only a sign-in writes from here.
    #[error("the presented session was superseded")]
    Superseded,
    /// The session ended while this request was under way.
    #[error("the session has ended")]
    Ended,
    /// The answer is under way already: what needs a cookie, or waits for the commit, comes too late.
    #[error("the session was committed already")]
    Committed,
    /// Others kept changing the session, or what may be changed only once was.
    #[error("the session is changed by others at the same time")]
    Conflict,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// The request was not shown to come from the application itself.
    #[error("the request was not shown to come from the application itself")]
    Foreign,
    /// The ticket is too old, or its subject was signed out everywhere since.
    #[error("the sign-in was revoked")]
    Revoked,
    /// The subject has as many sessions as it may.
    #[error("the subject has reached its limit of sessions")]
    LimitReached,
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
