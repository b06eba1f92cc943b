//! A source whose answers and whose feed take as long, and go astray, as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Feed, FeedItem, FeedSource,
    Freshness, Loaded, ManualClock, NewRecord, Record, SessionId, SessionStore, SignInLimit,
    StoreError, StoreFacts, Subject, Ticket, Watch,
};
use store_memory::MemoryStore;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::rng::Rng;

/// What becomes of what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It arrives at once.
    Open,
    /// It arrives so much later.
    Slow(Duration),
    /// It waits until the way is another.
    Stuck,
    /// It is lost, and nobody is told so before the way is another.
    Cut,
}

/// A store in memory, behind what a test does to its calls and to its feed. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Source(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: MemoryStore,
    feed: FeedSource,
    told: mpsc::UnboundedSender<(FeedItem, Instant)>,
    way: watch::Sender<Way>,
    /// While true, loads that have read keep their answers.
    holds: watch::Sender<bool>,
    /// Lets others in, before and after each call, as often as this says.
    pauses: Mutex<Option<Rng>>,
    loads: AtomicU64,
    writes: AtomicU64,
    fails: Mutex<Option<ErrorKind>>,
    is_silent: AtomicBool,
}

impl Source {
    pub(crate) fn new(clock: ManualClock) -> Self {
        let (told, mut on_its_way) = mpsc::unbounded_channel::<(FeedItem, Instant)>();
        let (way, mut is) = watch::channel(Way::Open);
        let feed = FeedSource::new(1024);
        let arrival = feed.clone();
        tokio::spawn(async move {
            while let Some((item, at)) = on_its_way.recv().await {
                loop {
                    let way = *is.borrow_and_update();
                    match way {
                        Way::Open => break arrival.send(item),
                        Way::Cut => break,
                        Way::Slow(by) => tokio::select! {
                            () = sleep_until(at + by) => break arrival.send(item),
                            changed = is.changed() => if changed.is_err() { return },
                        },
                        Way::Stuck => {
                            if is.changed().await.is_err() {
                                return;
                            }
                        }
                    }
                }
            }
        });
        Self(Arc::new(Shared {
            store: MemoryStore::builder().clock(clock).build(),
            feed,
            told,
            way,
            holds: watch::Sender::new(false),
            pauses: Mutex::default(),
            loads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            fails: Mutex::default(),
            is_silent: AtomicBool::new(false),
        }))
    }

    /// Lets others in around each call, by a seed.
    pub(crate) fn pause_by(&self, seed: u64) {
        *self.0.pauses.lock() = Some(Rng::new(seed));
    }

    /// Changes the way. When one that was cut is mended, a gap is told, as stores do that listen anew.
    pub(crate) fn set_way(&self, way: Way) {
        let before = self.0.way.send_replace(way);
        if before == Way::Cut && way != Way::Cut {
            self.tell(FeedItem::Gap);
        }
    }

    pub(crate) fn tell(&self, item: FeedItem) {
        // The instant of now.
        let now = sleep(Duration::ZERO).deadline();
        self.0.told.send((item, now)).unwrap();
    }

    /// Loads that have read keep their answers until they are let go.
    pub(crate) fn hold_loads(&self, holds: bool) {
        self.0.holds.send_replace(holds);
    }

    /// Has all loads fail from now on.
    pub(crate) fn fail_loads(&self, kind: Option<ErrorKind>) {
        *self.0.fails.lock() = kind;
    }

    /// Has no `Watch` from now on.
    pub(crate) fn tells_nothing(&self) {
        self.0.is_silent.store(true, Ordering::SeqCst);
    }

    /// How often it was loaded from.
    pub(crate) fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::SeqCst)
    }

    /// How often a change was applied.
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::SeqCst)
    }

    async fn pause(&self) {
        let pauses = self.0.pauses.lock().as_mut().map_or(0, |rng| rng.below(4));
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.pause().await;
        let answer = call.await;
        self.pause().await;
        answer
    }
}

#[async_trait]
impl SessionStore for Source {
    fn facts(&self) -> &StoreFacts {
        self.0.store.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        let mut abilities = Abilities::default();
        if !self.0.is_silent.load(Ordering::SeqCst) {
            abilities.watch = Some(self);
        }
        abilities
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.around(self.0.store.create(id, record)).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        let loaded = self.around(self.0.store.load(id, freshness)).await;
        let mut holds = self.0.holds.subscribe();
        holds.wait_for(|holds| !holds).await.unwrap();
        let fails = *self.0.fails.lock();
        match fails {
            Some(kind) => Err(StoreError::new("source", kind).because("told to fail")),
            None => loaded,
        }
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        self.around(self.0.store.apply(id, change, seen)).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.pause().await;
        let ended = self.0.store.delete(id).await?;
        if ended {
            self.tell(FeedItem::Ended(id));
        }
        self.pause().await;
        Ok(ended)
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.0.store.ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.around(self.0.store.sign_in(ticket, id, record, limit))
            .await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.0.store.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.around(self.0.store.revoke(subject, except)).await?;
        for id in &ended {
            self.tell(FeedItem::Ended(*id));
        }
        Ok(ended)
    }
}

#[async_trait]
impl Watch for Source {
    fn watch(&self) -> Feed {
        self.0.feed.subscribe()
    }

    async fn echo(&self, nonce: u64) -> Result<(), StoreError> {
        self.tell(FeedItem::Echo(nonce));
        Ok(())
    }
}
