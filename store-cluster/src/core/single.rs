//! The conformance suite on one replica without peers, behind nothing but a lock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::{Opened, Outcome, Suite};
use session_core::{
    Abilities, Admission, Application, Change, Clock, Creation, ErrorKind, Freshness, Loaded,
    ManualClock, NewRecord, Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts,
    Subject, Ticket,
};

use super::*;

const NAME: &str = "one replica";

/// One replica without peers as a store.
#[derive(Clone, Debug)]
struct Single {
    facts: Arc<StoreFacts>,
    clock: ManualClock,
    replica: Arc<Mutex<Replica>>,
}

impl Single {
    fn new(clock: ManualClock, max_sessions: usize) -> Self {
        let mut replica = Replica::new(ReplicaOptions {
            max_sessions,
            ..ReplicaOptions::new(Incarnation(1))
        });
        replica.cold_start(&mut Effects::new());
        Self {
            facts: Arc::new(StoreFacts::new(NAME)),
            clock,
            replica: Arc::new(Mutex::new(replica)),
        }
    }

    fn step<T>(
        &self,
        step: impl FnOnce(&mut Replica, Now, &mut Effects) -> Result<T, Refused>,
    ) -> Result<T, StoreError> {
        let mut replica = self.replica.lock();
        let now = Now {
            wall: self.clock.now(),
            uptime: Duration::ZERO,
        };
        let mut effects = Effects::new();
        replica.tick(now, &mut effects);
        step(&mut replica, now, &mut effects).map_err(|refused| match refused {
            Refused::Ask | Refused::Unavailable => StoreError::new(NAME, ErrorKind::Unavailable),
            Refused::TooLarge(reason) => StoreError::too_large(NAME, reason),
            Refused::Full => StoreError::new(NAME, ErrorKind::Full),
            Refused::Config => StoreError::new(NAME, ErrorKind::Config),
        })
    }
}

#[async_trait]
impl SessionStore for Single {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::default()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.step(|replica, now, effects| replica.create(now, id, record, effects))
            .map(|written| written.answer)
    }

    async fn load(&self, id: SessionId, _: Freshness) -> Result<Loaded, StoreError> {
        self.step(|replica, now, _| replica.load(now, id, Asked::No))
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.step(|replica, now, effects| replica.apply(now, id, change, Asked::No, effects))
            .map(|written| written.answer)
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.step(|replica, now, effects| replica.delete(now, id, Asked::No, effects))
            .map(|written| written.answer)
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.step(|replica, now, _| replica.ticket(now, subject))
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.step(|replica, now, effects| replica.sign_in(now, ticket, id, record, limit, effects))
            .map(|written| written.answer)
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.step(|replica, now, _| replica.sessions_of(now, subject))
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.step(|replica, now, effects| replica.revoke(now, subject, except, Asked::No, effects))
            .map(|written| written.answer)
    }
}

#[test]
fn one_replica_keeps_the_contract() {
    let clock = ManualClock::default();
    let (given, bounded) = (clock.clone(), clock.clone());
    let suite = Suite::new(move || {
        let store = Single::new(given.clone(), usize::MAX);
        async move { Opened::from(store.clone()).with_handle(store) }
    })
    .bounded(move |max| std::future::ready(Single::new(bounded.clone(), max)))
    .clock(clock);
    let mut passed = 0;
    let mut failed = Vec::new();
    for name in Suite::case_names() {
        match suite.run_case(name) {
            Outcome::Passed => passed += 1,
            Outcome::Ignored(_) => {}
            Outcome::Failed(why) => failed.push(format!("{name}: {why}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed > 50, "only {passed} cases ran");
}
