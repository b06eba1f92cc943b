//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, Shard, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};

use crate::capacity::Usage;
use crate::options::MemoryStoreBuilder;
use crate::stripe::Refused;
use crate::stripes::Stripes;

/// The store's name in errors, logs and metrics.
pub(crate) const NAME: &str = "memory";

/// Sessions in this process, gone when it ends. Clones share them.
///
/// It can purge, watch and scan. See the [crate](crate) for what it does when it is full, and for when
/// expired sessions leave.
///
/// ```
/// use session_core::SessionStore;
/// use store_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// assert_eq!(store.facts().name, "memory");
/// assert!(store.abilities().watch.is_some());
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    facts: StoreFacts,
    stripes: Stripes,
}

impl MemoryStore {
    /// A store that holds as many sessions as memory has room for.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store to set up: its bounds, its clock.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }

    /// How much the store holds. Not one instant: sessions come and go while it is summed up.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.stripes().used()
    }

    pub(crate) fn over(facts: StoreFacts, stripes: Stripes) -> Self {
        Self(Arc::new(Shared { facts, stripes }))
    }

    pub(crate) fn stripes(&self) -> &Stripes {
        &self.0.stripes
    }

    fn shard_of(&self, subject: &Subject) -> Shard {
        self.0.facts.sharding.shard_of(subject)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("facts", &self.0.facts)
            .finish_non_exhaustive()
    }
}

fn refused(why: Refused) -> StoreError {
    match why {
        Refused::TooLarge(reason) => StoreError::too_large(NAME, reason),
        Refused::NoRoom => StoreError::new(NAME, ErrorKind::Full),
    }
}

/// Every step is taken at once, under the lock of one stripe: no call waits for anything else, and a
/// future that is dropped was either never polled or is done.
#[async_trait]
impl SessionStore for MemoryStore {
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
        self.stripes()
            .step_with_room(id.shard(), |stripe, terms, now| {
                stripe.create(terms, now, id, record)
            })
            .map_err(refused)
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        Ok(self
            .stripes()
            .read(id.shard(), |stripe, now| stripe.load(id, now)))
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.stripes()
            .step_with_room(id.shard(), |stripe, terms, now| {
                stripe.apply(terms, now, id, change)
            })
            .map_err(refused)
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.stripes().step(id.shard(), |stripe, terms, now| {
            stripe.delete(terms, now, id)
        }))
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        Ok(self.stripes().read(self.shard_of(subject), |stripe, now| {
            stripe.ticket(now, subject)
        }))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if self.shard_of(ticket.subject()) != id.shard() {
            return Err(StoreError::new(NAME, ErrorKind::Config)
                .because("the id is not in its subject's shard"));
        }
        self.stripes()
            .step_with_room(id.shard(), |stripe, terms, now| {
                stripe.sign_in(terms, now, ticket, id, record, limit)
            })
            .map_err(refused)
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(self.stripes().read(self.shard_of(subject), |stripe, now| {
            stripe.sessions_of(now, subject)
        }))
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self
            .stripes()
            .step(self.shard_of(subject), |stripe, terms, now| {
                stripe.revoke(terms, now, subject, except)
            }))
    }
}
