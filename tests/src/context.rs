//! What a case is given: the store, fresh names, and the clock.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use session_core::{
    Clock, Consistency, ManualClock, SecretHash, SessionId, SessionSecret, Shard, SharedStore,
    Subject, Timestamp,
};

use crate::opened::Opened;
use crate::rng::Rng;

pub(crate) type OpenBounded = Arc<dyn Fn(usize) -> BoxFuture<'static, Opened> + Send + Sync>;

/// What a case is given. Clones share it.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) handles: Vec<SharedStore>,
    pub(crate) neighbour: Option<SharedStore>,
    pub(crate) bounded: Option<OpenBounded>,
    pub(crate) clock: Option<ManualClock>,
    pub(crate) consistency: Consistency,
    pub(crate) seed: u64,
}

impl Context {
    /// The store under test.
    pub(crate) fn store(&self) -> &SharedStore {
        &self.handles[0]
    }

    /// One of the handles to the store under test: another for another `index`, if there are several.
    pub(crate) fn handle(&self, index: usize) -> SharedStore {
        Arc::clone(&self.handles[index % self.handles.len()])
    }

    /// Another store on the same server. For cases that need one.
    pub(crate) fn neighbour(&self) -> &SharedStore {
        self.neighbour.as_ref().expect("the case needs a neighbour")
    }

    /// A new store that holds at most `max` sessions. For cases that need one.
    pub(crate) async fn bounded(&self, max: usize) -> Opened {
        self.bounded
            .as_ref()
            .expect("the case needs a bounded store")(max)
        .await
    }

    /// The test clock. For cases that need one.
    pub(crate) fn clock(&self) -> &ManualClock {
        self.clock.as_ref().expect("the case needs a test clock")
    }

    /// The present by the test clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// Moves the test clock forward.
    pub(crate) fn advance(&self, duration: Duration) {
        self.clock().advance(duration);
    }

    /// Random numbers that follow from the seed, which is printed if the case fails.
    pub(crate) fn rng(&self) -> Rng {
        Rng::new(self.seed)
    }

    /// An id that nobody used, in the shard of `subject`.
    pub(crate) fn id_of(&self, subject: &Subject) -> SessionId {
        SessionId::generate(self.store().facts().sharding.shard_of(subject))
    }
}

/// An id that nobody used.
pub(crate) fn fresh_id() -> SessionId {
    SessionId::generate(Shard::random())
}

/// A subject that nobody used.
pub(crate) fn fresh_subject() -> Subject {
    Subject::new(format!("subject-{}", fresh_id())).expect("a valid name")
}

/// A secret that nobody used.
pub(crate) fn fresh_secret() -> SecretHash {
    SessionSecret::generate().hash()
}
