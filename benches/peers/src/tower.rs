//! tower-sessions: its own memory store in the newest version, and its other stores in the newest version
//! that they are published for.

use benches::{COUNTER, Contender, Ground, Role, Subject};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// The same subject for both versions: their traits are alike, and not the same.
macro_rules! subject {
    ($tower_sessions:ident) => {
        use super::*;
        use ::$tower_sessions::SessionStore;
        use ::$tower_sessions::session::{Id, Record};

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
}

/// tower-sessions, as the published stores know it.
pub(crate) mod for_stores {
    subject!(tower_sessions_for_stores);

    use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};
    use tower_sessions_sqlx_store::sqlx::PgPool;

    pub(crate) fn moka() -> Contender {
        Contender::new("tower-sessions moka", Role::Peer, |ground| async move {
            let store = tower_sessions_moka_store::MokaStore::new(None);
            Peer::new(store, &ground)
        })
    }

    /// With a pool of six connections, as its documentation has it.
    pub(crate) fn redis() -> Contender {
        Contender::new("tower-sessions redis", Role::Peer, |ground| async move {
            let pool =
                Pool::new(Config::from_url(&ground.url).unwrap(), None, None, None, 6).unwrap();
            pool.connect();
            pool.wait_for_connect().await.unwrap();
            let store = tower_sessions_redis_store::RedisStore::new(pool);
            Peer::new(store, &ground)
        })
    }

    /// With sqlx's pool as by default, of ten connections.
    pub(crate) fn postgres() -> Contender {
        Contender::new("tower-sessions postgres", Role::Peer, |ground| async move {
            let pool = PgPool::connect(&ground.url).await.unwrap();
            let store = tower_sessions_sqlx_store::PostgresStore::new(pool);
            store.migrate().await.unwrap();
            Peer::new(store, &ground)
        })
    }
}
