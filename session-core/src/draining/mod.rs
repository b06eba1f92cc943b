//! Moving a live application to another store: nobody is signed out, nothing is copied.
//!
//! # How
//!
//! A session stays in the store that it was made in until it ends. So nothing is ever copied, and
//! nothing that ended can come back to life. New sessions and sign-ins go to the new store; the old one is
//! served until it is empty. Servers are changed one after the other, in three steps, each of which may
//! take as long as it likes:
//!
//! | step | every server | |
//! |---|---|---|
//! | 1 | gets [`Draining::new`] | reads both, creates in the old one; beside servers that know the old one alone |
//! | 2 | calls [`Draining::switch`] | reads both, creates in the new one; beside servers in step 1 |
//! | 3 | gets the new store alone | once [`Draining::left`] says that the old one is empty |
//!
//! No server may take step 2 before all have taken step 1: one that knows the old store alone would not
//! find what is in the new one. A store that is draining can itself be drained.
//!
//! # What holds
//!
//! - **A session is in one store**, so every call on it takes effect at one instant, as there. It is looked
//!   for in both, first where most were found of late. A "no" needs both: if one is out of reach, only the
//!   other's "yes" is an answer. Two servers never make up the same id; `create` and `sign_in` look in the
//!   other store before they begin one.
//! - **A list is a moment's.** [`SessionStore::sessions_of`] reads the new store, the old, and the new
//!   again, and lists what was in the new both times: all of it lived when the old one was read.
//! - **A ticket carries both fences,** each with the instant at which its store issued it. Revoking raises
//!   the new store's fence first and then the old one's: each ends what its store holds and refuses older
//!   tickets from then on. The new one first, because sessions are made there: if the second step fails, what
//!   is left over can only become fewer. Then the outcome is unknown, and calling again is safe. A ticket that
//!   a server with another set-up issued signs nobody in where its fence cannot be read: it is `Revoked`.
//! - **The limit holds over both,** however many servers sign somebody in at the same time: [`sign_in`].
//! - **A later try** under one ticket ends what an earlier one made in either store, and is made known to
//!   both, so that an earlier one that arrives after it is refused.
//! - **Two clocks.** Each session goes by the clock of its store. Only which session is the oldest of a
//!   subject is judged across both: servers' clocks should agree as closely as that should be exact.
//! - **Facts:** the weaker consistency, and at best [`Consistency::PerSession`]; the smaller bounds; the
//!   shorter life of a ticket; the injected clock only if both have it.
//! - **Abilities:** it purges what either needs purged, and watches and scans if both can.
//!
//! [`sign_in`]: SessionStore::sign_in

mod abilities;
mod fence;
mod sign_in;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::change::Change;
use crate::error::{Applied, ErrorKind, StoreError};
use crate::id::SessionId;
use crate::lifecycle::queue::Queues;
use crate::limits::{Bounds, SignInLimit};
use crate::name::{EntryName, RESERVED_PREFIX, Subject};
use crate::record::{NewRecord, Record};
use crate::store::{
    Abilities, Admission, Application, ClockSource, Consistency, Creation, Freshness, Loaded,
    SessionStore, StoreFacts,
};
use crate::ticket::Ticket;

/// The store's name in errors that are its own; those of its two stores keep theirs.
const NAME: &str = "draining";

/// How many sessions are walked at a time to count them.
const PAGE: usize = 1_000;

/// Sessions in two stores, of which the old one is served until it is empty. Clones share everything.
///
/// See the [module](self) for the steps to take, and for what holds meanwhile.
///
/// ```
/// use session_core::{Draining, HandlerOutcome, Presented, Sessions};
/// use store_memory::MemoryStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (old, new) = (MemoryStore::new(), MemoryStore::new());
/// let store = Draining::new(new.clone(), old.clone())?;
/// let sessions = Sessions::new(store.clone());
///
/// let visit = async || {
///     let session = sessions.open(Presented::nothing());
///     session.insert("cart", &["a book"]).await?;
///     session.commit(HandlerOutcome::Answered).await;
///     Ok::<_, session_core::SessionError>(())
/// };
/// visit().await?;
/// store.switch();
/// visit().await?;
/// assert_eq!((old.usage().sessions, new.usage().sessions), (1, 1));
/// assert_eq!(store.left(100).await?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Draining<New, Old>(Arc<Shared<New, Old>>);

struct Shared<New, Old> {
    new: New,
    old: Old,
    facts: StoreFacts,
    /// What begins the fences of its tickets.
    label: String,
    /// The entry of a session that waits: its sign-in has yet to see who makes room for it.
    waits: EntryName,
    has_switched: AtomicBool,
    /// Where the last session was found: where the next is looked for first.
    found_in_old: AtomicBool,
    /// Sign-ins of a shard, one at a time in this process.
    turns: Queues,
}

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    New,
    Old,
}

impl Place {
    const fn other(self) -> Self {
        match self {
            Self::New => Self::Old,
            Self::Old => Self::New,
        }
    }
}

impl<New: SessionStore, Old: SessionStore> Draining<New, Old> {
    /// Reads both stores, and creates in the old one.
    ///
    /// # Errors
    ///
    /// `Config` if the two place subjects in shards differently.
    pub fn new(new: New, old: Old) -> Result<Self, StoreError> {
        let facts = facts(new.facts(), old.facts())?;
        let label = format!("{}+{}", new.facts().name, old.facts().name);
        // A name of its own, for what drains into one that drains as well.
        let waits = EntryName::new(format!("{RESERVED_PREFIX}waits:{label}"));
        let waits = waits.map_err(|error| config().because(error))?;
        Ok(Self(Arc::new(Shared {
            new,
            old,
            facts,
            label,
            waits,
            has_switched: AtomicBool::new(false),
            found_in_old: AtomicBool::new(true),
            turns: Queues::default(),
        })))
    }

    /// Creates in the new store from now on. Only once every server reads both.
    ///
    /// What is under way still ends up in the old one.
    pub fn switch(&self) {
        self.0.has_switched.store(true, Ordering::SeqCst);
    }

    /// Whether sessions are created in the new store.
    #[must_use]
    pub fn has_switched(&self) -> bool {
        self.0.has_switched.load(Ordering::SeqCst)
    }

    /// How many live sessions the old store holds: counted up to `at_most`, of which 1 is enough to know
    /// whether it is empty. `None` if it cannot tell, because it has no [`Scan`](crate::Scan).
    ///
    /// Once every server has switched, an old store that is empty stays so.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn left(&self, at_most: usize) -> Result<Option<usize>, StoreError> {
        let Some(scan) = self.0.old.abilities().scan else {
            return Ok(None);
        };
        let (mut count, mut after) = (0, None);
        while count < at_most {
            let page = scan.scan(after, PAGE.min(at_most - count)).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            count += page.len();
        }
        Ok(Some(count))
    }

    fn at(&self, place: Place) -> &dyn SessionStore {
        match place {
            Place::New => &self.0.new,
            Place::Old => &self.0.old,
        }
    }

    /// Where sessions are created.
    fn creates_in(&self) -> Place {
        if self.has_switched() {
            Place::New
        } else {
            Place::Old
        }
    }

    /// Asks where a session probably is, and if the answer is "no", the other. An error is passed on unless
    /// the other store has the session.
    async fn ask<'a, T>(
        &'a self,
        is_no: impl Fn(&T) -> bool + Send + 'a,
        question: impl Fn(&'a dyn SessionStore) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> Result<T, StoreError> {
        let first = if self.0.found_in_old.load(Ordering::Relaxed) {
            Place::Old
        } else {
            Place::New
        };
        let doubt = match question(self.at(first)).await {
            Ok(answer) if is_no(&answer) => None,
            Ok(answer) => return Ok(answer),
            Err(error) => Some(error),
        };
        match (question(self.at(first.other())).await, doubt) {
            (Ok(answer), doubt) if !is_no(&answer) => {
                drop(doubt);
                let is_old = first.other() == Place::Old;
                self.0.found_in_old.store(is_old, Ordering::Relaxed);
                Ok(answer)
            }
            (Ok(_), Some(error)) => Err(error),
            (Err(error), Some(doubt)) if doubt.applied() == Applied::Unknown => {
                Err(error.unknown())
            }
            (answer, _) => answer,
        }
    }

    /// Whether a session must not be made under `id` in the other store.
    async fn is_taken(&self, place: Place, id: SessionId) -> Result<bool, StoreError> {
        let loaded = self.at(place).load(id, Freshness::Source).await?;
        Ok(!matches!(loaded, Loaded::Absent))
    }
}

const fn config() -> StoreError {
    StoreError::new(NAME, ErrorKind::Config)
}

/// What holds of both.
fn facts(new: &StoreFacts, old: &StoreFacts) -> Result<StoreFacts, StoreError> {
    if new.sharding.fingerprint() != old.sharding.fingerprint() {
        return Err(config().because("the two stores place subjects in shards differently"));
    }
    let both_are = |clock| new.clock == clock && old.clock == clock;
    let is_eventual = [new, old]
        .iter()
        .any(|facts| facts.consistency == Consistency::Eventual);
    Ok(StoreFacts {
        name: NAME,
        consistency: if is_eventual {
            Consistency::Eventual
        } else {
            Consistency::PerSession
        },
        clock: if both_are(ClockSource::Injected) {
            ClockSource::Injected
        } else {
            ClockSource::Server
        },
        sharding: new.sharding.clone(),
        bounds: Bounds {
            value_bytes: new.bounds.value_bytes.min(old.bounds.value_bytes),
            session_bytes: new.bounds.session_bytes.min(old.bounds.session_bytes),
            entries: new.bounds.entries.min(old.bounds.entries),
        },
        ticket_life: new.ticket_life.min(old.ticket_life),
    })
}

#[async_trait]
impl<New: SessionStore, Old: SessionStore> SessionStore for Draining<New, Old> {
    fn facts(&self) -> &StoreFacts {
        &self.0.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        self.joint_abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        let place = self.creates_in();
        if self.is_taken(place.other(), id).await? {
            return Ok(Creation::Exists);
        }
        self.at(place).create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        let is_absent = |loaded: &Loaded| matches!(loaded, Loaded::Absent);
        self.ask(is_absent, move |store| store.load(id, freshness))
            .await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let is_absent = |applied: &Application| matches!(applied, Application::Absent);
        self.ask(is_absent, move |store| store.apply(id, change, seen))
            .await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.ask(|ended| !ended, move |store| store.delete(id))
            .await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        let (new, old) = tokio::try_join!(self.0.new.ticket(subject), self.0.old.ticket(subject))?;
        Ok(fence::join(&self.0.label, &new, &old))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.admit(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let seen = self.snapshot(subject).await?;
        let begun = seen.into_iter().filter(|one| self.has_begun(&one.record));
        Ok(begun.map(|one| (one.id, one.record)).collect())
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = self.0.new.revoke(subject, except).await?;
        let old = self.0.old.revoke(subject, except).await;
        ended.extend(old.map_err(StoreError::unknown)?);
        Ok(ended)
    }
}

impl<New, Old> Clone for Draining<New, Old> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<New: fmt::Debug, Old: fmt::Debug> fmt::Debug for Draining<New, Old> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining")
            .field("new", &self.0.new)
            .field("old", &self.0.old)
            .field("has_switched", &self.0.has_switched)
            .finish_non_exhaustive()
    }
}
