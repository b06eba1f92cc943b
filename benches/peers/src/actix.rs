//! actix-session.

use std::collections::HashMap;
use std::net::SocketAddr;

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionKey, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::{App, HttpServer, web};
use benches::{COUNTER, Contender, Ground, Payload, Role, Site, Subject, Tier};
use parking_lot::Mutex;
use time::Duration;

/// Its values are JSON texts.
type State = HashMap<String, String>;

struct Peer {
    store: RedisSessionStore,
    keys: Vec<Mutex<Option<String>>>,
    state: State,
}

const LIFE: Duration = Duration::minutes(30);

impl Peer {
    fn new(store: RedisSessionStore, ground: &Ground) -> Self {
        Self {
            store,
            keys: (0..ground.sessions).map(|_| Mutex::default()).collect(),
            state: ground.payload.entries.iter().cloned().collect(),
        }
    }

    fn key(&self, at: usize) -> SessionKey {
        let key = self.keys[at].lock().clone();
        key.and_then(|key| key.try_into().ok()).unwrap()
    }
}

impl Subject for Peer {
    async fn prepare(&self, at: usize) {
        let key = self.store.save(self.state.clone(), &LIFE).await.unwrap();
        *self.keys[at].lock() = Some(key.as_ref().to_owned());
    }

    async fn load(&self, at: usize) {
        let found = self.store.load(&self.key(at)).await.unwrap();
        assert!(found.is_some(), "a session is gone");
    }

    async fn write(&self, at: usize, value: usize) {
        // Its update takes the state away from the caller, who has to clone it to go on with it.
        let mut state = self.state.clone();
        state.insert(COUNTER.to_owned(), value.to_string());
        self.store.update(self.key(at), state, &LIFE).await.unwrap();
    }

    async fn create(&self) {
        self.store.save(self.state.clone(), &LIFE).await.unwrap();
    }
}

pub(crate) fn redis() -> Contender {
    Contender::new("actix-session redis", Role::Peer, |ground| async move {
        Peer::new(
            RedisSessionStore::new(ground.url.as_str()).await.unwrap(),
            &ground,
        )
    })
}

/// Serves on two threads of its own, as many as the other sites share.
async fn site<S: SessionStore + 'static>(
    store: impl Fn() -> S + Clone + Send + 'static,
    payload: Payload,
) -> SocketAddr {
    let (tell, told) = tokio::sync::oneshot::channel();
    let key = Key::generate();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let application = move || {
                App::new()
                    .app_data(web::Data::new(payload.clone()))
                    .wrap(SessionMiddleware::new(store(), key.clone()))
                    .route("/start", web::get().to(start))
                    .route("/read", web::get().to(read))
                    .route("/count", web::get().to(count))
            };
            let server = HttpServer::new(application)
                .workers(2)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.await.unwrap()
}

async fn start(session: Session, payload: web::Data<Payload>) -> &'static str {
    for (name, value) in &payload.entries {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        session.insert(name, value).unwrap();
    }
    ""
}

async fn read(session: Session) -> String {
    let visits: Option<u64> = session.get(COUNTER).unwrap();
    visits.unwrap_or_default().to_string()
}

async fn count(session: Session) -> String {
    let visits: Option<u64> = session.get(COUNTER).unwrap();
    let visits = visits.unwrap_or_default() + 1;
    session.insert(COUNTER, visits).unwrap();
    visits.to_string()
}

/// In the cookie: what a request counts, another that presents the same cookie does not see.
pub(crate) fn sites() -> [Site; 2] {
    [
        Site::new(
            "actix-session redis",
            Role::Peer,
            Tier::Redis,
            |ground| async move {
                let store = RedisSessionStore::new(ground.redis.as_str()).await;
                let store = store.unwrap();
                site(move || store.clone(), ground.payload).await
            },
        ),
        Site::new("actix-session cookie", Role::Peer, Tier::Cookie, |ground| {
            site(CookieSessionStore::default, ground.payload)
        }),
    ]
}
