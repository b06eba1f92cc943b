//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Applied, Change, Clock, Coalescer, Creation, Deadline,
    ErrorKind, Fence, Freshness, LimitPolicy, Loaded, NewRecord, REMEMBERED, Record, SessionId,
    SessionStore, SignInLimit, Stamps, StoreError, StoreFacts, Subject, Ticket, Timestamp,
};
use sqlx::postgres::PgRow;

use crate::coalesced::Coalesced;
use crate::connections::Connections;
use crate::failure::contradiction;
use crate::feed::Telling;
use crate::options::PostgresStoreBuilder;
use crate::parts::{Apply, Create, Load};
use crate::row::{self, State, Stored, millis};
use crate::server::PostgresServer;
use crate::statements::Statements;

/// The store's name in errors, logs and metrics.
pub(crate) const NAME: &str = "postgres";

/// Sessions in PostgreSQL. Clones share their connections.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

/// What clones share.
pub(crate) struct Shared {
    pub(crate) facts: StoreFacts,
    pub(crate) statements: Statements,
    pub(crate) connections: Connections,
    pub(crate) loading: Coalescer<Coalesced<Load>>,
    pub(crate) creating: Coalescer<Coalesced<Create>>,
    pub(crate) applying: Coalescer<Coalesced<Apply>>,
    pub(crate) test_clock: Option<Arc<dyn Clock>>,
    pub(crate) telling: Telling,
    /// Where ends and renewals are told, if they are.
    pub(crate) channel: Option<String>,
}

impl PostgresStore {
    /// A store to set up: where its tables stand, how many connections it holds.
    pub fn builder(server: impl Into<PostgresServer>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(server.into())
    }

    pub(crate) fn over(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// What the test clock shows, if there is one: each statement takes it instead of the server's.
    pub(crate) fn test_now(&self) -> Option<i64> {
        self.0.test_clock.as_ref().map(|clock| millis(clock.now()))
    }

    /// The session in a row, judged by the clock that was read with it.
    async fn judged(
        &self,
        deadline: Deadline,
        id: SessionId,
        row: &PgRow,
    ) -> Result<Loaded, StoreError> {
        let Stored { state, now } = row::stored(row, None)?;
        Ok(match state {
            State::Begun(record) if record.is_live(now) => Loaded::Live(record),
            // A touch that judged the session live may be about to commit. Only who holds the row's lock
            // can say that there is none.
            State::Begun(record) if self.may_be_touched(&record, now) => {
                let mut call = self.0.connections.call(deadline).await?;
                match self.held(&mut call, id).await? {
                    Some((record, now)) if record.is_live(now) => Loaded::Live(record),
                    _ => Loaded::Absent,
                }
            }
            State::Ended(ended) if now < ended.at + REMEMBERED => Loaded::Ended(ended),
            State::Begun(_) | State::Ended(_) => Loaded::Absent,
        })
    }

    /// Whether a step that began before the session expired could still keep it alive: no step lasts
    /// longer than the time limit.
    fn may_be_touched(&self, record: &Record, now: Timestamp) -> bool {
        let limit = self.0.connections.time_limit();
        now < record.deadline() && now < record.expires_at() + limit.saturating_mul(2)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("facts", &self.0.facts)
            .field("connections", &self.0.connections)
            .finish_non_exhaustive()
    }
}

/// Every statement judges the session by a clock that it reads once it holds the lock, and takes locks in
/// one order: the subject's, then its sessions'.
#[async_trait]
impl SessionStore for PostgresStore {
    fn facts(&self) -> &StoreFacts {
        &self.0.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        abilities.purge = Some(self);
        abilities.watch = Some(self);
        abilities.scan = Some(self);
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        let (draft, stamps) = record.anonymous(Timestamp::MIN);
        if record.check(&self.0.facts.bounds).is_ok() {
            let part = Create {
                id,
                draft: draft.clone(),
            };
            let deadline = self.0.connections.deadline();
            if let Some(row) = self.0.creating.call(part, deadline).await? {
                let instant = row::get(&row, 0).map_err(StoreError::unknown)?;
                return Ok(Creation::Created(draft.shifted(stamps, instant)));
            }
        }
        match self.begin(id, record, None).await? {
            Admission::Admitted { record, .. } => Ok(Creation::Created(record)),
            _ => Ok(Creation::Exists),
        }
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        let deadline = self.0.connections.deadline();
        match self.0.loading.call(Load { id }, deadline).await? {
            Some(row) => self.judged(deadline, id, &row).await,
            None => Ok(Loaded::Absent),
        }
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.change(id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let query = sqlx::query(self.0.statements.delete.clone())
            .bind(&id.as_bytes()[..])
            .bind(self.test_now())
            .bind(self.0.channel.as_deref());
        let mut call = self.0.connections.begin().await?;
        Ok(call.row(query, Applied::Unknown).await?.is_some())
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        let query = sqlx::query(self.0.statements.ticket.clone())
            .bind(subject.as_str())
            .bind(self.test_now());
        let mut call = self.0.connections.begin().await?;
        let row = call.row(query, Applied::No).await?;
        let row = row.ok_or_else(contradiction)?;
        let (now, fence): (i64, Option<i64>) = (row::get(&row, 0)?, row::get(&row, 1)?);
        let fence = Fence::from_u64(fence.unwrap_or_default().cast_unsigned());
        Ok(Ticket::new(subject.clone(), fence, row::instant(now)))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if self.0.facts.sharding.shard_of(ticket.subject()) != id.shard() {
            return Err(StoreError::new(NAME, ErrorKind::Config)
                .because("the id is not in its subject's shard"));
        }
        self.begin(id, record, Some((ticket, limit))).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let query = sqlx::query(self.0.statements.sessions_of.clone())
            .bind(subject.as_str())
            .bind(self.test_now());
        let deadline = self.0.connections.deadline();
        let mut call = self.0.connections.call(deadline).await?;
        let rows = call.rows(query, Applied::No).await?;
        drop(call);
        let mut sessions = Vec::new();
        for row in rows {
            let id = row::id(row::last(&row)?)?;
            if let Loaded::Live(record) = self.judged(deadline, id, &row).await? {
                sessions.push((id, record));
            }
        }
        Ok(sessions)
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let query = sqlx::query(self.0.statements.revoke.clone())
            .bind(self.test_now())
            .bind(subject.as_str())
            .bind(except.map(|id| id.as_bytes().to_vec()))
            .bind(self.0.channel.as_deref());
        let mut call = self.0.connections.begin().await?;
        let row = call.row(query, Applied::Unknown).await?;
        row.ok_or_else(contradiction)
            .and_then(|row| row::ids(&row, 0))
            .map_err(StoreError::unknown)
    }
}

impl PostgresStore {
    /// Makes a session, of a ticket's subject or of nobody, as one step of the server.
    async fn begin(
        &self,
        id: SessionId,
        new: &NewRecord,
        sign_in: Option<(&Ticket, Option<SignInLimit>)>,
    ) -> Result<Admission, StoreError> {
        let (ticket, limit) = sign_in.unzip();
        let limit = limit.flatten();
        let fence = ticket.map(|ticket| ticket.fence().to_u64().map(i64::try_from));
        let fence = match fence {
            None => None,
            Some(Some(Ok(fence))) => Some(fence),
            // No fence of this store.
            Some(_) => return Ok(Admission::Revoked),
        };
        // As if it were 1970: the server adds the instant at which it begins.
        let (draft, stamps): (Record, Stamps) = match ticket {
            Some(ticket) => new.signed_in(ticket, Timestamp::MIN),
            None => new.anonymous(Timestamp::MIN),
        };
        let header = draft.header();
        let too_large = new.check(&self.0.facts.bounds).err();
        let entries = too_large.is_none().then(|| draft.entries_block());
        let query = sqlx::query(self.0.statements.begin.clone())
            .bind(self.test_now())
            .bind(&id.as_bytes()[..])
            .bind(header.revision.to_u64().cast_signed())
            .bind(millis(header.deadline))
            .bind(header.idle.map(row::duration_millis))
            .bind(header.renewal.map(row::duration_millis))
            .bind(draft.was_presented())
            .bind(row::packed(&header.slots))
            .bind(header.predecessor.map(|id| id.as_bytes().to_vec()))
            .bind(entries)
            .bind(ticket.map(|ticket| ticket.subject().as_str()))
            .bind(ticket.map(|ticket| ticket.nonce().cast_signed()))
            .bind(ticket.map(|ticket| i64::from(ticket.attempt())))
            .bind(ticket.map(|ticket| millis(ticket.issued_at())))
            .bind(fence)
            .bind(row::duration_millis(self.0.facts.ticket_life))
            .bind(limit.map(|limit| i64::try_from(limit.max.get()).unwrap_or(i64::MAX)))
            .bind(limit.is_none_or(|limit| limit.policy == LimitPolicy::EndOldest))
            .bind(self.0.channel.as_deref());
        let mut call = self.0.connections.begin().await?;
        let row = call.row(query, Applied::Unknown).await?;
        let row = row.ok_or_else(contradiction)?;
        match row::get(&row, 0)? {
            "begun" => {
                let begun = || Ok((row::get(&row, 1)?, row::ids(&row, 2)?));
                let (instant, ended) = begun().map_err(StoreError::unknown)?;
                let record = draft.shifted(stamps, instant);
                Ok(Admission::Admitted { record, ended })
            }
            "revoked" => Ok(Admission::Revoked),
            "exists" => Ok(Admission::Exists),
            "limit" => Ok(Admission::LimitReached),
            _ => match too_large {
                Some(reason) => Err(StoreError::too_large(NAME, reason)),
                None => Err(contradiction().unknown()),
            },
        }
    }
}
