//! Concurrent maps.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Bytes, id};
use crate::subject::{Contender, Role, Subject};

type Value = Arc<[u8]>;

/// Something that holds values under ids. It copies on each write, as whoever replaces a record must.
trait Map: Send + Sync + 'static {
    fn get(&self, id: &[u8; 16]) -> Option<Value>;
    fn put(&self, id: [u8; 16], value: Value);
}

struct Floor<M> {
    map: M,
    bytes: Bytes,
}

impl<M: Map> Subject for Floor<M> {
    async fn prepare(&self, at: usize) {
        self.map
            .put(self.bytes.ids[at], self.bytes.object.as_slice().into());
    }

    async fn load(&self, at: usize) {
        let found = self.map.get(&self.bytes.ids[at]);
        assert!(black_box(found).is_some(), "a value is gone");
    }

    async fn write(&self, at: usize, _: usize) {
        self.prepare(at).await;
    }

    async fn create(&self) {
        self.map.put(id(), self.bytes.object.as_slice().into());
    }
}

impl Map for ::dashmap::DashMap<[u8; 16], Value> {
    fn get(&self, id: &[u8; 16]) -> Option<Value> {
        Self::get(self, id).map(|found| Value::clone(&found))
    }

    fn put(&self, id: [u8; 16], value: Value) {
        self.insert(id, value);
    }
}

impl Map for ::moka::sync::Cache<[u8; 16], Value> {
    fn get(&self, id: &[u8; 16]) -> Option<Value> {
        Self::get(self, id)
    }

    fn put(&self, id: [u8; 16], value: Value) {
        self.insert(id, value);
    }
}

/// `dashmap`, as by default.
#[must_use]
pub(crate) fn dashmap() -> Contender {
    Contender::new("raw dashmap", Role::Floor, |ground| async move {
        Floor {
            map: ::dashmap::DashMap::new(),
            bytes: Bytes::of(&ground),
        }
    })
}

/// `moka`, each entry with an expiry of its own, as sessions have.
#[must_use]
pub(crate) fn moka() -> Contender {
    Contender::new("raw moka", Role::Floor, |ground| async move {
        Floor {
            map: ::moka::sync::Cache::builder()
                .max_capacity(u64::MAX)
                .expire_after(EntryExpiry)
                .build(),
            bytes: Bytes::of(&ground),
        }
    })
}

struct EntryExpiry;

const LIFE: Option<Duration> = Some(Duration::from_secs(1800));

impl ::moka::Expiry<[u8; 16], Value> for EntryExpiry {
    fn expire_after_create(&self, _: &[u8; 16], _: &Value, _: Instant) -> Option<Duration> {
        LIFE
    }

    fn expire_after_update(
        &self,
        _: &[u8; 16],
        _: &Value,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        LIFE
    }
}
