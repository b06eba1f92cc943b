//! The contract between the lifecycle and its backends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::change::Change;
use crate::error::StoreError;
use crate::feed::Feed;
#[cfg(doc)]
use crate::feed::FeedItem;
use crate::id::{SessionId, Sharding};
use crate::limits::{Bounds, SignInLimit};
use crate::name::Subject;
use crate::record::{NewRecord, Record};
use crate::ticket::{TICKET_LIFE, Ticket};
use crate::time::Timestamp;
use crate::token::SecretHash;

/// A backend that keeps sessions.
///
/// The numbered clauses of this contract stand in `ARCHITECTURE.md`, and `session-conformance` proves
/// them. In short: every verb is one atomic step; a dead session stays dead; what was acknowledged is
/// not lost; every call ends within the store's time limit; and "out of reach" is never "not there".
///
/// Methods have no defaults, so that a wrapper cannot miss one.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// What holds of this store: data, not behaviour.
    fn facts(&self) -> &StoreFacts;

    /// What this store can do besides.
    fn abilities(&self) -> Abilities<'_>;

    /// Inserts an anonymous session that begins now.
    ///
    /// # Errors
    ///
    /// `Full` when the store is at 80 % of its bound, so that visitors never keep users from signing
    /// in; `TooLarge`; `Unavailable`.
    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError>;

    /// Reads a session.
    ///
    /// # Errors
    ///
    /// `Unavailable` whenever the store cannot be certain, `Corrupt` if the record cannot be read.
    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError>;

    /// Applies a change to a live session: [`Record::apply`] as one atomic step.
    ///
    /// `seen` is the caller's copy, from which a store may start. It is a hint: a refusal is only ever
    /// given from a fresh copy.
    ///
    /// # Errors
    ///
    /// `TooLarge`, `Unavailable`, `Corrupt`.
    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError>;

    /// Ends a session, of whatever kind. Says whether it was this call that ended a live one.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    async fn delete(&self, id: SessionId) -> Result<bool, StoreError>;

    /// Reads the subject's fence, before credentials are checked.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError>;

    /// Inserts a session of the ticket's subject, lists it, and keeps the limit: one atomic step, as
    /// [`admit`](crate::admit) describes.
    ///
    /// Refused as [`Admission::Revoked`] if the ticket is stale, if the fence was raised since, or if a
    /// later try under the same ticket arrived before.
    ///
    /// # Errors
    ///
    /// `Config` if the id is not in its subject's shard; `Full`, `TooLarge`, `Unavailable`.
    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError>;

    /// Every live session of a subject.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError>;

    /// Raises the subject's fence and ends all its sessions but `except`: one atomic step. Returns the
    /// ids of those that it ended.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError>;
}

/// A shared store is a store, so that one store can stand in front of another whatever that is.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn facts(&self) -> &StoreFacts {
        (**self).facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        (**self).abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        (**self).create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        (**self).load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        (**self).apply(id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        (**self).delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        (**self).ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        (**self).sign_in(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        (**self).sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        (**self).revoke(subject, except).await
    }
}

/// A store as the lifecycle holds it.
pub type SharedStore = Arc<dyn SessionStore>;

/// What holds of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreFacts {
    /// Its name in errors, logs and metrics.
    pub name: &'static str,
    /// What its answers promise of one another.
    pub consistency: Consistency,
    /// Whose clock stamps and judges its sessions.
    pub clock: ClockSource,
    /// How it places subjects in shards.
    pub sharding: Sharding,
    /// How large its sessions may grow.
    pub bounds: Bounds,
    /// How long its tickets are good for.
    pub ticket_life: Duration,
}

impl StoreFacts {
    /// The facts of a linearizable store of this name, by an injected clock, else by default.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            consistency: Consistency::Linearizable,
            clock: ClockSource::Injected,
            sharding: Sharding::default(),
            bounds: Bounds::default(),
            ticket_life: TICKET_LIFE,
        }
    }
}

/// What a store's answers promise of one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// Every call takes effect at one instant between its start and its end.
    Linearizable,
    /// Every call on one session does. One on all that a subject has may take effect on some of them before
    /// the others, but on all between its start and its end.
    PerSession,
    /// Calls through one node do; between nodes a call takes effect once it has reached the other.
    Eventual,
}

/// Whose clock stamps and judges a store's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockSource {
    /// The [`Clock`](crate::Clock) given to the store.
    Injected,
    /// The server's.
    Server,
}

/// What a store can do besides the contract.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Abilities<'a> {
    /// It needs to be told to remove what has expired.
    pub purge: Option<&'a dyn PurgeExpired>,
    /// It tells of sessions that ended or were renewed.
    pub watch: Option<&'a dyn Watch>,
    /// It can walk all its sessions.
    pub scan: Option<&'a dyn Scan>,
}

/// How recent a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// A copy will do, within the bound that a cache states. It can only say *live*.
    Any,
    /// From the source, by a read that began after the call.
    Source,
}

/// What became of [`SessionStore::create`].
#[derive(Clone, Debug)]
pub enum Creation {
    /// The session is there.
    Created(Record),
    /// The id is taken, or was until less than 60 s ago.
    Exists,
}

/// What [`SessionStore::load`] found.
#[derive(Clone, Debug)]
pub enum Loaded {
    /// A live session.
    Live(Record),
    /// A session that was ended less than 60 s ago.
    Ended(Ended),
    /// Nothing, or a session that expired.
    Absent,
}

/// What a store keeps of a session for [`REMEMBERED`](crate::REMEMBERED) after its end, so that a late
/// request is known from a forged one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When it ended.
    pub at: Timestamp,
    /// The secrets that it still knew then.
    pub secrets: Vec<SecretHash>,
}

impl Ended {
    /// What is kept of `record`, which ends at `now`.
    #[must_use]
    pub fn of(record: &Record, now: Timestamp) -> Self {
        Self {
            at: now,
            secrets: record.slots().map(|slot| slot.hash).collect(),
        }
    }
}

/// What became of [`SessionStore::apply`].
#[derive(Clone, Debug)]
pub enum Application {
    /// The change is applied.
    Applied {
        /// The record before it.
        previous: Record,
        /// The record after it.
        record: Record,
    },
    /// There is no such live session.
    Absent,
    /// The guard did not match, or the secret to renew may not be replaced.
    Conflict,
}

/// What became of [`SessionStore::sign_in`].
#[derive(Clone, Debug)]
pub enum Admission {
    /// The session is there and listed.
    Admitted {
        /// The session.
        record: Record,
        /// Those that made room for it, or that an earlier try had made.
        ended: Vec<SessionId>,
    },
    /// The ticket is no longer good.
    Revoked,
    /// The id is taken, or was until less than 60 s ago.
    Exists,
    /// The subject has as many sessions as it may.
    LimitReached,
}

/// Removing what has expired, for stores that do not do so by themselves.
#[async_trait]
pub trait PurgeExpired: fmt::Debug + Send + Sync {
    /// Removes at most `batch` expired sessions; returns how many it removed.
    ///
    /// # Errors
    ///
    /// `Unavailable`. What was removed stays removed.
    async fn purge_expired(&self, batch: usize) -> Result<usize, StoreError>;
}

/// Telling of sessions that ended or were renewed.
#[async_trait]
pub trait Watch: fmt::Debug + Send + Sync {
    /// A feed of what happens from now on, whichever clone or server did it. That a session expired is told
    /// once, when what is left of it is removed, by stores that remove it themselves.
    fn watch(&self) -> Feed;

    /// Sends `nonce` the way of the ends, to come out of the feeds as [`FeedItem::Echo`]: whoever meets it
    /// there has met every end that was acknowledged before this call began, or a
    /// [`Gap`](FeedItem::Gap) since. So a feed that is cut, slow or stuck is known by what does not come
    /// back.
    ///
    /// `Ok` says that it was sent. It comes back to the feeds of this store, may come back to those of
    /// other servers, and may be lost.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it cannot be sent the way of all ends; `Config` if the store was told to listen to
    /// none.
    async fn echo(&self, nonce: u64) -> Result<(), StoreError>;
}

/// Walking all sessions, for people and for moves between stores. Never on a request's way.
#[async_trait]
pub trait Scan: fmt::Debug + Send + Sync {
    /// At most `limit` live sessions whose ids follow `after`, in the order of their ids.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Corrupt`.
    async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError>;
}
