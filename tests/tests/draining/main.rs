//! The suite on two stores of which one is drained into the other, half way: one server has switched, the
//! other has not, and the sessions of every case are in both. For every pair of memory, Redis and Postgres.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod half_switched;
#[path = "../postgres/mod.rs"]
mod postgres;
#[path = "../redis/mod.rs"]
mod redis;

use std::any::Any;
use std::process::ExitCode;
use std::sync::Arc;

use half_switched::HalfSwitched;
use postgres::Schema;
use session_conformance::{Opened, Suite};
use session_core::{Consistency, ManualClock, SharedStore};
use store_memory::MemoryStore;
use store_redis::RedisStore;

/// A store that is drained, or drained into.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Memory,
    Redis,
    Postgres,
}

/// Two handles to one store, as two servers have them.
struct Handles {
    handles: [SharedStore; 2],
    guard: Box<dyn Any + Send + Sync>,
}

impl Kind {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    async fn open(self, clock: ManualClock) -> Handles {
        match self {
            Self::Memory => {
                let store = MemoryStore::builder().clock(clock).build();
                Handles {
                    handles: [Arc::new(store.clone()), Arc::new(store)],
                    guard: Box::new(()),
                }
            }
            Self::Redis => {
                let builder = RedisStore::builder(test_servers::redis().url())
                    .prefix(&redis::fresh_prefix())
                    .test_clock(clock);
                let first = builder.clone().connect().await.expect("a store");
                let second = builder.connect().await.expect("a store");
                Handles {
                    handles: [Arc::new(first), Arc::new(second)],
                    guard: Box::new(()),
                }
            }
            Self::Postgres => {
                let schema = Schema::new();
                let builder = schema.builder().test_clock(clock);
                builder.migrate().await.expect("the tables are made");
                let first = builder.clone().connect().await.expect("a store");
                let second = builder.connect().await.expect("a store");
                Handles {
                    handles: [Arc::new(first), Arc::new(second)],
                    guard: Box::new(schema),
                }
            }
        }
    }
}

async fn open(old: Kind, new: Kind, clock: ManualClock) -> Opened {
    let (old, new) = (old.open(clock.clone()).await, new.open(clock).await);
    let [first, second] = HalfSwitched::handles(new.handles, old.handles);
    Opened::from(first)
        .with_handle(second)
        .holding(old.guard)
        .holding(new.guard)
}

fn suite(old: Kind, new: Kind) -> (String, Suite) {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    let suite = Suite::new(move || open(old, new, by.clone()))
        .neighbour(move || open(old, new, neighbour_by.clone()))
        .consistency(Consistency::PerSession)
        .clock(clock);
    (format!("{}_to_{}", old.name(), new.name()), suite)
}

fn main() -> ExitCode {
    let kinds = [Kind::Memory, Kind::Redis, Kind::Postgres];
    let pairs = kinds.iter().flat_map(|old| {
        let others = kinds.iter().filter(move |new| old.name() != new.name());
        others.map(|new| (*old, *new))
    });
    let same = [(Kind::Memory, Kind::Memory)].into_iter();
    Suite::main_of(same.chain(pairs).map(|(old, new)| suite(old, new)))
}
