//! axum_session.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use ::axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum::Router;
use axum::routing::get;
use axum_session_redispool::SessionRedisPool;
use benches::{COUNTER, Contender, Payload, Role, Site, Subject, Tier, serve};
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

fn pool(url: &str) -> SessionRedisPool {
    redis_pool::RedisPool::from(redis::Client::open(url).unwrap()).into()
}

pub(crate) fn redis() -> Contender {
    Contender::new("axum_session redis", Role::Peer, |ground| async move {
        Peer {
            pool: pool(&ground.url),
            ids: (0..ground.sessions).map(|_| id()).collect(),
            data: Data {
                data: ground.payload.entries.iter().cloned().collect(),
                longterm: false,
            },
            held: Mutex::default(),
        }
    })
}

async fn site<P>(pool: Option<P>, payload: Payload) -> SocketAddr
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let store = SessionStore::<P>::new(pool, SessionConfig::default()).await;
    let payload = Arc::new(payload);
    let start = move |session: Session<P>| async move {
        for (name, value) in &payload.entries {
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            session.set(name, value);
        }
    };
    let routes = Router::new()
        .route("/start", get(start))
        .route("/read", get(read::<P>))
        .route("/count", get(count::<P>));
    serve(routes.layer(SessionLayer::new(store.unwrap()))).await
}

async fn read<P>(session: Session<P>) -> String
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    session.get::<u64>(COUNTER).unwrap_or_default().to_string()
}

async fn count<P>(session: Session<P>) -> String
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let visits = session.get::<u64>(COUNTER).unwrap_or_default() + 1;
    session.set(COUNTER, visits);
    visits.to_string()
}

/// On Redis, too, it answers from its own memory, for an hour by default.
pub(crate) fn sites() -> [Site; 2] {
    [
        Site::new("axum_session memory", Role::Peer, Tier::Memory, |ground| {
            site::<SessionNullPool>(None, ground.payload)
        }),
        Site::new(
            "axum_session redis",
            Role::Peer,
            Tier::Redis,
            |ground| async move { site(Some(pool(&ground.redis)), ground.payload).await },
        ),
    ]
}
