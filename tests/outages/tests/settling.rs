//! Changes whose answer never came, and that arrive when nobody expects them any more: session-core settles
//! them, and does nothing twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Applied, Change, Creation, ErrorKind, Freshness, Loaded,
    NewRecord, Presented, Record, Session, SessionError, SessionId, SessionStore, Sessions,
    SharedStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};
use store_memory::MemoryStore;

/// What becomes of one try of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is applied, and the answer comes.
    Answered,
    /// It is applied, and no answer comes.
    Unanswered,
    /// It is on its way until after the next look at the session, and no answer comes.
    Late,
    /// It never arrives, and that is known.
    Refused,
    /// It never arrives, and that is not known.
    Vanished,
}

/// A store far away.
#[derive(Debug)]
struct Far {
    store: MemoryStore,
    fates: Mutex<VecDeque<Fate>>,
    on_its_way: Mutex<Vec<(SessionId, Change)>>,
}

impl Far {
    fn unavailable() -> StoreError {
        StoreError::new("far", ErrorKind::Unavailable)
    }
}

#[async_trait]
impl SessionStore for Far {
    fn facts(&self) -> &StoreFacts {
        self.store.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.store.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.store.create(id, record).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        let loaded = self.store.load(id, freshness).await;
        let arriving = std::mem::take(&mut *self.on_its_way.lock());
        for (id, change) in arriving {
            self.store.apply(id, &change, None).await?;
        }
        loaded
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let fate = self.fates.lock().pop_front();
        match fate.unwrap_or(Fate::Answered) {
            Fate::Answered => return self.store.apply(id, change, seen).await,
            Fate::Refused => return Err(Self::unavailable()),
            Fate::Vanished => {}
            Fate::Unanswered => {
                self.store.apply(id, change, seen).await?;
            }
            Fate::Late => {
                // As stores do it: by compare-and-swap on the revision that was seen.
                let guard = seen.map_or(change.revision(), Record::revision);
                let change = change.clone().guarded_by(guard);
                self.on_its_way.lock().push((id, change));
            }
        }
        Err(Self::unavailable().unknown())
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.store.delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.store.ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.store.sign_in(ticket, id, record, limit).await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.store.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.store.revoke(subject, except).await
    }
}

/// A session that has counted to one, on a store with these fates from now on.
async fn counted_to_one(fates: &[Fate]) -> (Arc<Far>, Session) {
    let far = Arc::new(Far {
        store: MemoryStore::new(),
        fates: Mutex::default(),
        on_its_way: Mutex::default(),
    });
    let store: SharedStore = Arc::<Far>::clone(&far);
    let sessions = Sessions::shared_builder(store).build();
    let session = sessions.open(Presented::nothing());
    count(&session).await.unwrap();
    far.fates.lock().extend(fates.iter().copied());
    (far, session)
}

async fn count(session: &Session) -> Result<u64, SessionError> {
    session
        .update("n", async |n: Option<u64>| n.unwrap_or(0) + 1)
        .await
}

/// What stands at the source once everything has arrived.
async fn stands(far: &Far, session: &Session) -> u64 {
    let id = session.id().await.unwrap().unwrap();
    far.load(id, Freshness::Source).await.unwrap();
    match far.store.load(id, Freshness::Source).await.unwrap() {
        Loaded::Live(record) => record.get("n").unwrap().parse().unwrap(),
        gone => panic!("{gone:?}"),
    }
}

fn is_unknown(error: &SessionError) -> bool {
    matches!(error, SessionError::Store(error) if error.applied() == Applied::Unknown)
}

#[tokio::test]
async fn a_try_that_arrives_between_the_look_and_the_next_try_is_found_and_not_repeated() {
    for fates in [
        &[Fate::Unanswered][..],
        &[Fate::Vanished],
        &[Fate::Vanished, Fate::Vanished],
        &[Fate::Late],
        &[Fate::Late, Fate::Vanished],
        &[Fate::Late, Fate::Refused],
        &[Fate::Vanished, Fate::Late],
        &[Fate::Vanished, Fate::Unanswered],
        &[Fate::Late, Fate::Late],
    ] {
        let (far, session) = counted_to_one(fates).await;
        assert_eq!(count(&session).await.unwrap(), 2, "{fates:?}");
        assert_eq!(stands(&far, &session).await, 2, "{fates:?}");
    }
}

#[tokio::test]
async fn after_a_try_in_doubt_no_later_refusal_says_that_nothing_was_done() {
    for fates in [
        &[Fate::Vanished, Fate::Refused, Fate::Refused][..],
        &[Fate::Vanished, Fate::Vanished, Fate::Refused],
        &[Fate::Vanished, Fate::Vanished, Fate::Vanished],
        &[Fate::Vanished, Fate::Refused, Fate::Late],
    ] {
        let (far, session) = counted_to_one(fates).await;
        let error = count(&session).await.unwrap_err();
        assert!(is_unknown(&error), "{fates:?}: {error:?}");
        assert!(stands(&far, &session).await <= 2, "{fates:?}");
    }
}

#[tokio::test]
async fn a_change_of_somebody_else_in_between_leaves_it_unknown() {
    let (far, session) = counted_to_one(&[Fate::Vanished]).await;
    let id = session.id().await.unwrap().unwrap();
    let name = session_core::EntryName::new("other").unwrap();
    let value = session_core::JsonText::parse("1").unwrap();
    let change = Change::new().set(name, value);
    // It arrives as soon as the first look is over.
    far.on_its_way.lock().push((id, change));
    // The look that `update` begins with is not the one.
    let answer = count(&session).await;
    match answer {
        Ok(n) => assert_eq!(stands(&far, &session).await, n),
        Err(error) => assert!(is_unknown(&error), "{error:?}"),
    }
}
