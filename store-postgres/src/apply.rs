//! Changing a record: in one statement where that is exact, else under the row's lock.

use session_core::{
    Application, Applied, Change, Record, Refusal, SessionId, StoreError, Timestamp,
};
use sqlx::postgres::PgRow;

use crate::connections::Call;
use crate::failure;
use crate::row::{self, State, Stored, millis};
use crate::store::{NAME, PostgresStore};

/// What one statement writes, if it finds the record as expected.
struct OneStep {
    /// The revision that the record must have; any, for a touch.
    replaces: Option<u64>,
    /// The record with the edits, if there are any.
    edited: Option<Record>,
}

impl OneStep {
    /// The step for a change whose result depends on the clock in nothing but the last use: those that
    /// judge secrets or set a deadline are computed under the row's lock, where the clock is known.
    fn of(change: &Change, seen: Option<&Record>, store: &PostgresStore) -> Option<Self> {
        if change.promotion().is_some()
            || change.renewal().is_some()
            || change.shortening().is_some()
        {
            return None;
        }
        if change.is_pure_touch() {
            return Some(Self {
                replaces: change.guard().map(|guard| guard.to_u64()),
                edited: None,
            });
        }
        let seen = seen?;
        // A refusal is only ever given from a fresh copy.
        let edited = seen
            .apply(change, seen.last_seen_at(), &store.shared().facts.bounds)
            .ok()?;
        Some(Self {
            replaces: Some(seen.revision().to_u64()),
            edited: change.has_edits().then_some(edited),
        })
    }
}

impl PostgresStore {
    pub(crate) async fn change(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let mut call = self.shared().connections.call().await?;
        if let Some(step) = OneStep::of(change, seen, self) {
            let answer = self
                .change_in_one_step(&mut call, id, change, seen, step)
                .await?;
            if let Some(application) = answer {
                return Ok(application);
            }
        }
        self.change_under_lock(&mut call, id, change).await
    }

    /// Nothing, if the caller's copy was out of date.
    async fn change_in_one_step(
        &self,
        call: &mut Call<'_>,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
        step: OneStep,
    ) -> Result<Option<Application>, StoreError> {
        let shared = self.shared();
        let revision = (!change.is_pure_touch()).then(|| change.revision().to_u64());
        let query = sqlx::query(shared.statements.apply.clone())
            .bind(&id.as_bytes()[..])
            .bind(self.test_now())
            .bind(step.replaces.map(u64::cast_signed))
            .bind(revision.map(u64::cast_signed))
            .bind(change.touches())
            .bind(change.settles_predecessor())
            .bind(step.edited.as_ref().map(Record::entries_block))
            .bind(seen.map(|seen| seen.revision().to_u64().cast_signed()));
        let Some(row) = call.row(query, Applied::Unknown).await? else {
            return Ok(Some(Application::Absent));
        };
        let is_applied: bool = row::last(&row)?;
        let (previous, now) =
            begun(&row, seen).map_err(|error| if is_applied { error.unknown() } else { error })?;
        match previous.apply(change, now, &shared.facts.bounds) {
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
        call: &mut Call<'_>,
        id: SessionId,
        change: &Change,
    ) -> Result<Application, StoreError> {
        call.begin().await?;
        let answer = self.write_held(call, id, change).await;
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
        call: &mut Call<'_>,
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
        call: &mut Call<'_>,
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
        call: &mut Call<'_>,
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
        call.row(query, Applied::No).await.map(drop)
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
