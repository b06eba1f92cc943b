//! What the store can do besides the contract.

use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Applied, ErrorKind, Feed, FeedItem, PurgeExpired, Record, Scan, SessionId, StoreError, Watch,
};

use crate::feed::nonce_payload;
use crate::row::{self, State};
use crate::store::{NAME, PostgresStore};

/// How many rows one statement of a purge looks at: few enough that it ends in time and holds no lock
/// for long.
const STEP: usize = 256;
/// How many such statements one call sends at most.
const MAX_STEPS: usize = 64;
/// How much longer than a ticket's life what speaks against it is kept, so that a clock that is set back
/// by less brings no ticket back.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// Of several calls at once, on whatever servers, one works and the others return at once. What another
/// call holds is passed over. It also forgets what is left of ended sessions, and fences that no ticket
/// can be older than.
#[async_trait]
impl PurgeExpired for PostgresStore {
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        for _ in 0..MAX_STEPS {
            let step = STEP.min(batch - removed);
            let (looked, expired) = match self.purge_step(step).await {
                Ok(done) => done,
                // What was removed stays removed, and the caller comes again.
                Err(_) if removed > 0 => break,
                Err(error) => return Err(error),
            };
            removed += expired;
            if looked < step || removed >= batch {
                break;
            }
        }
        Ok(removed)
    }
}

impl PostgresStore {
    /// How many rows were looked at, and how many expired sessions among them were removed.
    async fn purge_step(&self, step: usize) -> Result<(usize, usize), StoreError> {
        let shared = self.shared();
        let memory = shared.facts.ticket_life.saturating_add(MARGIN);
        let query = sqlx::query(shared.statements.purge.clone())
            .bind(self.test_now())
            .bind(i64::try_from(step).unwrap_or(i64::MAX))
            .bind(row::duration_millis(memory));
        let mut call = shared.connections.begin().await?;
        let Some(row) = call.row(query, Applied::Unknown).await? else {
            return Ok((0, 0));
        };
        let looked: i64 = row::get(&row, 0)?;
        let expired = row::ids(&row, 1)?;
        for id in &expired {
            shared.telling.source().send(FeedItem::Expired(*id));
        }
        Ok((usize::try_from(looked).unwrap_or_default(), expired.len()))
    }
}

/// Tells what ended and what was renewed, on whatever server, in the order in which it was committed; and
/// what this store purged. When the connection on which it listens is lost, a gap, and another one when
/// there is a new one. A nonce is one more notification, so it comes after those that were committed before.
#[async_trait]
impl Watch for PostgresStore {
    fn watch(&self) -> Feed {
        self.shared().telling.source().subscribe()
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        let shared = self.shared();
        let Some(channel) = &shared.channel else {
            return Err(StoreError::new(NAME, ErrorKind::Config).because("the store has no feed"));
        };
        let query = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(channel)
            .bind(nonce_payload(nonce));
        let mut call = shared.connections.begin().await?;
        call.row(query, Applied::No).await?;
        Ok(())
    }
}

#[async_trait]
impl Scan for PostgresStore {
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let shared = self.shared();
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        let query = sqlx::query(shared.statements.scan.clone())
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(self.test_now());
        let rows = shared
            .connections
            .begin()
            .await?
            .rows(query, Applied::No)
            .await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            if let State::Begun(record) = row::stored(row, None)?.state {
                sessions.push((row::id(row::last(row)?)?, record));
            }
        }
        Ok(sessions)
    }
}
