//! Limits in time and in size.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::name::EntryName;
use crate::value::JsonText;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The three limits in time that a record carries (OWASP Session Management Cheat Sheet, "Session
/// Expiration").
///
/// The defaults, 30 minutes idle and 12 hours in all, are those of NIST SP 800-63B at AAL2.
///
/// ```
/// use session_core::Timeouts;
/// use std::time::Duration;
///
/// let remember_me = Timeouts::new(Duration::from_secs(30 * 24 * 3600)).without_idle();
/// assert_eq!(remember_me.idle(), None);
/// assert_eq!(Timeouts::new(Duration::MAX).absolute(), Timeouts::MAX_ABSOLUTE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    absolute: Duration,
    idle: Option<Duration>,
    renewal: Option<Duration>,
}

impl Timeouts {
    /// The longest a session may live: 400 days, what browsers keep a cookie (RFC 6265bis, 5.5).
    pub const MAX_ABSOLUTE: Duration = DAY.saturating_mul(400);

    /// Sessions that live for `absolute`, at most [`Timeouts::MAX_ABSOLUTE`], with the other two
    /// limits as by default.
    #[must_use]
    pub fn new(absolute: Duration) -> Self {
        Self {
            absolute: absolute.min(Self::MAX_ABSOLUTE),
            ..Self::default()
        }
    }

    /// Ends the session when it was not used for `idle`.
    #[must_use]
    pub const fn with_idle(self, idle: Duration) -> Self {
        Self {
            idle: Some(idle),
            ..self
        }
    }

    /// Lets the session rest unused until its deadline.
    #[must_use]
    pub const fn without_idle(self) -> Self {
        Self { idle: None, ..self }
    }

    /// Gives a signed-in session a new secret once the current one is `renewal` old.
    #[must_use]
    pub const fn with_renewal(self, renewal: Duration) -> Self {
        Self {
            renewal: Some(renewal),
            ..self
        }
    }

    /// Renews a secret only when the application asks for it.
    #[must_use]
    pub const fn without_renewal(self) -> Self {
        Self {
            renewal: None,
            ..self
        }
    }

    /// How long the session lives, whatever happens.
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    /// How long the session lives unused.
    #[must_use]
    pub const fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// How old a secret grows before a signed-in session is given a new one.
    #[must_use]
    pub const fn renewal(&self) -> Option<Duration> {
        self.renewal
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            absolute: DAY / 2,
            idle: Some(Duration::from_secs(30 * 60)),
            renewal: Some(Duration::from_secs(15 * 60)),
        }
    }
}

/// How large a session may grow in a store. Names count as well as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one value. Legal values never lie below 1 MiB.
    pub value_bytes: usize,
    /// Bytes of all names and values of one session. Never below 4 MiB; what is over 1 GiB, the most that
    /// a record can hold, counts as 1 GiB.
    pub session_bytes: usize,
    /// Entries of one session.
    pub entries: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            value_bytes: 1 << 20,
            session_bytes: 4 << 20,
            entries: 1024,
        }
    }
}

/// Which bound a session would have gone over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {len} is over the bound of {max}")]
pub struct TooLarge {
    /// What is too large.
    pub what: Size,
    /// How large it would be.
    pub len: usize,
    /// How large it may be.
    pub max: usize,
}

/// What a size is the size of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Size {
    /// Bytes of one value.
    Value,
    /// Bytes of all names and values of a session.
    Session,
    /// Entries of a session.
    Entries,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Value => "a value's size",
            Self::Session => "a session's size",
            Self::Entries => "a session's number of entries",
        })
    }
}

impl Bounds {
    pub(crate) fn check_value(&self, value: &JsonText) -> Result<(), TooLarge> {
        within(Size::Value, value.as_str().len(), self.value_bytes)
    }

    pub(crate) fn check_session(&self, entries: usize, bytes: usize) -> Result<(), TooLarge> {
        within(Size::Entries, entries, self.entries)?;
        within(Size::Session, bytes, self.session_bytes.min(1 << 30))
    }

    pub(crate) fn check_all(&self, entries: &[(EntryName, JsonText)]) -> Result<(), TooLarge> {
        let mut bytes = 0;
        for (name, value) in entries {
            self.check_value(value)?;
            bytes += name.as_str().len() + value.as_str().len();
        }
        self.check_session(entries.len(), bytes)
    }
}

const fn within(what: Size, len: usize, max: usize) -> Result<(), TooLarge> {
    if len > max {
        Err(TooLarge { what, len, max })
    } else {
        Ok(())
    }
}

/// How many sessions one subject may have at once, and what happens to one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInLimit {
    /// How many at most. A session and the predecessor that it replaces count as one.
    pub max: NonZeroUsize,
    /// What happens to one more.
    pub policy: LimitPolicy,
}

/// What happens when a sign-in finds the subject's sessions at their limit.
///
/// Under both, a session whose secret was not presented within 60 s of its sign-in, because the
/// answer was lost, is the first to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitPolicy {
    /// End the session that was signed in first.
    #[default]
    EndOldest,
    /// Refuse the sign-in.
    Refuse,
}
