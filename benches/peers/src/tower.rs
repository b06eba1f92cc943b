//! tower-sessions: its own memory store in the newest version, and its other stores in the newest version
//! that they are published for.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use benches::{COUNTER, Contender, Ground, Payload, Role, Site, Subject, Tier, Weight, serve};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// The same subject for both versions: their traits are alike, and not the same.
macro_rules! subject {
    ($tower_sessions:ident) => {
        use super::*;
        use ::$tower_sessions::session::{Id, Record};
        use ::$tower_sessions::{Session, SessionManagerLayer, SessionStore};

        struct Peer<S> {
            store: S,
            ids: Vec<Mutex<Id>>,
            object: Value,
            /// Records as callers hold them after a load: one for each call in flight.
            held: Mutex<Vec<Record>>,
        }

        impl<S: SessionStore> Peer<S> {
            fn new(store: S, ground: &Ground) -> Self {
                Self {
                    store,
                    ids: (0..ground.sessions).map(|_| Mutex::default()).collect(),
                    object: ground.payload.to_object(),
                    held: Mutex::default(),
                }
            }

            fn record(&self) -> Record {
                let data = self.object.as_object().unwrap().clone();
                Record {
                    id: Id::default(),
                    data: data.into_iter().collect(),
                    expiry_date: OffsetDateTime::now_utc() + Duration::minutes(30),
                }
            }
        }

        impl<S: SessionStore> Subject for Peer<S> {
            async fn prepare(&self, at: usize) {
                let mut record = self.record();
                self.store.create(&mut record).await.unwrap();
                *self.ids[at].lock() = record.id;
            }

            async fn load(&self, at: usize) {
                let id = *self.ids[at].lock();
                let found = self.store.load(&id).await.unwrap();
                assert!(found.is_some(), "a session is gone");
            }

            async fn write(&self, at: usize, value: usize) {
                let held = self.held.lock().pop();
                let mut record = held.unwrap_or_else(|| self.record());
                record.id = *self.ids[at].lock();
                record.data.insert(COUNTER.to_owned(), json!(value));
                self.store.save(&record).await.unwrap();
                self.held.lock().push(record);
            }

            async fn create(&self) {
                self.store.create(&mut self.record()).await.unwrap();
            }
        }

        /// Fills a store, to be weighed.
        async fn fill<S: SessionStore>(
            store: S,
            sessions: usize,
            payload: Payload,
        ) -> Box<dyn Any> {
            let ground = Ground {
                sessions: 0,
                payload: Arc::new(payload),
                url: String::new(),
            };
            let peer = Peer::new(store, &ground);
            for _ in 0..sessions {
                peer.create().await;
            }
            Box::new(peer)
        }

        async fn site(store: impl SessionStore + Clone, payload: Payload) -> SocketAddr {
            let start = move |session: Session| async move {
                for (name, value) in &payload.entries {
                    let value: Value = serde_json::from_str(value).unwrap();
                    session.insert(name, value).await.unwrap();
                }
            };
            let routes = Router::new()
                .route("/start", get(start))
                .route("/read", get(read))
                .route("/count", get(count));
            serve(routes.layer(SessionManagerLayer::new(store))).await
        }

        async fn read(session: Session) -> String {
            let visits: Option<u64> = session.get(COUNTER).await.unwrap();
            visits.unwrap_or_default().to_string()
        }

        async fn count(session: Session) -> String {
            let visits: Option<u64> = session.get(COUNTER).await.unwrap();
            let visits = visits.unwrap_or_default() + 1;
            session.insert(COUNTER, visits).await.unwrap();
            visits.to_string()
        }
    };
}

/// tower-sessions, the newest.
pub(crate) mod newest {
    subject!(tower_sessions);

    pub(crate) fn memory() -> Contender {
        Contender::new("tower-sessions memory", Role::Peer, |ground| async move {
            Peer::new(::tower_sessions::MemoryStore::default(), &ground)
        })
    }

    pub(crate) fn memory_weight() -> Weight {
        Weight {
            name: "tower-sessions memory",
            role: Role::Peer,
            is_node: false,
            fill: |sessions, payload| {
                Box::pin(fill(
                    ::tower_sessions::MemoryStore::default(),
                    sessions,
                    payload,
                ))
            },
        }
    }

    pub(crate) fn memory_site() -> Site {
        Site::new(
            "tower-sessions memory",
            Role::Peer,
            Tier::Memory,
            |ground| site(::tower_sessions::MemoryStore::default(), ground.payload),
        )
    }
}

/// tower-sessions, as the published stores know it.
pub(crate) mod for_stores {
    subject!(tower_sessions_for_stores);

    use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};
    use tower_sessions_sqlx_store::sqlx::PgPool;

    type RedisStore = tower_sessions_redis_store::RedisStore<Pool>;
    use tower_sessions_moka_store::MokaStore;
    use tower_sessions_sqlx_store::PostgresStore;

    /// With a pool of six connections, as its documentation has it.
    async fn redis_store(url: &str) -> RedisStore {
        let pool = Pool::new(Config::from_url(url).unwrap(), None, None, None, 6).unwrap();
        pool.connect();
        pool.wait_for_connect().await.unwrap();
        RedisStore::new(pool)
    }

    /// With sqlx's pool as by default, of ten connections.
    async fn postgres_store(url: &str) -> PostgresStore {
        let store = PostgresStore::new(PgPool::connect(url).await.unwrap());
        store.migrate().await.unwrap();
        store
    }

    pub(crate) fn moka() -> Contender {
        Contender::new("tower-sessions moka", Role::Peer, |ground| async move {
            Peer::new(MokaStore::new(None), &ground)
        })
    }

    pub(crate) fn redis() -> Contender {
        Contender::new("tower-sessions redis", Role::Peer, |ground| async move {
            Peer::new(redis_store(&ground.url).await, &ground)
        })
    }

    pub(crate) fn postgres() -> Contender {
        Contender::new("tower-sessions postgres", Role::Peer, |ground| async move {
            Peer::new(postgres_store(&ground.url).await, &ground)
        })
    }

    pub(crate) fn moka_weight() -> Weight {
        Weight {
            name: "tower-sessions moka",
            role: Role::Peer,
            is_node: false,
            fill: |sessions, payload| Box::pin(fill(MokaStore::new(None), sessions, payload)),
        }
    }

    pub(crate) fn sites() -> [Site; 3] {
        [
            Site::new("tower-sessions moka", Role::Peer, Tier::Memory, |ground| {
                site(MokaStore::new(None), ground.payload)
            }),
            Site::new(
                "tower-sessions redis",
                Role::Peer,
                Tier::Redis,
                |ground| async move { site(redis_store(&ground.redis).await, ground.payload).await },
            ),
            Site::new(
                "tower-sessions postgres",
                Role::Peer,
                Tier::Postgres,
                |ground| async move {
                    site(postgres_store(&ground.postgres).await, ground.payload).await
                },
            ),
        ]
    }
}
