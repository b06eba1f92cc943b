//! Sessions and changes to try things with.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use session_core::{
    Admission, Change, EntryName, Freshness, JsonText, Loaded, NewRecord, Record, Renewal,
    SecretHash, SessionId, SessionStore, SignInLimit, StoreError, Subject, Ticket, Timeouts,
};
use tokio::sync::Barrier;

use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectApplication, ExpectCreation};

/// A session that a case made, as it was then.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) secret: SecretHash,
    pub(crate) record: Record,
}

impl Context {
    /// A new anonymous session.
    pub(crate) async fn visitor(&self) -> Session {
        self.visitor_for(Timeouts::default()).await
    }

    /// A new anonymous session with these limits.
    pub(crate) async fn visitor_for(&self, timeouts: Timeouts) -> Session {
        let (id, secret) = (fresh_id(), fresh_secret());
        let new = NewRecord::new(secret, timeouts);
        let record = self.store().create(id, &new).await.created();
        Session { id, secret, record }
    }

    /// A new session of `subject`, without a limit on its number.
    pub(crate) async fn user(&self, subject: &Subject) -> Session {
        self.user_for(subject, Timeouts::default()).await
    }

    /// A new session of `subject` with these limits in time.
    pub(crate) async fn user_for(&self, subject: &Subject, timeouts: Timeouts) -> Session {
        let (id, secret) = (self.id_of(subject), fresh_secret());
        let new = NewRecord::new(secret, timeouts);
        let ticket = self.ticket(subject).await;
        let admission = self.store().sign_in(&ticket, id, &new, None).await;
        let record = admission.admitted_alone();
        Session { id, secret, record }
    }

    /// One session of a subject of its own.
    pub(crate) async fn some_user(&self) -> (Subject, Session) {
        let subject = fresh_subject();
        let session = self.user(&subject).await;
        (subject, session)
    }

    pub(crate) async fn ticket(&self, subject: &Subject) -> Ticket {
        self.store().ticket(subject).await.unwrap()
    }

    pub(crate) async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.store().load(id, Freshness::Source).await
    }

    /// A try to sign in with a new session of default limits.
    pub(crate) async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let new = new_record();
        self.store().sign_in(ticket, id, &new, limit).await
    }

    /// Applies a change that must succeed.
    pub(crate) async fn change(&self, id: SessionId, change: Change) -> Record {
        self.store().apply(id, &change, None).await.applied()
    }

    /// The ids that are listed for `subject`, in order.
    pub(crate) async fn listed(&self, subject: &Subject) -> Vec<SessionId> {
        listed(&**self.store(), subject).await
    }
}

/// The ids that `store` lists for `subject`, in order.
pub(crate) async fn listed(store: &dyn SessionStore, subject: &Subject) -> Vec<SessionId> {
    let sessions = store.sessions_of(subject).await.unwrap();
    sorted(sessions.into_iter().map(|(id, _)| id))
}

pub(crate) fn sorted(ids: impl IntoIterator<Item = SessionId>) -> Vec<SessionId> {
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort();
    ids
}

/// A new session with default limits and a secret of its own.
pub(crate) fn new_record() -> NewRecord {
    NewRecord::new(fresh_secret(), Timeouts::default())
}

pub(crate) fn name(text: impl AsRef<str>) -> EntryName {
    EntryName::new(text).unwrap()
}

pub(crate) fn json(text: impl AsRef<str>) -> JsonText {
    JsonText::parse(text).unwrap()
}

/// A change that sets one entry.
pub(crate) fn set(entry: impl AsRef<str>, value: impl AsRef<str>) -> Change {
    Change::new().set(name(entry), json(value))
}

pub(crate) fn touch() -> Change {
    Change::new().touch()
}

/// An explicit renewal, which issues `issue` in place of `replaces`.
pub(crate) fn renew(replaces: SecretHash, issue: SecretHash) -> Change {
    Change::new().renew(Renewal {
        issue,
        replaces,
        soft: false,
    })
}

/// An automatic renewal.
pub(crate) fn renew_softly(replaces: SecretHash, issue: SecretHash) -> Change {
    Change::new().renew(Renewal {
        issue,
        replaces,
        soft: true,
    })
}

pub(crate) fn promote(secret: SecretHash) -> Change {
    Change::new().promote(secret)
}

/// A JSON text of exactly `len` bytes, at least two.
pub(crate) fn json_of(len: usize) -> JsonText {
    json(format!("\"{}\"", "x".repeat(len - 2)))
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn mins(mins: u64) -> Duration {
    Duration::from_secs(mins * 60)
}

/// Runs `count` tasks that start together, and gives what they answered, in their order.
pub(crate) async fn together<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (barrier, task) = (Arc::clone(&barrier), task(index));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        match task.await {
            Ok(answer) => answers.push(answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers
}

/// Polls `future` at most `polls` times and drops it: a caller that went away.
pub(crate) async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(answer) = polled.await {
            return Some(answer);
        }
        tokio::task::yield_now().await;
    }
    None
}
