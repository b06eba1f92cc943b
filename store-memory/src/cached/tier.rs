//! What all clones of a tier, and its tasks, share.

use std::sync::Arc;

use session_core::{ErrorKind, Freshness, Loaded, Record, SessionId, SessionStore, StoreError};
use tokio::runtime::Handle;

use super::copies::{Beginning, Copies, Write};
use super::lease::Lease;
use super::loads::{Answer, Loads, Turn, tell_all};
use super::moment::Clocks;
use super::usage::{CachedUsage, Counts};

/// The copies, the lease to answer from them, and the source behind them.
#[derive(Debug)]
pub(crate) struct Tier<S> {
    pub(crate) source: S,
    pub(crate) clocks: Clocks,
    pub(crate) lease: Lease,
    pub(crate) copies: Copies,
    loads: Arc<Loads>,
    counts: Counts,
    runtime: Handle,
}

impl<S: SessionStore> Tier<S> {
    pub(crate) fn new(
        source: S,
        clocks: Clocks,
        lease: Lease,
        copies: Copies,
        runtime: Handle,
    ) -> Self {
        Self {
            source,
            clocks,
            lease,
            copies,
            loads: Arc::default(),
            counts: Counts::default(),
            runtime,
        }
    }

    /// A live session from memory, if that may be told.
    pub(crate) fn recall(&self, id: SessionId) -> Option<Record> {
        let now = self.clocks.now();
        // First: what was heard before the lease was given has been invalidated.
        let copy = self.lease.holds(now).then(|| self.copies.get(id, now))?;
        if copy.is_some() {
            Counts::add(&self.counts.hits);
        }
        copy
    }

    /// From the source, by a load that begins after this call.
    pub(crate) async fn ask_source(self: &Arc<Self>, id: SessionId) -> Answer {
        Counts::add(&self.counts.misses);
        let (answer, turn) = self.loads.ask(id);
        if let Some(turn) = turn {
            // A task of its own: who asked first may go away, and others wait.
            self.runtime.spawn(Arc::clone(self).load(id, turn));
        }
        answer.await.unwrap_or_else(|_| {
            let name = self.source.facts().name;
            Err(StoreError::new(name, ErrorKind::Unavailable).because("the load came to no end"))
        })
    }

    /// Loads for those who wait, until nobody does.
    async fn load(self: Arc<Self>, id: SessionId, mut turn: Turn) {
        while let Some(waited) = turn.next() {
            Counts::add(&self.counts.loads);
            let began = self.begin();
            let answer = self.source.load(id, Freshness::Source).await;
            match &answer {
                Ok(Loaded::Live(record)) => self.copies.install(id, record.clone(), began),
                Ok(Loaded::Ended(_) | Loaded::Absent) => self.copies.invalidate(id),
                Err(_) => {}
            }
            tell_all(waited, &answer);
        }
    }

    /// The best copy there is to begin a change from. Not an answer, so it needs no lease.
    pub(crate) fn hint(&self, id: SessionId) -> Option<Record> {
        self.copies.get(id, self.clocks.now())
    }

    /// Something is asked of the source.
    pub(crate) fn begin(&self) -> Beginning {
        self.copies.begin(self.clocks.now())
    }

    /// A change of a session begins.
    pub(crate) fn begin_write(&self, id: SessionId) -> Write<'_> {
        self.copies.begin_write(id, self.clocks.now())
    }

    pub(crate) fn usage(&self) -> CachedUsage {
        CachedUsage {
            hits: Counts::read(&self.counts.hits),
            misses: Counts::read(&self.counts.misses),
            loads: Counts::read(&self.counts.loads),
            copies: self.copies.count(),
            holds_lease: self.lease.holds(self.clocks.now()),
        }
    }
}
