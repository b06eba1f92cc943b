//! Changing a record: in one statement where that is exact, else under the row's lock.

use session_core::{
    Application, Applied, Bounds, Change, Deadline, Record, Refusal, Revision, SessionId,
    StoreError, Timestamp,
};
use sqlx::postgres::PgRow;

use crate::connections::Call;
use crate::failure;
use crate::parts::Apply;
use crate::row::{self, State, Stored, millis};
use crate::store::{NAME, PostgresStore};

impl Apply {
    /// The change in one statement, if its result depends on the clock in nothing but the last use: those
    /// that judge secrets or set a deadline are computed under the row's lock, where the clock is known.
    fn of(id: SessionId, change: &Change, seen: Option<&Record>, bounds: &Bounds) -> Option<Self> {
        if change.promotion().is_some()
            || change.renewal().is_some()
            || change.shortening().is_some()
        {
            return None;
        }
        let revision_seen = seen.map(|seen| seen.revision().to_u64());
        let mut part = Self {
            id,
            replaces: change.guard().map(Revision::to_u64),
            revision: None,
            touches: change.touches(),
            settles_predecessor: change.settles_predecessor(),
            edited: None,
            seen: revision_seen,
        };
        if !change.is_pure_touch() {
            let seen = seen?;
            // A refusal is only ever given from a fresh copy.
            let edited = seen.apply(change, seen.last_seen_at(), bounds).ok()?;
            part.replaces = revision_seen;
            part.revision = Some(change.revision().to_u64());
            part.edited = change.has_edits().then_some(edited);
        }
        Some(part)
    }
}

impl PostgresStore {
    pub(crate) async fn change(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let shared = self.shared();
        let deadline = shared.connections.deadline();
        if let Some(part) = Apply::of(id, change, seen, &shared.facts.bounds)
            && let Some(row) = shared.applying.call(part, deadline).await?
            && let Some(application) = self.judged_change(change, seen, &row)?
        {
            return Ok(application);
        }
        self.change_under_lock(deadline, id, change).await
    }

    /// Nothing, if the caller's copy was out of date.
    fn judged_change(
        &self,
        change: &Change,
        seen: Option<&Record>,
        row: &PgRow,
    ) -> Result<Option<Application>, StoreError> {
        let is_applied: bool = row::last(row)?;
        let (previous, now) =
            begun(row, seen).map_err(|error| if is_applied { error.unknown() } else { error })?;
        match previous.apply(change, now, &self.shared().facts.bounds) {
            Ok(record) if is_applied || change.is_pure_touch() => {
                Ok(Some(Application::Applied { previous, record }))
            }
            Err(Refusal::Absent) => Ok(Some(Application::Absent)),
            Err(Refusal::Conflict) => Ok(Some(Application::Conflict)),
            Ok(_) | Err(Refusal::TooLarge(_)) => Ok(None),
        }
    }

    async fn change_under_lock(
        &self,
        deadline: Deadline,
        id: SessionId,
        change: &Change,
    ) -> Result<Application, StoreError> {
        let mut call = self.shared().connections.call(deadline).await?;
        call.begin().await?;
        let answer = self.write_held(&mut call, id, change).await;
        if let Ok(Application::Applied { .. }) = answer {
            call.commit().await?;
        } else {
            // If it fails the connection is closed, which has the same effect.
            let _ = call.rollback().await;
        }
        answer
    }

    async fn write_held(
        &self,
        call: &mut Call,
        id: SessionId,
        change: &Change,
    ) -> Result<Application, StoreError> {
        let Some((previous, now)) = self.held(call, id).await? else {
            return Ok(Application::Absent);
        };
        match previous.apply(change, now, &self.shared().facts.bounds) {
            Ok(record) => {
                self.write(call, id, change, &previous, &record).await?;
                Ok(Application::Applied { previous, record })
            }
            Err(Refusal::Absent) => Ok(Application::Absent),
            Err(Refusal::Conflict) => Ok(Application::Conflict),
            Err(Refusal::TooLarge(reason)) => Err(StoreError::too_large(NAME, reason)),
        }
    }

    /// The record in a row, once its lock is held, and what the clock shows then.
    pub(crate) async fn held(
        &self,
        call: &mut Call,
        id: SessionId,
    ) -> Result<Option<(Record, Timestamp)>, StoreError> {
        let query = sqlx::query(self.shared().statements.hold.clone())
            .bind(&id.as_bytes()[..])
            .bind(self.test_now());
        let row = call.row(query, Applied::No).await?;
        row.map(|row| begun(&row, None)).transpose()
    }

    async fn write(
        &self,
        call: &mut Call,
        id: SessionId,
        change: &Change,
        previous: &Record,
        record: &Record,
    ) -> Result<(), StoreError> {
        let shared = self.shared();
        let header = record.header();
        let is_renewed = previous.slots().ne(record.slots());
        let query = sqlx::query(shared.statements.write.clone())
            .bind(&id.as_bytes()[..])
            .bind(millis(header.last_seen_at))
            .bind(millis(header.deadline))
            .bind(header.revision.to_u64().cast_signed())
            .bind(record.was_presented())
            .bind(header.predecessor.map(|id| id.as_bytes().to_vec()))
            .bind(row::packed(&header.slots))
            .bind(change.has_edits().then(|| record.entries_block()))
            .bind(shared.channel.as_deref().filter(|_| is_renewed));
        // Until the commit is sent, nothing is applied.
        call.row(query, Applied::No).await?;
        Ok(())
    }
}

/// The record in a row of one that has not ended.
fn begun(row: &PgRow, seen: Option<&Record>) -> Result<(Record, Timestamp), StoreError> {
    match row::stored(row, seen)? {
        Stored {
            state: State::Begun(record),
            now,
        } => Ok((record, now)),
        Stored { .. } => Err(failure::contradiction()),
    }
}
