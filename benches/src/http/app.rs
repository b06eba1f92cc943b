//! Our layer on our stores, and the same application without any.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use session_core::{SessionStore, Sessions};
use session_tower::SessionLayer;
use session_tower::axum::{Session, SessionRejection};
use store_memory::MemoryStore;
use store_postgres::PostgresStore;
use store_redis::RedisStore;

use super::{Site, SiteGround, Tier};
use crate::payload::{COUNTER, Payload};
use crate::subject::Role;

impl Site {
    /// Our sites, and the one without sessions.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Site::new("no session at all", Role::Floor, Tier::None, |_| {
                let answer = || async { "1" };
                serve(
                    Router::new()
                        .route("/read", get(answer))
                        .route("/count", get(answer)),
                )
            }),
            Site::new(
                "session-tower, store-memory",
                Role::Ours,
                Tier::Memory,
                |ground| ours(MemoryStore::new(), ground),
            ),
            Site::new(
                "session-tower, store-redis",
                Role::Ours,
                Tier::Redis,
                |ground| async {
                    ours(RedisStore::connect(&ground.redis).await.unwrap(), ground).await
                },
            ),
            Site::new(
                "session-tower, store-postgres",
                Role::Ours,
                Tier::Postgres,
                |ground| async {
                    let builder = PostgresStore::builder(ground.postgres.as_str());
                    builder.migrate().await.unwrap();
                    ours(builder.connect().await.unwrap(), ground).await
                },
            ),
        ]
    }
}

async fn ours(store: impl SessionStore, ground: SiteGround) -> SocketAddr {
    let payload = Arc::new(ground.payload);
    let routes = Router::new()
        .route(
            "/start",
            get(move |session| start(session, Arc::clone(&payload))),
        )
        .route("/read", get(read))
        .route("/count", get(count));
    let layer = SessionLayer::new(Sessions::new(store));
    serve(routes.layer(layer)).await
}

async fn start(session: Session, payload: Arc<Payload>) -> Result<&'static str, SessionRejection> {
    for (name, value) in &payload.entries {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        session.insert(name.as_str(), &value).await?;
    }
    Ok("")
}

async fn read(session: Session) -> Result<String, SessionRejection> {
    let visits: Option<u64> = session.get(COUNTER).await?;
    Ok(visits.unwrap_or_default().to_string())
}

/// As the peers do it: read, then write. `update` would make each of concurrent counts count.
async fn count(session: Session) -> Result<String, SessionRejection> {
    let visits: Option<u64> = session.get(COUNTER).await?;
    let visits = visits.unwrap_or_default() + 1;
    session.insert(COUNTER, &visits).await?;
    Ok(visits.to_string())
}

/// Serves a router on a port of its own, as long as the process runs.
///
/// # Panics
///
/// If it cannot.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    address
}
