//! What each verb adds to a statement over arrays.

use session_core::{Record, SessionId};
use sqlx::postgres::{PgArguments, PgBindIterExt as _};
use sqlx::query::Query;
use sqlx::{Postgres, SqlStr};

use crate::coalesced::Part;
use crate::row::{self, millis};

/// About how many bytes a part takes besides its entries.
const FIXED_BYTES: usize = 128;

/// A session to read.
pub(crate) struct Load {
    pub(crate) id: SessionId,
}

/// A session of nobody to begin, drafted as if it were 1970.
pub(crate) struct Create {
    pub(crate) id: SessionId,
    pub(crate) draft: Record,
}

/// What is written to a session, if it is found as expected.
pub(crate) struct Apply {
    pub(crate) id: SessionId,
    /// The revision that the record must have; any, for a touch.
    pub(crate) replaces: Option<u64>,
    /// The revision that it gets, unless it is only touched.
    pub(crate) revision: Option<u64>,
    pub(crate) touches: bool,
    pub(crate) settles_predecessor: bool,
    /// The record with the edits, if there are any.
    pub(crate) edited: Option<Record>,
    /// The revision of the caller's copy, whose entries need not come back.
    pub(crate) seen: Option<u64>,
}

impl Part for Load {
    const CHANGES: bool = false;

    fn id(&self) -> &SessionId {
        &self.id
    }

    fn bytes(&self) -> usize {
        FIXED_BYTES
    }

    fn query(
        parts: &[Self],
        statement: SqlStr,
        now: Option<i64>,
    ) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(statement)
            .bind(parts.iter().map(id).bind_iter())
            .bind(now)
    }
}

impl Part for Create {
    const CHANGES: bool = true;

    fn id(&self) -> &SessionId {
        &self.id
    }

    fn bytes(&self) -> usize {
        FIXED_BYTES + self.draft.entries_block().len()
    }

    fn query(
        parts: &[Self],
        statement: SqlStr,
        now: Option<i64>,
    ) -> Query<'_, Postgres, PgArguments> {
        let headers: Vec<_> = parts.iter().map(|part| part.draft.header()).collect();
        let headers = headers.iter();
        let predecessors = headers.clone().map(|header| header.predecessor);
        sqlx::query(statement)
            .bind(now)
            .bind(parts.iter().map(id).bind_iter())
            .bind(
                headers
                    .clone()
                    .map(|header| header.revision.to_u64().cast_signed())
                    .bind_iter(),
            )
            .bind(
                headers
                    .clone()
                    .map(|header| millis(header.deadline))
                    .bind_iter(),
            )
            .bind(
                headers
                    .clone()
                    .map(|header| header.idle.map(row::duration_millis))
                    .bind_iter(),
            )
            .bind(
                headers
                    .clone()
                    .map(|header| header.renewal.map(row::duration_millis))
                    .bind_iter(),
            )
            .bind(
                headers
                    .clone()
                    .map(|header| row::packed(&header.slots))
                    .bind_iter(),
            )
            .bind(
                predecessors
                    .map(|id| id.map(|id| id.as_bytes().to_vec()))
                    .bind_iter(),
            )
            .bind(
                parts
                    .iter()
                    .map(|part| part.draft.entries_block())
                    .bind_iter(),
            )
    }
}

impl Part for Apply {
    const CHANGES: bool = true;

    fn id(&self) -> &SessionId {
        &self.id
    }

    fn bytes(&self) -> usize {
        let entries = self
            .edited
            .as_ref()
            .map_or(0, |record| record.entries_block().len());
        FIXED_BYTES + entries
    }

    fn query(
        parts: &[Self],
        statement: SqlStr,
        now: Option<i64>,
    ) -> Query<'_, Postgres, PgArguments> {
        let signed = |revision: Option<u64>| revision.map(u64::cast_signed);
        sqlx::query(statement)
            .bind(parts.iter().map(id).bind_iter())
            .bind(now)
            .bind(parts.iter().map(|part| signed(part.replaces)).bind_iter())
            .bind(parts.iter().map(|part| signed(part.revision)).bind_iter())
            .bind(parts.iter().map(|part| part.touches).bind_iter())
            .bind(
                parts
                    .iter()
                    .map(|part| part.settles_predecessor)
                    .bind_iter(),
            )
            .bind(
                parts
                    .iter()
                    .map(|part| part.edited.as_ref().map(Record::entries_block))
                    .bind_iter(),
            )
            .bind(parts.iter().map(|part| signed(part.seen)).bind_iter())
    }
}

fn id<P: Part>(part: &P) -> &[u8] {
    part.id().as_bytes()
}
