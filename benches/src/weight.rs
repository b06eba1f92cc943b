//! What a session takes in memory, everything counted: each store in a process of its own.

use std::any::Any;
use std::fmt;
use std::process::Command;

use futures_util::future::BoxFuture;
use serde::Serialize;
use session_core::{
    EntryName, JsonText, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Subject,
    Timeouts,
};
use store_cluster::ClusterStore;
use store_memory::MemoryStore;

use crate::cluster::CLUSTER;
use crate::group::Filter;
use crate::payload::Payload;
use crate::subject::Role;

/// The name of this measurement in tables and filters.
pub(crate) const BYTES: &str = "bytes";

/// How large the sessions are.
const SIZE: usize = 200;

/// A store in memory that is filled and weighed.
pub struct Weight {
    /// Its name in tables.
    pub name: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// Whether it is one node of a cluster, to be chosen with the others of them.
    pub is_node: bool,
    /// Fills it.
    pub fill: Fill,
}

/// Makes a store, fills it with so many sessions that hold this, and gives it away.
pub type Fill = fn(usize, Payload) -> BoxFuture<'static, Box<dyn Any>>;

/// What was measured of one store.
#[derive(Clone, Debug, Serialize)]
pub struct WeightRow {
    /// The store.
    pub store: String,
    /// What it is to the comparison.
    pub role: Role,
    /// Resident bytes that each session added.
    pub bytes: usize,
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weight")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Weight {
    /// Our stores in memory, with visitors and with users.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self {
                name: "store-memory, anonymous",
                role: Role::Ours,
                is_node: false,
                fill: |sessions, payload| {
                    Box::pin(fill(MemoryStore::new(), sessions, payload, false))
                },
            },
            Self {
                name: "store-memory, signed in",
                role: Role::Ours,
                is_node: false,
                fill: |sessions, payload| {
                    Box::pin(fill(MemoryStore::new(), sessions, payload, true))
                },
            },
            Self {
                name: "store-cluster, anonymous",
                role: Role::Ours,
                is_node: true,
                fill: |sessions, payload| {
                    Box::pin(async move { fill(node().await, sessions, payload, false).await })
                },
            },
            Self {
                name: "store-cluster, signed in",
                role: Role::Ours,
                is_node: true,
                fill: |sessions, payload| {
                    Box::pin(async move { fill(node().await, sessions, payload, true).await })
                },
            },
        ]
    }

    /// Bytes that each of so many sessions adds to this process, which should be fresh.
    pub(crate) async fn weigh(&self, sessions: usize) -> usize {
        let payload = Payload::of(SIZE);
        let before = resident();
        let store = (self.fill)(sessions, payload).await;
        let bytes = resident().saturating_sub(before) / sessions;
        drop(store);
        bytes
    }
}

/// Has this program weigh each in a process of its own.
pub(crate) fn measure(weights: &[Weight], filter: &Filter, sessions: usize) -> Vec<WeightRow> {
    let program = std::env::current_exe().unwrap();
    let chosen = weights.iter().filter(|weight| {
        filter.chooses(&[BYTES]) || weight.is_node && filter.chooses(&[CLUSTER, "memory"])
    });
    let rows = chosen.map(|weight| {
        eprintln!("{BYTES}: {}", weight.name);
        let output = Command::new(&program)
            .args(["--weigh", weight.name, "--sessions", &sessions.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        WeightRow {
            store: weight.name.to_owned(),
            role: weight.role,
            bytes: text.trim().parse().unwrap(),
        }
    });
    rows.collect()
}

/// A node that nobody else belongs to.
async fn node() -> ClusterStore {
    let builder = ClusterStore::builder("weighed").listen("127.0.0.1:0");
    let store = builder.insecure_plaintext().start().await.unwrap();
    store.ready().await;
    store
}

async fn fill(
    store: impl SessionStore + 'static,
    sessions: usize,
    payload: Payload,
    signed_in: bool,
) -> Box<dyn Any> {
    let entries: Vec<_> = payload
        .entries
        .iter()
        .map(|(name, value)| {
            let value = JsonText::parse(value.as_str()).unwrap();
            (EntryName::new(name).unwrap(), value)
        })
        .collect();
    for number in 0..sessions {
        let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default())
            .with_entries(entries.iter().cloned());
        if signed_in {
            let subject = Subject::new(format!("user-{number:07}")).unwrap();
            let id = SessionId::generate(store.facts().sharding.shard_of(&subject));
            let ticket = store.ticket(&subject).await.unwrap();
            store.sign_in(&ticket, id, &record, None).await.unwrap();
        } else {
            let id = SessionId::generate(Shard::random());
            store.create(id, &record).await.unwrap();
        }
    }
    Box::new(store)
}

/// Resident bytes of this process. Linux only.
pub(crate) fn resident() -> usize {
    const PAGE: usize = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split(' ').nth(1).unwrap();
    pages.parse::<usize>().unwrap() * PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_is_filled_with_so_many_sessions_and_this_process_has_a_size() {
        for signed_in in [false, true] {
            let filled = fill(MemoryStore::new(), 100, Payload::of(SIZE), signed_in).await;
            let store = filled.downcast::<MemoryStore>().unwrap();
            assert_eq!(store.usage().sessions, 100);
        }
        assert!(resident() > 1 << 20);
    }
}
