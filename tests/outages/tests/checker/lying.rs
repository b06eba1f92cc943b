//! A store that tells a lie now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Bounds, Change, Clock as _, Creation, EntryName, ErrorKind,
    Freshness, JsonText, Loaded, NewRecord, Record, SessionId, SessionStore, SharedStore,
    SignInLimit, StoreError, StoreFacts, Subject, SystemClock, Ticket,
};

/// Which lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// No lie: it says that it does not know.
    LosesAnswers,
    LosesWrites,
    LosesTouches,
    ArrivesLate,
    DeniesLive,
    ListsAllButOne,
    EndsByItself,
    DeletesNothing,
    RevokesAllButOne,
    AdmitsStale,
    Doubles,
    ForgetsLimits,
    Hangs,
}

#[derive(Debug)]
pub(crate) struct Lying {
    store: SharedStore,
    lie: Lie,
    calls: AtomicU64,
    late: Mutex<Option<(SessionId, Change)>>,
}

impl Lying {
    pub(crate) fn new(store: SharedStore, lie: Lie) -> Self {
        Self {
            store,
            lie,
            calls: AtomicU64::new(0),
            late: Mutex::default(),
        }
    }

    /// Whether it is time to tell this lie.
    fn tells(&self, lie: Lie, once_in: u64) -> bool {
        let is_it = self.lie == lie;
        is_it && self.calls.fetch_add(1, Ordering::Relaxed) % once_in == once_in - 1
    }

    fn unknown(&self) -> StoreError {
        StoreError::new(self.facts().name, ErrorKind::Unavailable).unknown()
    }
}

#[async_trait]
impl SessionStore for Lying {
    fn facts(&self) -> &StoreFacts {
        self.store.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.store.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        let answer = self.store.create(id, record).await;
        if self.tells(Lie::LosesAnswers, 10) {
            return Err(self.unknown());
        }
        answer
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        if self.tells(Lie::DeniesLive, 50) {
            return Ok(Loaded::Absent);
        }
        if self.tells(Lie::EndsByItself, 50) {
            self.store.delete(id).await?;
        }
        if self.tells(Lie::Hangs, 100) {
            std::future::pending::<()>().await;
        }
        self.store.load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let is_lost = change.has_edits() && self.tells(Lie::LosesWrites, 30)
            || change.is_pure_touch() && self.tells(Lie::LosesTouches, 10);
        if is_lost && let Loaded::Live(previous) = self.store.load(id, Freshness::Source).await? {
            let record = previous.apply(change, SystemClock.now(), &Bounds::default());
            let Ok(record) = record else {
                return Ok(Application::Conflict);
            };
            return Ok(Application::Applied { previous, record });
        }
        if self.lie == Lie::ArrivesLate && change.has_edits() && change.guard().is_none() {
            let late = self.late.lock().take();
            return match late {
                None => {
                    *self.late.lock() = Some((id, change.clone()));
                    Err(self.unknown())
                }
                Some((late_id, late)) if late_id == id => {
                    let answer = self.store.apply(id, change, seen).await;
                    self.store.apply(id, &late, None).await?;
                    answer
                }
                Some(late) => {
                    *self.late.lock() = Some(late);
                    self.store.apply(id, change, seen).await
                }
            };
        }
        let answer = self.store.apply(id, change, seen).await;
        if self.tells(Lie::LosesAnswers, 10) {
            return Err(self.unknown());
        }
        if let Ok(Application::Applied { record, .. }) = &answer
            && let Some(count) = record.get("count")
            && self.tells(Lie::Doubles, 10)
        {
            let count = count.parse::<u64>().unwrap() + 1;
            let count = JsonText::parse(count.to_string()).unwrap();
            let name = EntryName::new("count").unwrap();
            let again = Change::new().set(name, count);
            self.store.apply(id, &again, None).await?;
        }
        answer
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        if self.tells(Lie::DeletesNothing, 4) {
            return Ok(true);
        }
        let answer = self.store.delete(id).await;
        if self.tells(Lie::LosesAnswers, 10) {
            return Err(self.unknown());
        }
        answer
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
        if self.lie == Lie::AdmitsStale {
            let fresh = self.store.ticket(ticket.subject()).await?;
            return self.store.sign_in(&fresh, id, record, limit).await;
        }
        let limit = limit.filter(|_| self.lie != Lie::ForgetsLimits);
        let answer = self.store.sign_in(ticket, id, record, limit).await;
        if self.tells(Lie::LosesAnswers, 10) {
            return Err(self.unknown());
        }
        answer
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut listed = self.store.sessions_of(subject).await?;
        if self.tells(Lie::ListsAllButOne, 3) {
            listed.pop();
        }
        Ok(listed)
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        if self.lie == Lie::RevokesAllButOne && except.is_none() {
            let listed = self.store.sessions_of(subject).await?;
            let spared = listed.first().map(|(id, _)| *id);
            return self.store.revoke(subject, spared).await;
        }
        let answer = self.store.revoke(subject, except).await;
        if self.tells(Lie::LosesAnswers, 4) {
            return Err(self.unknown());
        }
        answer
    }
}
