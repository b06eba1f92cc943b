//! Names of entries and of subjects: what a session's parts and owners may be called.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name of an entry or a subject, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text cannot be the name of an entry or a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than [`MAX_NAME_BYTES`].
    #[error("a name of {0} bytes is over the {MAX_NAME_BYTES} allowed")]
    TooLong(usize),
    /// The text contains a NUL character.
    #[error("a name must not contain NUL")]
    Nul,
}

/// What every name is held to.
pub(crate) fn check_name(text: &str) -> Result<(), InvalidName> {
    match text.len() {
        0 => Err(InvalidName::Empty),
        len if len > MAX_NAME_BYTES => Err(InvalidName::TooLong(len)),
        _ if text.contains('\0') => Err(InvalidName::Nul),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            ///
            /// If it is empty, longer than [`MAX_NAME_BYTES`], or contains NUL.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                check_name(text.as_ref()).map(|()| Self(text.as_ref().into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name! {
    /// The user, or service, that a session belongs to: any non-empty text without NUL, of at most
    /// [`MAX_NAME_BYTES`] bytes, compared byte for byte.
    ///
    /// ```
    /// use session_core::Subject;
    ///
    /// assert!(Subject::new("alice").is_ok());
    /// assert!(Subject::new("").is_err());
    /// ```
    Subject
}

name! {
    /// The name of one entry of a session: any non-empty text without NUL, of at most
    /// [`MAX_NAME_BYTES`] bytes.
    ///
    /// Names that begin with [`RESERVED_PREFIX`] hold what the lifecycle itself keeps in a session.
    /// [`Change::clear`](crate::Change) leaves them alone.
    ///
    /// ```
    /// use session_core::EntryName;
    ///
    /// assert!(EntryName::new("cart").is_ok_and(|name| !name.is_reserved()));
    /// assert!(EntryName::new("a\0b").is_err());
    /// ```
    EntryName
}

/// What the name of an entry begins with that the lifecycle keeps for itself: the CSRF token, a
/// ticket between the steps of a sign-in, labels, a refresh counter.
pub const RESERVED_PREFIX: &str = "session:";

impl EntryName {
    /// Whether the name begins with [`RESERVED_PREFIX`].
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        is_reserved(self.as_str())
    }
}

pub(crate) fn is_reserved(name: impl AsRef<[u8]>) -> bool {
    name.as_ref().starts_with(RESERVED_PREFIX.as_bytes())
}
