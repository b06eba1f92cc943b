//! What may hold the records: moka against concurrent maps, and the store itself for comparison.
//!
//! `cargo bench -p store-memory --bench maps` prints a table like the one in the crate's README. 16 tasks
//! on 2 threads load and replace records among 100,000, uniformly: thousands of operations a second, the
//! median of five rounds. All maps hash an id by eight of its random bytes, as the store does. moka
//! expires each entry by a time of its own, as sessions do. A replacement copies the record once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may stop at what it does not expect"
)]

use std::future::Future;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{
    Change, EntryName, Freshness, JsonText, Loaded, NewRecord, SecretHash, SessionId, SessionStore,
    Shard, Timeouts,
};
use store_memory::MemoryStore;

const SESSIONS: usize = 100_000;
const SIZES: [usize; 3] = [200, 2 << 10, 16 << 10];
const TASKS: usize = 16;
const ROUNDS: usize = 5;

type Bytes = Arc<[u8]>;

/// An id hashed by eight of its random bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u8; 16]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        state.write_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Takes a number as its own hash.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, _: &[u8]) {}
}

type Build = BuildHasherDefault<AsIs>;

/// Something that holds records.
trait Held: Clone + Send + Sync + 'static {
    fn new() -> Self;
    fn load(&self, key: SessionId) -> impl Future<Output = bool> + Send;
    fn replace(&self, key: SessionId, record: &Bytes) -> impl Future<Output = ()> + Send;
    fn insert(&self, key: SessionId, record: &Bytes) -> impl Future<Output = ()> + Send {
        self.replace(key, record)
    }
}

fn key(id: SessionId) -> Key {
    Key(*id.as_bytes())
}

fn copy(record: &Bytes) -> Bytes {
    record.as_ref().into()
}

#[derive(Clone)]
struct EntryExpiry;

impl moka::Expiry<Key, Bytes> for EntryExpiry {
    fn expire_after_create(&self, _: &Key, _: &Bytes, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(1800))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        _: &Bytes,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_secs(1800))
    }
}

impl Held for moka::sync::Cache<Key, Bytes, Build> {
    fn new() -> Self {
        moka::sync::Cache::builder()
            .max_capacity(u64::MAX)
            .expire_after(EntryExpiry)
            .build_with_hasher(Build::default())
    }

    async fn load(&self, id: SessionId) -> bool {
        self.get(&key(id)).is_some()
    }

    async fn replace(&self, id: SessionId, record: &Bytes) {
        Self::insert(self, key(id), copy(record));
    }
}

impl Held for Arc<dashmap::DashMap<Key, Bytes, Build>> {
    fn new() -> Self {
        Arc::default()
    }

    async fn load(&self, id: SessionId) -> bool {
        let found = self.get(&key(id)).map(|found| Bytes::clone(&found));
        black_box(found).is_some()
    }

    async fn replace(&self, id: SessionId, record: &Bytes) {
        (**self).insert(key(id), copy(record));
    }
}

impl Held for Arc<papaya::HashMap<Key, Bytes, Build>> {
    fn new() -> Self {
        Arc::default()
    }

    async fn load(&self, id: SessionId) -> bool {
        let found = self.pin().get(&key(id)).cloned();
        black_box(found).is_some()
    }

    async fn replace(&self, id: SessionId, record: &Bytes) {
        self.pin().insert(key(id), copy(record));
    }
}

impl Held for Arc<scc::HashMap<Key, Bytes, Build>> {
    fn new() -> Self {
        Arc::default()
    }

    async fn load(&self, id: SessionId) -> bool {
        let found = self.read_sync(&key(id), |_, found| Bytes::clone(found));
        black_box(found).is_some()
    }

    async fn replace(&self, id: SessionId, record: &Bytes) {
        self.upsert_sync(key(id), copy(record));
    }
}

type Stripe = parking_lot::RwLock<std::collections::HashMap<Key, Bytes, Build>>;

/// A map per lock, chosen by the shard: what the store is.
#[derive(Clone)]
struct Striped(Arc<[Stripe; 512]>);

impl Striped {
    fn stripe(&self, id: SessionId) -> &Stripe {
        &self.0[usize::from(id.shard().number() >> 7)]
    }
}

impl Held for Striped {
    fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| Stripe::default())))
    }

    async fn load(&self, id: SessionId) -> bool {
        let found = self.stripe(id).read().get(&key(id)).cloned();
        black_box(found).is_some()
    }

    async fn replace(&self, id: SessionId, record: &Bytes) {
        self.stripe(id).write().insert(key(id), copy(record));
    }
}

impl Held for MemoryStore {
    fn new() -> Self {
        Self::new()
    }

    async fn load(&self, id: SessionId) -> bool {
        matches!(
            SessionStore::load(self, id, Freshness::Any).await,
            Ok(Loaded::Live(_))
        )
    }

    /// Sets a small entry beside the large one.
    async fn replace(&self, id: SessionId, _: &Bytes) {
        let (name, value) = (EntryName::new("count"), JsonText::parse("1"));
        let change = Change::new().set(name.unwrap(), value.unwrap());
        black_box(self.apply(id, &change, None).await.unwrap());
    }

    async fn insert(&self, id: SessionId, record: &Bytes) {
        let text = "x".repeat(record.len());
        let entry = (
            EntryName::new("data").unwrap(),
            JsonText::encode(&text).unwrap(),
        );
        let new = NewRecord::new(SecretHash::from_bytes([7; 32]), Timeouts::default())
            .with_entries([entry]);
        self.create(id, &new).await.unwrap();
    }
}

/// Numbers that look random, from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap()
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Load,
    Replace,
}

async fn work<H: Held>(
    held: H,
    ids: Arc<[SessionId]>,
    record: Bytes,
    operation: Operation,
    seed: u64,
    times: usize,
) {
    let mut numbers = Numbers(seed);
    for at in 0..times {
        let id = ids[numbers.next() % ids.len()];
        match operation {
            Operation::Load => assert!(held.load(id).await),
            Operation::Replace => held.replace(id, &record).await,
        }
        if at % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Thousands of operations a second, the median of the rounds.
#[allow(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark measures elapsed time"
)]
async fn rate<H: Held>(
    held: &H,
    ids: &Arc<[SessionId]>,
    record: &Bytes,
    operation: Operation,
    times: usize,
) -> f64 {
    let mut rates = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let seed = 0x9e37_79b9_7f4a_7c15 ^ ((round * TASKS + task + 1) as u64) << 17;
                let work = work(
                    held.clone(),
                    ids.clone(),
                    record.clone(),
                    operation,
                    seed,
                    times / TASKS,
                );
                tokio::spawn(work)
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // The first round warms up.
        if round > 0 {
            rates.push(times as f64 / start.elapsed().as_secs_f64() / 1e3);
        }
    }
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

async fn measure<H: Held>(name: &str, sessions: usize, times: usize) {
    let ids: Arc<[SessionId]> = (0..sessions)
        .map(|_| SessionId::generate(Shard::random()))
        .collect();
    let mut rates = Vec::new();
    for size in SIZES {
        let record: Bytes = vec![7; size].into();
        let held = H::new();
        for id in ids.iter() {
            held.insert(*id, &record).await;
        }
        let load = rate(&held, &ids, &record, Operation::Load, times).await;
        let replace = rate(&held, &ids, &record, Operation::Replace, times / 4).await;
        rates.push((load, replace));
    }
    let loads: Vec<_> = rates.iter().map(|(load, _)| format!("{load:.0}")).collect();
    let replaces: Vec<_> = rates
        .iter()
        .map(|(_, replace)| format!("{replace:.0}"))
        .collect();
    println!(
        "| {name} | {} | {} |",
        loads.join(" / "),
        replaces.join(" / ")
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test` runs benchmarks too: then only to see that they run.
    let (sessions, times) = if std::env::args().any(|arg| arg == "--bench") {
        (SESSIONS, 1 << 20)
    } else {
        (100, 1 << 10)
    };
    println!("| thousand a second, 200 B / 2 KB / 16 KB | load | replace |\n|---|---|---|");
    measure::<moka::sync::Cache<Key, Bytes, Build>>("moka", sessions, times).await;
    measure::<Arc<dashmap::DashMap<Key, Bytes, Build>>>("dashmap", sessions, times).await;
    measure::<Arc<papaya::HashMap<Key, Bytes, Build>>>("papaya", sessions, times).await;
    measure::<Arc<scc::HashMap<Key, Bytes, Build>>>("scc", sessions, times).await;
    measure::<Striped>("striped parking_lot", sessions, times).await;
    measure::<MemoryStore>("MemoryStore, whole calls", sessions, times).await;
}
