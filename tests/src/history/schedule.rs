//! Schedules: a store that yields around each step of the one it wraps, tasks that are polled in an
//! order which follows from a seed, and futures that are dropped after so many polls.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Freshness, Loaded, NewRecord, Record,
    SessionId, SessionStore, SharedStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};

use crate::rng::Rng;

/// Lets others run once.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A store that yields before and after each step of another.
#[derive(Debug)]
pub struct Yielding {
    inner: SharedStore,
    /// How often: as often as this draws, or once.
    times: Option<Mutex<Rng>>,
}

impl Yielding {
    /// Yields once before and once after each step.
    #[must_use]
    pub const fn once(inner: SharedStore) -> Self {
        Self { inner, times: None }
    }

    /// Yields up to three times before and after each step, as often as follows from `seed`.
    #[must_use]
    pub const fn at_random(inner: SharedStore, seed: u64) -> Self {
        let times = Some(Mutex::new(Rng::new(seed)));
        Self { inner, times }
    }

    async fn pause(&self) {
        let times = self.times.as_ref().map_or(1, |rng| rng.lock().below(4));
        for _ in 0..times {
            yield_once().await;
        }
    }

    async fn around<T>(&self, step: impl Future<Output = T> + Send) -> T {
        self.pause().await;
        let answer = step.await;
        self.pause().await;
        answer
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Yielding {
    fn facts(&self) -> &StoreFacts {
        self.inner.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.around(self.inner.create(id, record)).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.around(self.inner.load(id, freshness)).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.around(self.inner.apply(id, change, seen)).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.around(self.inner.delete(id)).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.around(self.inner.ticket(subject)).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.around(self.inner.sign_in(ticket, id, record, limit))
            .await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.around(self.inner.sessions_of(subject)).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.around(self.inner.revoke(subject, except)).await
    }
}

/// Runs `tasks` to their ends on one thread, polling them in an order that follows from `rng`.
pub(super) async fn interleaved(tasks: Vec<BoxFuture<'_, ()>>, mut rng: Rng) {
    let mut tasks = tasks;
    poll_fn(|context| {
        rng.shuffle(&mut tasks);
        let mut waits = false;
        tasks.retain_mut(|task| {
            if rng.one_in(3) {
                waits = true;
                return true;
            }
            task.as_mut().poll(context).is_pending()
        });
        if waits {
            context.waker().wake_by_ref();
        }
        if tasks.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Polls `future` at most `polls` times, then drops it. What it gave, if it was ready by then.
pub(super) async fn dropped_after<T>(future: BoxFuture<'_, T>, polls: usize) -> Option<T> {
    let mut future: Option<Pin<Box<_>>> = Some(future);
    let mut left = polls;
    poll_fn(move |context| {
        let Some(running) = future.as_mut().filter(|_| left > 0) else {
            future = None;
            return Poll::Ready(None);
        };
        left -= 1;
        match running.as_mut().poll(context) {
            Poll::Ready(given) => Poll::Ready(Some(given)),
            Poll::Pending if left == 0 => {
                future = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
