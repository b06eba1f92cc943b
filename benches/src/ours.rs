//! The stores of this workspace.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_core::{
    Application, Change, Creation, EntryName, Freshness, JsonText, Loaded, NewRecord, Record,
    SessionId, SessionSecret, SessionStore, Shard, Timeouts,
};
use store_memory::{Cached, MemoryStore};
use store_postgres::PostgresStore;
use store_redis::RedisStore;

use crate::payload::COUNTER;
use crate::subject::{Contender, Ground, Role, Subject};

/// A session store under the contract, whichever.
#[derive(Debug)]
pub(crate) struct Ours<S> {
    store: S,
    ids: Vec<SessionId>,
    /// Per session, the copy that whoever changes it holds.
    seen: Vec<Mutex<Option<Record>>>,
    entries: Vec<(EntryName, JsonText)>,
}

impl<S: SessionStore> Ours<S> {
    /// The store, to be filled.
    ///
    /// # Panics
    ///
    /// Never: the entries are legal.
    #[must_use]
    pub(crate) fn new(store: S, ground: &Ground) -> Self {
        let entries = ground.payload.entries.iter().map(|(name, value)| {
            (
                EntryName::new(name).unwrap(),
                JsonText::parse(value.as_str()).unwrap(),
            )
        });
        Self {
            store,
            ids: (0..ground.sessions)
                .map(|_| SessionId::generate(Shard::random()))
                .collect(),
            seen: (0..ground.sessions).map(|_| Mutex::default()).collect(),
            entries: entries.collect(),
        }
    }

    async fn insert(&self, id: SessionId) -> Record {
        let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default())
            .with_entries(self.entries.iter().cloned());
        match self.store.create(id, &record).await.unwrap() {
            Creation::Created(record) => record,
            Creation::Exists => panic!("a fresh id is taken"),
        }
    }
}

impl<S: SessionStore> Subject for Ours<S> {
    async fn prepare(&self, at: usize) {
        let record = self.insert(self.ids[at]).await;
        *self.seen[at].lock() = Some(record);
        // A tier copies what was loaded.
        self.load(at).await;
    }

    async fn load(&self, at: usize) {
        let loaded = self.store.load(self.ids[at], Freshness::Any).await.unwrap();
        assert!(matches!(loaded, Loaded::Live(_)), "a session is gone");
    }

    async fn write(&self, at: usize, value: usize) {
        let seen = self.seen[at].lock().clone();
        let value = JsonText::encode(&value).unwrap();
        // A name of its own, as each call of a `Session` makes one: tasks share none.
        let counter = EntryName::new(COUNTER).unwrap();
        let change = Change::new().set(counter, value).touch();
        match self
            .store
            .apply(self.ids[at], &change, seen.as_ref())
            .await
            .unwrap()
        {
            Application::Applied { record, .. } => *self.seen[at].lock() = Some(record),
            refused => panic!("a write was refused: {refused:?}"),
        }
    }

    async fn create(&self) {
        self.insert(SessionId::generate(Shard::random())).await;
    }
}

/// `store-memory`.
#[must_use]
pub(crate) fn memory() -> Contender {
    Contender::new("store-memory", Role::Ours, |ground| async move {
        Ours::new(MemoryStore::new(), &ground)
    })
}

/// `store-redis`, as by default.
#[must_use]
pub(crate) fn redis() -> Contender {
    Contender::new("store-redis", Role::Ours, |ground| async move {
        Ours::new(redis_store(&ground).await, &ground)
    })
}

/// `Cached` in front of `store-redis`, so set up that every load finds a copy.
#[must_use]
pub(crate) fn cached() -> Contender {
    Contender::new("Cached hit", Role::Ours, |ground| async move {
        let tier = Cached::builder(redis_store(&ground).await, Duration::from_secs(3_600))
            .max_copies(ground.sessions * 2)
            .max_bytes(usize::MAX);
        Ours::new(tier.start().unwrap(), &ground)
    })
}

async fn redis_store(ground: &Ground) -> RedisStore {
    let prefix = format!("ours{}:", number());
    let builder = RedisStore::builder(&ground.url).prefix(&prefix);
    builder.connect().await.unwrap()
}

/// `store-postgres`, as by default, or with its sessions `UNLOGGED`.
#[must_use]
pub(crate) fn postgres(unlogged: bool) -> Contender {
    let name = if unlogged {
        "store-postgres, unlogged"
    } else {
        "store-postgres"
    };
    Contender::new(name, Role::Ours, move |ground| async move {
        let builder =
            PostgresStore::builder(ground.url.as_str()).schema(format!("ours{}", number()));
        let builder = if unlogged {
            builder.unlogged()
        } else {
            builder
        };
        builder.migrate().await.unwrap();
        Ours::new(builder.connect().await.unwrap(), &ground)
    })
}

/// Never the same twice in a process: stores on one server keep apart by it.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
