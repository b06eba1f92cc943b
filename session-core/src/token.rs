//! What stands in the client's cookie: a secret, and the token that carries it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::id::SessionId;
use crate::random;

/// 128 random bits from the operating system that only the client's cookie holds.
///
/// A store keeps [`SessionSecret::hash`] alone. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SessionSecret([u8; 16]);

impl SessionSecret {
    /// A new secret.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// The SHA-256 of the secret: what a record keeps of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// The SHA-256 of a [`SessionSecret`]. Compared in constant time; useless as a cookie.
#[derive(Clone, Copy, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// An id and a secret: what a client presents.
///
/// Only [`TokenFormat`] turns one into text and back.
#[derive(Clone, Debug)]
pub struct SessionToken {
    /// The public id of the session.
    pub id: SessionId,
    /// The secret that proves the client may use it.
    pub secret: SessionSecret,
}

const PLAIN: usize = 16 + 16;
const MAC: usize = 8;

/// How tokens are spelled: base64url without padding, exactly one spelling each, and, if the
/// application gives a key, eight bytes of HMAC-SHA-256 that keep invented tokens from any store.
///
/// ```
/// use session_core::{SessionId, SessionSecret, SessionToken, Shard, TokenFormat};
///
/// let format = TokenFormat::default();
/// let token = SessionToken {
///     id: SessionId::generate(Shard::random()),
///     secret: SessionSecret::generate(),
/// };
/// let text = format.encode(&token);
/// assert_eq!(text.len(), 43);
/// assert_eq!(format.decode(text.as_bytes()).map(|read| read.id), Some(token.id));
/// assert!(format.decode(b"not a token").is_none());
/// ```
#[derive(Clone, Default)]
pub struct TokenFormat {
    key: Option<[u8; 32]>,
}

impl TokenFormat {
    /// Tokens that carry a MAC under `key`, 54 characters long.
    #[must_use]
    pub const fn with_mac(key: &[u8; 32]) -> Self {
        Self { key: Some(*key) }
    }

    /// The token's text: 43 characters of base64url, or 54 with a MAC.
    #[must_use]
    pub fn encode(&self, token: &SessionToken) -> String {
        let mut bytes = Vec::with_capacity(PLAIN + MAC);
        bytes.extend_from_slice(token.id.as_bytes());
        bytes.extend_from_slice(&token.secret.0);
        if let Some(mac) = self.mac(&bytes) {
            bytes.extend_from_slice(&mac);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token that `text` spells, or nothing: a wrong length, alphabet, trailing bits or MAC.
    ///
    /// Needs no store and takes the same short time for any input, however long.
    #[must_use]
    pub fn decode(&self, text: &[u8]) -> Option<SessionToken> {
        let len = if self.key.is_some() {
            PLAIN + MAC
        } else {
            PLAIN
        };
        if text.len() != (len * 4).div_ceil(3) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (plain, mac) = bytes.split_at_checked(PLAIN)?;
        if let Some(expected) = self.mac(plain)
            && !bool::from(expected.as_slice().ct_eq(mac))
        {
            return None;
        }
        let (id, secret) = plain.split_at_checked(16)?;
        Some(SessionToken {
            id: SessionId::from_bytes(id.try_into().ok()?),
            secret: SessionSecret(secret.try_into().ok()?),
        })
    }

    fn mac(&self, plain: &[u8]) -> Option<[u8; MAC]> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.as_ref()?).ok()?;
        let digest = mac
            .chain_update(b"token")
            .chain_update(plain)
            .finalize()
            .into_bytes();
        digest.first_chunk().copied()
    }
}

impl fmt::Debug for TokenFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFormat")
            .field("mac", &self.key.is_some())
            .finish()
    }
}
