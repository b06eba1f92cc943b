//! Two stores by one clock, a server that has switched and one that has not.

use std::num::NonZeroUsize;

use session_core::{
    Admission, Change, Draining, LimitPolicy, ManualClock, NewRecord, SecretHash, SessionId,
    SessionSecret, SessionStore, SignInLimit, StoreError, Subject, Ticket, Timeouts,
};
use store_memory::MemoryStore;

use crate::uneven::Uneven;

pub(crate) type Server = Draining<Uneven, Uneven>;

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) new: Uneven,
    pub(crate) old: Uneven,
    /// Reads both and creates in the old one.
    pub(crate) reading: Server,
    /// Creates in the new one.
    pub(crate) switched: Server,
    pub(crate) alice: Subject,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::default();
        let store = || Uneven::new(MemoryStore::builder().clock(clock.clone()).build());
        let (new, old) = (store(), store());
        let server = || Draining::new(new.clone(), old.clone()).unwrap();
        let (reading, switched) = (server(), server());
        switched.switch();
        Self {
            clock,
            new,
            old,
            reading,
            switched,
            alice: Subject::new("alice").unwrap(),
        }
    }

    /// One of the two servers.
    pub(crate) fn server(&self, number: usize) -> &Server {
        [&self.reading, &self.switched][number % 2]
    }

    pub(crate) fn id(&self) -> SessionId {
        SessionId::generate(self.new.facts().sharding.shard_of(&self.alice))
    }

    /// A session of alice's that was presented, made by `server`.
    pub(crate) async fn presented(&self, server: &Server) -> SessionId {
        let (id, secret) = (self.id(), secret());
        let ticket = server.ticket(&self.alice).await.unwrap();
        let new = NewRecord::new(secret, Timeouts::default());
        let admission = server.sign_in(&ticket, id, &new, None).await.unwrap();
        assert!(matches!(admission, Admission::Admitted { .. }));
        let change = Change::new().promote(secret);
        server.apply(id, &change, None).await.unwrap();
        self.clock.advance(std::time::Duration::from_millis(1));
        id
    }

    pub(crate) async fn sign_in(
        &self,
        server: &Server,
        ticket: &Ticket,
        limit: Option<SignInLimit>,
    ) -> (SessionId, Result<Admission, StoreError>) {
        let id = self.id();
        let answer = server.sign_in(ticket, id, &new_record(), limit).await;
        (id, answer)
    }

    /// Alice's sessions, as a list shows them.
    pub(crate) async fn listed(&self) -> Vec<SessionId> {
        ids(&self.switched, &self.alice).await
    }
}

pub(crate) async fn ids(store: &dyn SessionStore, subject: &Subject) -> Vec<SessionId> {
    let sessions = store.sessions_of(subject).await.unwrap();
    let mut ids: Vec<_> = sessions.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids
}

pub(crate) fn secret() -> SecretHash {
    SessionSecret::generate().hash()
}

pub(crate) fn new_record() -> NewRecord {
    NewRecord::new(secret(), Timeouts::default())
}

pub(crate) fn at_most(max: usize, policy: LimitPolicy) -> Option<SignInLimit> {
    let max = NonZeroUsize::new(max)?;
    Some(SignInLimit { max, policy })
}

/// The seeds of a test: one from the environment alone, or so many.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("SESSION_TEST_SEED").ok();
    let given: Option<u64> = given.map(|seed| seed.parse().expect("a number"));
    let first = given.unwrap_or_else(|| session_core::Revision::random().to_u64() >> 16);
    let count = if given.is_some() { 1 } else { count };
    (0..count).map(move |number| first + number)
}
