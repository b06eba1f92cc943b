//! Public session ids, and the shard that a session shares with its subject.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::name::Subject;
use crate::random;

/// The 16 bits by which a session and its subject are placed together.
///
/// A signed-in session's shard is a hash of its subject; an anonymous one's is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// The shard of this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// A random shard, for an anonymous session.
    #[must_use]
    pub fn random() -> Self {
        Self(u16::from_be_bytes(random::bytes()))
    }

    /// The shard's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// How subjects are placed in shards: a hash, keyed if the application gives a key.
///
/// Without a key the shard of a known subject can be computed by anyone who knows its name; with one
/// it cannot. All servers of one store must agree: a store keeps [`Sharding::fingerprint`] and refuses
/// a server that brings another with [`ErrorKind::Config`](crate::ErrorKind::Config).
///
/// ```
/// use session_core::{Sharding, Subject};
///
/// let alice = Subject::new("alice")?;
/// assert_eq!(Sharding::default().shard_of(&alice), Sharding::default().shard_of(&alice));
/// assert_ne!(Sharding::default().fingerprint(), Sharding::keyed(&[7; 32]).fingerprint());
/// # Ok::<(), session_core::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sharding {
    key: Option<[u8; 32]>,
}

impl Sharding {
    /// The version of the function from subject to shard.
    pub const VERSION: u8 = 1;

    /// Sharding by a hash under `key`.
    #[must_use]
    pub const fn keyed(key: &[u8; 32]) -> Self {
        Self { key: Some(*key) }
    }

    /// The shard of `subject`.
    #[must_use]
    pub fn shard_of(&self, subject: &Subject) -> Shard {
        let [high, low, ..] = self.digest(b"shard", subject.as_str().as_bytes());
        Shard(u16::from_be_bytes([high, low]))
    }

    /// The function's version and a fingerprint of its key: equal on servers that may share a store.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, ..] = self.digest(b"fingerprint", b"");
        [Self::VERSION, a, b, c, d, e, f, g]
    }

    fn digest(&self, purpose: &[u8], data: &[u8]) -> [u8; 32] {
        match self
            .key
            .as_ref()
            .map(|key| Hmac::<Sha256>::new_from_slice(key))
        {
            Some(Ok(mac)) => mac
                .chain_update(purpose)
                .chain_update(data)
                .finalize()
                .into_bytes()
                .into(),
            _ => Sha256::new()
                .chain_update(purpose)
                .chain_update(data)
                .finalize()
                .into(),
        }
    }
}

impl fmt::Debug for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharding")
            .field("keyed", &self.key.is_some())
            .finish()
    }
}

/// The stable, public id of a session: its shard and 112 random bits. It grants nothing, and is fit
/// for logs, device lists and the `sid` claim of a token.
///
/// Its one spelling is 32 lowercase hexadecimal digits, the first four its shard.
///
/// ```
/// use session_core::{SessionId, Shard};
///
/// let id = SessionId::generate(Shard::new(0xbeef));
/// let text = id.to_string();
/// assert!(text.starts_with("beef"));
/// assert_eq!(text.parse::<SessionId>().ok(), Some(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new id in `shard`, its other 112 bits from the operating system.
    #[must_use]
    pub fn generate(shard: Shard) -> Self {
        let mut bytes = random::bytes();
        [bytes[0], bytes[1]] = shard.number().to_be_bytes();
        Self(bytes)
    }

    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes: the shard, big-endian, and the random part.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The shard that the session and its subject share.
    #[must_use]
    pub const fn shard(&self) -> Shard {
        Shard(u16::from_be_bytes([self.0[0], self.0[1]]))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A text that is not 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 lowercase hexadecimal digits")]
pub struct InvalidSessionId;

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        let mut bytes = [0; 16];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidSessionId);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(digit: u8) -> Result<u8, InvalidSessionId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidSessionId),
    }
}
