//! actix-session.

use std::collections::HashMap;

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore as _};
use benches::{COUNTER, Contender, Ground, Role, Subject};
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
