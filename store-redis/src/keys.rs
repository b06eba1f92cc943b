//! What everything is called on the server.
//!
//! | key | what |
//! |---|---|
//! | `{prefix}{beef}:s:{id}` | a session: a packed record, or for 60 s after its end what is remembered of it |
//! | `{prefix}{beef}:u:{subject}` | the ids of a subject's sessions, by when they were signed in |
//! | `{prefix}{beef}:f:{subject}` | a subject's fence |
//! | `{prefix}{beef}:t:{nonce}` | the latest try under a ticket, after the first |
//! | `{prefix}{beef}:w:{number}` | the next record of a session, for the moment before it is renamed |
//! | `{prefix}{meta}:sharding` | how subjects are placed in shards |
//!
//! `{beef}` in braces is a shard in hexadecimal, and the part by which a cluster places keys: whatever
//! concerns one subject is in one slot. The feed's channel is `{prefix}feed`.

use session_core::{SessionId, Shard, Subject};

/// The prefix of all keys of a store.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Box<str>,
}

/// The tag of what concerns no shard.
pub(crate) const META: &str = "meta";

/// The longest prefix, in bytes.
const LONGEST: usize = 64;

impl Keys {
    /// Keys that begin with `prefix`, if that cannot be mistaken for anything else in a key.
    pub(crate) fn new(prefix: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-/".contains(&byte);
        if prefix.is_empty() || prefix.len() > LONGEST || !prefix.bytes().all(is_plain) {
            return Err(format!(
                "a prefix is 1 to {LONGEST} ASCII letters, digits, or any of . _ : - /"
            ));
        }
        Ok(Self {
            prefix: prefix.into(),
        })
    }

    /// What the names of a shard's sessions begin with. Their ids follow.
    pub(crate) fn session_stem(&self, shard: Shard) -> String {
        format!("{}{{{}}}:s:", self.prefix, tag(shard))
    }

    pub(crate) fn session(&self, id: SessionId) -> String {
        let digits = digits(id.as_bytes());
        let mut key = String::with_capacity(self.prefix.len() + 41);
        key.push_str(&self.prefix);
        key.push('{');
        key.extend(digits.clone().take(4));
        key.push_str("}:s:");
        key.extend(digits);
        key
    }

    /// What the names of the indices of a shard's subjects begin with. The subjects follow.
    pub(crate) fn index_stem(&self, shard: Shard) -> String {
        format!("{}{{{}}}:u:", self.prefix, tag(shard))
    }

    pub(crate) fn index(&self, shard: Shard, subject: &Subject) -> String {
        format!("{}{subject}", self.index_stem(shard))
    }

    pub(crate) fn fence(&self, shard: Shard, subject: &Subject) -> String {
        format!("{}{{{}}}:f:{subject}", self.prefix, tag(shard))
    }

    pub(crate) fn latest_try(&self, shard: Shard, nonce: u64) -> String {
        format!("{}{{{}}}:t:{nonce:016x}", self.prefix, tag(shard))
    }

    pub(crate) fn staged(&self, shard: Shard, number: u64) -> String {
        format!("{}{{{}}}:w:{number:016x}", self.prefix, tag(shard))
    }

    pub(crate) fn sharding(&self) -> String {
        format!("{}{{{META}}}:sharding", self.prefix)
    }

    pub(crate) fn rights(&self) -> String {
        format!("{}{{{META}}}:rights", self.prefix)
    }

    /// The channel of the feed.
    pub(crate) fn feed(&self) -> String {
        format!("{}feed", self.prefix)
    }

    /// What matches the keys of all sessions, for `SCAN`.
    pub(crate) fn all_sessions(&self) -> String {
        format!("{}{{????}}:s:*", self.prefix)
    }
}

/// The part of a shard's keys by which a cluster places them.
pub(crate) fn tag(shard: Shard) -> String {
    digits(&shard.number().to_be_bytes()).collect()
}

/// Bytes in hexadecimal, without the machinery of formatting: some are needed at every call.
fn digits(bytes: &[u8]) -> impl Iterator<Item = char> + Clone {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
}

/// The id at the end of a session's key.
pub(crate) fn id_of(key: &[u8]) -> Option<SessionId> {
    let id = key.get(key.len().checked_sub(32)?..)?;
    str::from_utf8(id).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_shard_have_its_tag_and_no_other() {
        let keys = Keys::new("app:").unwrap();
        let (shard, subject) = (Shard::new(0xbeef), Subject::new("{0001}:s:x").unwrap());
        let id = SessionId::generate(shard);
        for key in [
            keys.session(id),
            keys.index(shard, &subject),
            keys.fence(shard, &subject),
            keys.latest_try(shard, 7),
            keys.staged(shard, 7),
        ] {
            assert!(key.starts_with("app:{beef}:"), "{key}");
        }
        let key = keys.session(id);
        assert_eq!(key, format!("{}{id}", keys.session_stem(shard)));
        assert_eq!(id_of(key.as_bytes()), Some(id));
    }

    #[test]
    fn a_prefix_that_would_change_the_tag_or_a_pattern_is_refused() {
        for prefix in ["", "a{b", "a}b", "a*", "a?", "[a]", "a b", "ä", "a\\"] {
            assert!(Keys::new(prefix).is_err(), "{prefix:?}");
        }
        assert!(Keys::new(&"a".repeat(65)).is_err());
        assert!(Keys::new("a").is_ok());
    }
}
