//! What goes wrong in a store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::limits::TooLarge;
use crate::record::Corrupt;

/// A failure of a store: what kind, whether the change may have happened, and why.
///
/// `Absent`, `Exists`, `Conflict`, `Revoked` and `LimitReached` are answers, not failures.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: ErrorKind,
    applied: Applied,
    store: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached, or did not answer in time. Worth another try.
    Unavailable,
    /// What the store holds cannot be read.
    Corrupt,
    /// The session would go over a [bound](crate::Bounds).
    TooLarge,
    /// The store holds as much as it may. It ends no live session to make room.
    Full,
    /// The store is set up in a way that it refuses to work with.
    Config,
}

/// Whether what was asked for may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It did not, and will not.
    No,
    /// It may have, or may yet.
    Unknown,
}

impl StoreError {
    /// A failure of `store` before anything happened.
    #[must_use]
    pub const fn new(store: &'static str, kind: ErrorKind) -> Self {
        Self {
            kind,
            applied: Applied::No,
            store,
            source: None,
        }
    }

    /// Says that what was asked for may have happened.
    #[must_use]
    pub fn unknown(self) -> Self {
        Self {
            applied: Applied::Unknown,
            ..self
        }
    }

    /// Gives the reason, such as the driver's error.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..self
        }
    }

    /// A session that would go over a bound.
    #[must_use]
    pub fn too_large(store: &'static str, reason: TooLarge) -> Self {
        Self::new(store, ErrorKind::TooLarge).because(reason)
    }

    /// A record that cannot be read.
    #[must_use]
    pub fn corrupt(store: &'static str, reason: Corrupt) -> Self {
        Self::new(store, ErrorKind::Corrupt).because(reason)
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether what was asked for may have happened all the same.
    #[must_use]
    pub const fn applied(&self) -> Applied {
        self.applied
    }

    /// The store's name, as in [`StoreFacts::name`](crate::StoreFacts::name).
    #[must_use]
    pub const fn store(&self) -> &'static str {
        self.store
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Unavailable => "out of reach",
            ErrorKind::Corrupt => "unreadable data",
            ErrorKind::TooLarge => "a session over its bound",
            ErrorKind::Full => "full",
            ErrorKind::Config => "refused set-up",
        };
        write!(f, "{} store: {what}", self.store)?;
        match self.applied {
            Applied::No => Ok(()),
            Applied::Unknown => f.write_str(" (the change may have been applied)"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
