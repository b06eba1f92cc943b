//! Records as rows: a header's fields as columns, the secrets and the entries as one `bytea` each.

use std::time::Duration;

use session_core::{
    Ended, Header, Owner, Record, Revision, SecretHash, SessionId, Slot, Standing, StoreError,
    Subject, Timestamp,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::failure::Failure;
use crate::store::NAME;

/// A secret's hash, when it was issued, until when it is accepted, and its standing. Integers are
/// big-endian.
const SLOT: usize = 32 + 8 + 8 + 1;

/// Where the columns stand in the rows that a statement gives.
mod at {
    pub(super) const ENDED: usize = 8;
    pub(super) const SECRETS: usize = 10;
    pub(super) const ENTRIES: usize = 12;
    pub(super) const NOW: usize = 13;
    pub(super) const LAST: usize = 14;
}

/// A row that holds no record.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the stored row is corrupt: {0}")]
struct Corrupt(&'static str);

/// What a row holds of a session, and what the clock showed when it was read.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
}

/// A session as it stands in a row.
#[derive(Debug)]
pub(crate) enum State {
    /// Live, or expired.
    Begun(Record),
    Ended(Ended),
}

/// Reads a row. Entries that it does not repeat are those of `seen`.
pub(crate) fn stored(row: &PgRow, seen: Option<&Record>) -> Result<Stored, StoreError> {
    let now = instant(get(row, at::NOW)?);
    let state = match get::<Option<i64>>(row, at::ENDED)? {
        Some(at) => State::Ended(Ended {
            at: instant(at),
            secrets: slots(row)?.into_iter().map(|slot| slot.hash).collect(),
        }),
        None => {
            let entries = get::<Option<&[u8]>>(row, at::ENTRIES)?
                .or(seen.map(Record::entries_block))
                .ok_or_else(|| corrupt(Corrupt("it has no entries")))?;
            let record = Record::from_parts(&header(row)?, entries)
                .map_err(|reason| StoreError::corrupt(NAME, reason))?;
            State::Begun(record)
        }
    };
    Ok(Stored { state, now })
}

/// The column after the instant.
pub(crate) fn last<'r, T>(row: &'r PgRow) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    get(row, at::LAST)
}

/// Whose row it is of those that a statement over arrays was asked for: its last column.
pub(crate) fn whose(row: &PgRow) -> Result<SessionId, StoreError> {
    id(get(row, row.len().saturating_sub(1))?)
}

pub(crate) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index)
        .map_err(|error| Failure::of(error, session_core::Applied::No).error)
}

pub(crate) fn id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt(Corrupt("an id is not 16 bytes")))?;
    Ok(SessionId::from_bytes(bytes))
}

/// The ids in a column of type `bytea[]`.
pub(crate) fn ids(row: &PgRow, index: usize) -> Result<Vec<SessionId>, StoreError> {
    let ids = get::<Option<Vec<Vec<u8>>>>(row, index)?.unwrap_or_default();
    ids.iter().map(|bytes| id(bytes)).collect()
}

pub(crate) fn millis(instant: Timestamp) -> i64 {
    // Never above 2^53.
    instant.as_millis().cast_signed()
}

pub(crate) fn duration_millis(duration: Duration) -> i64 {
    millis(Timestamp::MIN + duration)
}

pub(crate) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// The secrets as they stand in their column.
pub(crate) fn packed(slots: &[Slot]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(slots.len() * SLOT);
    for slot in slots {
        bytes.extend_from_slice(slot.hash.as_bytes());
        bytes.extend_from_slice(&slot.issued_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(&slot.accepted_until.as_millis().to_be_bytes());
        bytes.push(match slot.standing {
            Standing::Unpresented => 0,
            Standing::Current => 1,
            Standing::Former => 2,
        });
    }
    bytes
}

fn header(row: &PgRow) -> Result<Header, StoreError> {
    let duration = |millis: Option<i64>| millis.map(|millis| instant(millis).since(Timestamp::MIN));
    let predecessor = get::<Option<&[u8]>>(row, 9)?;
    Ok(Header {
        created_at: instant(get(row, 0)?),
        last_seen_at: instant(get(row, 1)?),
        deadline: instant(get(row, 2)?),
        revision: Revision::from_u64(get::<i64>(row, 3)?.cast_unsigned()),
        idle: duration(get(row, 4)?),
        renewal: duration(get(row, 5)?),
        slots: slots(row)?,
        owner: owner(row)?,
        predecessor: predecessor.map(id).transpose()?,
    })
}

fn owner(row: &PgRow) -> Result<Option<Owner>, StoreError> {
    let Some(subject) = get::<Option<&str>>(row, 11)? else {
        return Ok(None);
    };
    let (nonce, attempt): (Option<i64>, Option<i64>) = (get(row, 6)?, get(row, 7)?);
    let bad = || corrupt(Corrupt("its owner is incomplete"));
    Ok(Some(Owner {
        subject: Subject::new(subject).map_err(|_| corrupt(Corrupt("its subject is no name")))?,
        nonce: nonce.ok_or_else(bad)?.cast_unsigned(),
        attempt: attempt
            .and_then(|attempt| attempt.try_into().ok())
            .ok_or_else(bad)?,
    }))
}

fn slots(row: &PgRow) -> Result<Vec<Slot>, StoreError> {
    unpacked(get(row, at::SECRETS)?).map_err(corrupt)
}

fn unpacked(bytes: &[u8]) -> Result<Vec<Slot>, Corrupt> {
    let (slots, rest) = bytes.as_chunks::<SLOT>();
    if !rest.is_empty() || slots.len() > 4 {
        return Err(Corrupt("its secrets are cut short"));
    }
    slots.iter().map(slot).collect()
}

fn slot(packed: &[u8; SLOT]) -> Result<Slot, Corrupt> {
    let cut = || Corrupt("its secrets are cut short");
    let (hash, rest) = packed.split_first_chunk::<32>().ok_or_else(cut)?;
    let (issued, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    let (until, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    Ok(Slot {
        hash: SecretHash::from_bytes(*hash),
        issued_at: Timestamp::from_millis(u64::from_be_bytes(*issued)),
        accepted_until: Timestamp::from_millis(u64::from_be_bytes(*until)),
        standing: match rest {
            [0] => Standing::Unpresented,
            [1] => Standing::Current,
            [2] => Standing::Former,
            _ => return Err(Corrupt("a secret's standing is unknown")),
        },
    })
}

fn corrupt(reason: Corrupt) -> StoreError {
    StoreError::new(NAME, session_core::ErrorKind::Corrupt).because(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_slot(standing: Standing) -> Slot {
        Slot {
            hash: SecretHash::from_bytes([7; 32]),
            issued_at: Timestamp::from_millis(1_700_000_000_123),
            accepted_until: Timestamp::MAX,
            standing,
        }
    }

    #[test]
    fn secrets_come_back_as_they_were_packed() {
        let slots = [
            some_slot(Standing::Former),
            some_slot(Standing::Current),
            some_slot(Standing::Unpresented),
        ];
        assert_eq!(unpacked(&packed(&slots)).unwrap(), slots);
    }

    #[test]
    fn secrets_that_are_cut_short_or_unknown_are_corrupt() {
        let mut bytes = packed(&[some_slot(Standing::Current)]);
        assert!(unpacked(&bytes[1..]).is_err());
        *bytes.last_mut().unwrap() = 3;
        assert!(unpacked(&bytes).is_err());
        assert!(unpacked(&packed(&[some_slot(Standing::Current); 5])).is_err());
    }
}
