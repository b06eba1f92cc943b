//! What comes back: the answers of the scripts, and stored sessions.

use redis::Value;
use session_core::{
    Ended, Loaded, REMEMBERED, Record, SecretHash, SessionId, StoreError, Timestamp,
};

use crate::failure::unexpected;
use crate::store::NAME;

/// The answer of a script: the instant at which it did what it did, and more.
pub(crate) struct Answer {
    pub(crate) now: Timestamp,
    rest: std::vec::IntoIter<Value>,
    writes: bool,
}

impl Answer {
    pub(crate) fn read(value: Value, writes: bool) -> Result<Self, StoreError> {
        let Value::Array(values) = value else {
            return Err(unexpected(writes));
        };
        let mut answer = Self {
            now: Timestamp::MIN,
            rest: values.into_iter(),
            writes,
        };
        answer.now = Timestamp::from_millis(answer.number()?);
        Ok(answer)
    }

    pub(crate) fn number(&mut self) -> Result<u64, StoreError> {
        match self.rest.next() {
            Some(Value::Int(number)) => u64::try_from(number).map_err(|_| unexpected(self.writes)),
            _ => Err(unexpected(self.writes)),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.rest.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            // What some drivers make of a bulk string that is short.
            Some(Value::SimpleString(text)) => Ok(text.into_bytes()),
            _ => Err(unexpected(self.writes)),
        }
    }

    /// The ids of the rest.
    pub(crate) fn ids(mut self) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = Vec::with_capacity(self.rest.len());
        while !self.rest.as_slice().is_empty() {
            ids.push(self.id()?);
        }
        Ok(ids)
    }

    /// The sessions of the rest.
    pub(crate) fn sessions(mut self) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut sessions = Vec::with_capacity(self.rest.len() / 2);
        while !self.rest.as_slice().is_empty() {
            sessions.push((self.id()?, record(self.bytes()?)?));
        }
        Ok(sessions)
    }

    fn id(&mut self) -> Result<SessionId, StoreError> {
        let bytes = self.bytes()?;
        let id = str::from_utf8(&bytes).ok().and_then(|id| id.parse().ok());
        id.ok_or_else(|| unexpected(self.writes))
    }
}

/// The answer to a step that could have been taken with others, and was not.
pub(crate) fn only(value: Value) -> Value {
    match value {
        Value::Array(mut answers) if answers.len() == 1 => answers.pop().unwrap_or_default(),
        other => other,
    }
}

/// Two instants, packed: the answer of the script that is run most.
pub(crate) fn instants(value: &Value) -> Option<[Timestamp; 2]> {
    let Value::BulkString(bytes) = value else {
        return None;
    };
    let (instants, []) = bytes.as_chunks() else {
        return None;
    };
    let instants: &[_; 2] = instants.try_into().ok()?;
    Some(instants.map(|instant| Timestamp::from_millis(u64::from_be_bytes(instant))))
}

/// Reads a stored record.
pub(crate) fn record(bytes: Vec<u8>) -> Result<Record, StoreError> {
    Record::from_bytes(bytes).map_err(|reason| StoreError::corrupt(NAME, reason))
}

/// The first byte of what is remembered of an ended session. A record begins with its version.
const ENDED: u8 = 0;

/// Reads what stands under a session's key. The server keeps a key no longer than until its expiry: `now`
/// is only needed where another clock replaces the server's.
pub(crate) fn loaded(value: Value, now: Option<Timestamp>) -> Result<Loaded, StoreError> {
    let bytes = match value {
        Value::Nil => return Ok(Loaded::Absent),
        Value::BulkString(bytes) => bytes,
        _ => return Err(unexpected(false)),
    };
    let Some((&ENDED, rest)) = bytes.split_first() else {
        let record = record(bytes)?;
        return Ok(match now {
            Some(now) if !record.is_live(now) => Loaded::Absent,
            _ => Loaded::Live(record),
        });
    };
    let Some(ended) = ended(rest) else {
        return Err(StoreError::new(NAME, session_core::ErrorKind::Corrupt)
            .because("what is remembered of an ended session is cut short"));
    };
    Ok(match now {
        Some(now) if now >= ended.at + REMEMBERED => Loaded::Absent,
        _ => Loaded::Ended(ended),
    })
}

fn ended(bytes: &[u8]) -> Option<Ended> {
    let (at, hashes) = bytes.split_first_chunk()?;
    let (hashes, []) = hashes.as_chunks() else {
        return None;
    };
    Some(Ended {
        at: Timestamp::from_millis(u64::from_be_bytes(*at)),
        secrets: hashes
            .iter()
            .map(|hash| SecretHash::from_bytes(*hash))
            .collect(),
    })
}
