//! axum_session.

use std::collections::HashMap;

use ::axum_session::DatabasePool as _;
use axum_session_redispool::SessionRedisPool;
use benches::{COUNTER, Contender, Role, Subject};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

const TABLE: &str = "sessions";

/// What it keeps of a session. Its own type is private, as is the code that makes it text and back: this
/// is the same.
#[derive(Clone, Deserialize, Serialize)]
struct Data {
    data: HashMap<String, String>,
    longterm: bool,
}

struct Peer {
    pool: SessionRedisPool,
    ids: Vec<String>,
    data: Data,
    /// Data as callers hold them after a load: one for each call in flight.
    held: Mutex<Vec<Data>>,
}

impl Peer {
    async fn store(&self, id: &str, data: &Data) {
        let expires = OffsetDateTime::now_utc() + Duration::minutes(30);
        let text = serde_json::to_string(data).unwrap();
        self.pool
            .store(id, &text, expires.unix_timestamp(), TABLE)
            .await
            .unwrap();
    }
}

/// A UUID, as it makes them.
fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Subject for Peer {
    async fn prepare(&self, at: usize) {
        self.store(&self.ids[at], &self.data).await;
    }

    async fn load(&self, at: usize) {
        let found = self.pool.load(&self.ids[at], TABLE).await.unwrap();
        let data: Data = serde_json::from_str(&found.unwrap()).unwrap();
        assert!(!data.data.is_empty(), "a session is gone");
    }

    async fn write(&self, at: usize, value: usize) {
        let held = self.held.lock().pop();
        let mut data = held.unwrap_or_else(|| self.data.clone());
        data.data.insert(COUNTER.to_owned(), value.to_string());
        self.store(&self.ids[at], &data).await;
        self.held.lock().push(data);
    }

    async fn create(&self) {
        self.store(&id(), &self.data.clone()).await;
    }
}

pub(crate) fn redis() -> Contender {
    Contender::new("axum_session redis", Role::Peer, |ground| async move {
        let client = redis::Client::open(ground.url.as_str()).unwrap();
        Peer {
            pool: redis_pool::RedisPool::from(client).into(),
            ids: (0..ground.sessions).map(|_| id()).collect(),
            data: Data {
                data: ground.payload.entries.iter().cloned().collect(),
                longterm: false,
            },
            held: Mutex::default(),
        }
    })
}
