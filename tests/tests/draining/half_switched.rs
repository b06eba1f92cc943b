//! Two servers that drain the same stores, of which one has switched, as one store.

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Draining, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SharedStore, SignInLimit, StoreError, StoreFacts, Subject,
    Ticket,
};

type Server = Draining<SharedStore, SharedStore>;

/// Two servers behind a balancer. An id says which of them makes the session, so that of all sessions of a
/// case half are in each store; everything else they do in turns, by the same id or subject.
#[derive(Clone, Debug)]
pub(crate) struct HalfSwitched {
    reading: Server,
    switched: Server,
    /// Which of the two does the rest.
    first: bool,
}

impl HalfSwitched {
    /// Two handles, of which each does what the other does not.
    pub(crate) fn handles(new: [SharedStore; 2], old: [SharedStore; 2]) -> [Self; 2] {
        let ([new, new_too], [old, old_too]) = (new, old);
        let reading = Draining::new(new, old).expect("stores that shard alike");
        let switched = Draining::new(new_too, old_too).expect("stores that shard alike");
        switched.switch();
        [true, false].map(|first| Self {
            reading: reading.clone(),
            switched: switched.clone(),
            first,
        })
    }

    fn maker(&self, id: SessionId) -> &Server {
        if id.as_bytes()[15].is_multiple_of(2) {
            &self.reading
        } else {
            &self.switched
        }
    }

    fn other(&self, id: SessionId) -> &Server {
        if id.as_bytes()[14].is_multiple_of(2) == self.first {
            &self.reading
        } else {
            &self.switched
        }
    }

    fn either(&self) -> &Server {
        if self.first {
            &self.reading
        } else {
            &self.switched
        }
    }
}

#[async_trait]
impl SessionStore for HalfSwitched {
    fn facts(&self) -> &StoreFacts {
        self.reading.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.either().abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.maker(id).create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.other(id).load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.other(id).apply(id, change, seen).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.other(id).delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.either().ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.maker(id).sign_in(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.either().sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.either().revoke(subject, except).await
    }
}
