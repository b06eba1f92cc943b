//! The driver of Redis, one command each on one connection.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, SetExpiry, SetOptions};

use super::{Bytes, id};
use crate::subject::{Contender, Role, Subject};

struct Floor {
    connection: MultiplexedConnection,
    bytes: Bytes,
}

impl Floor {
    async fn set(&self, id: [u8; 16]) {
        let options = SetOptions::default().with_expiration(SetExpiry::EX(1800));
        let mut connection = self.connection.clone();
        let () = connection
            .set_options(id.as_slice(), &self.bytes.object, options)
            .await
            .unwrap();
    }
}

impl Subject for Floor {
    async fn prepare(&self, at: usize) {
        self.set(self.bytes.ids[at]).await;
    }

    async fn load(&self, at: usize) {
        let mut connection = self.connection.clone();
        let found: Option<Vec<u8>> = connection.get(self.bytes.ids[at].as_slice()).await.unwrap();
        assert!(found.is_some(), "a value is gone");
    }

    async fn write(&self, at: usize, _: usize) {
        self.set(self.bytes.ids[at]).await;
    }

    async fn create(&self) {
        self.set(id()).await;
    }
}

/// `redis`, the driver: `GET` and `SET … EX` on one multiplexed connection, held.
#[must_use]
pub(crate) fn redis_rs() -> Contender {
    Contender::new("raw redis-rs", Role::Floor, |ground| async move {
        let client = redis::Client::open(ground.url.as_str()).unwrap();
        Floor {
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            bytes: Bytes::of(&ground),
        }
    })
}
