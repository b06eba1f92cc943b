//! The store in front of the source.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Freshness, Loaded, NewRecord, Record,
    SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};

use super::feed::Tasks;
use super::options::CachedBuilder;
use super::tier::Tier;
use super::usage::CachedUsage;

/// A tier in front of any store that can [`Watch`](session_core::Watch): it answers from memory that a
/// session lives. Clones share it.
///
/// # What it promises
///
/// The application states a *bound*. A session that was ended anywhere is refused here at the latest that
/// long after the end was acknowledged, whatever becomes of the way on which ends are told, and at once
/// after an end through this tier itself.
///
/// - **It never says no.** That a session is absent, ended or expired is told by the source alone, by a
///   load that began after the question. Those who ask for one session at a time share a load: one runs,
///   and those who ask meanwhile wait for the next.
/// - **It answers only while it holds a lease.** Every third of the bound it sends a nonce the way of the
///   ends ([`Watch::echo`](session_core::Watch::echo)). One that comes back is good for the bound, counted
///   from the instant at which it was sent. So a feed that is cut, slow or stuck stops the tier by itself.
///   Whenever something may have been missed, all copies go, and the lease with them.
/// - **It holds nothing that was overtaken.** A load, or what a change gave, becomes a copy only if nothing
///   was told of the session since it began.
/// - **It writes nothing of its own.** Changes go to the source, begun from the best copy there is; a
///   refusal is only ever given by the source. [`Freshness::Source`] always asks it.
///
/// # What may be stale
///
/// Only entries, last uses and labels that *another* server changed, for as long as
/// [`max_age`](CachedBuilder::max_age), which is the bound unless set; less if the source tells of
/// [changes](session_core::FeedItem::Changed). Never whether the login lives beyond the bound, never what
/// this tier changed itself, and never what a guarded change or `update` is decided by.
///
/// Each server records a use that is due by its own copy. A session that several servers serve within
/// one `max_age` may so be touched once by each, and no more.
///
/// A copy that has expired by the tier's clock is not answered from. Where the source goes by another
/// clock, a session may seem to live longer by as much as the two differ, and never by more than `max_age`.
///
/// # Time limits
///
/// A load that has to wait for another one takes as long as two of the source's calls at most.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{Freshness, Loaded, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Timeouts};
/// use store_memory::{Cached, MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // In an application: a store on a server.
/// let source = MemoryStore::new();
/// let store = Cached::builder(source, Duration::from_secs(10)).start()?;
///
/// let id = SessionId::generate(Shard::random());
/// let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default());
/// store.create(id, &record).await?;
/// assert!(matches!(store.load(id, Freshness::Any).await?, Loaded::Live(_)));
///
/// store.delete(id).await?;
/// assert!(matches!(store.load(id, Freshness::Any).await?, Loaded::Ended(_)));
/// # Ok::<(), session_core::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cached<S> {
    tier: Arc<Tier<S>>,
    tasks: Arc<Tasks>,
}

impl<S: SessionStore> Cached<S> {
    /// A tier to set up, in front of `source`.
    ///
    /// `bound` is how long a session that was ended elsewhere may still be taken for live: seconds, and at
    /// least 30 ms. A third of it passes between two nonces, so what it costs is three small messages in
    /// that time for each server; and the way of the ends may take two thirds of it before the tier falls
    /// back to asking the source.
    pub fn builder(source: S, bound: Duration) -> CachedBuilder<S> {
        CachedBuilder::new(source, bound)
    }

    /// What it has done, and what it holds.
    #[must_use]
    pub fn usage(&self) -> CachedUsage {
        self.tier.usage()
    }

    pub(crate) fn over(tier: Arc<Tier<S>>, tasks: Tasks) -> Self {
        let tasks = Arc::new(tasks);
        Self { tier, tasks }
    }
}

impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self {
            tier: Arc::clone(&self.tier),
            tasks: Arc::clone(&self.tasks),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("source", &self.tier.source)
            .field("bound", &self.tier.lease.bound())
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for Cached<S> {
    fn facts(&self) -> &StoreFacts {
        self.tier.source.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.tier.source.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        // A new session overtakes nothing: what the source gives is held as if it were loaded.
        let began = self.tier.begin();
        let creation = self.tier.source.create(id, record).await?;
        if let Creation::Created(record) = &creation {
            self.tier.copies.install(id, record.clone(), began);
        }
        Ok(creation)
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        if freshness == Freshness::Any
            && let Some(record) = self.tier.recall(id)
        {
            return Ok(Loaded::Live(record));
        }
        self.tier.ask_source(id).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let hint = self.tier.hint(id);
        let write = self.tier.begin_write(id);
        let source = &self.tier.source;
        let applied = source.apply(id, change, hint.as_ref().or(seen)).await?;
        if let Application::Applied { record, .. } = &applied {
            write.gave(record);
        }
        Ok(applied)
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let _write = self.tier.begin_write(id);
        self.tier.source.delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.tier.source.ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let began = self.tier.begin();
        let source = &self.tier.source;
        let admission = source.sign_in(ticket, id, record, limit).await?;
        if let Admission::Admitted { record, ended } = &admission {
            self.tier.copies.install(id, record.clone(), began);
            for id in ended {
                self.tier.copies.invalidate(*id);
            }
        }
        Ok(admission)
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.tier.source.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.tier.source.revoke(subject, except).await?;
        for id in &ended {
            self.tier.copies.invalidate(*id);
        }
        Ok(ended)
    }
}
