//! The driver of PostgreSQL, one statement each on connections that are held.

use parking_lot::Mutex;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Semaphore;

use super::{Bytes, id};
use crate::subject::{Contender, Role, Subject};

/// As many as the store holds by default.
const CONNECTIONS: usize = 10;

struct Floor {
    connections: Mutex<Vec<PgConnection>>,
    free: Semaphore,
    bytes: Bytes,
}

const INSERT: &str =
    "INSERT INTO raw (id, data, expires_at) VALUES ($1, $2, now() + interval '30 minutes')";
const UPDATE: &str =
    "UPDATE raw SET data = $2, expires_at = now() + interval '30 minutes' WHERE id = $1";
const SELECT: &str = "SELECT data FROM raw WHERE id = $1 AND expires_at > now()";

impl Floor {
    /// Lends a connection, with no question to the server in between.
    async fn lend<R>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> R) -> R {
        let _permit = self.free.acquire().await.unwrap();
        let connection = self.connections.lock().pop();
        let mut connection = connection.expect("a permit is a connection");
        let answer = work(&mut connection).await;
        self.connections.lock().push(connection);
        answer
    }

    async fn change(&self, statement: &'static str, id: [u8; 16]) {
        let changed = self
            .lend(async |connection| {
                sqlx::query(statement)
                    .bind(id.as_slice())
                    .bind(&self.bytes.object)
                    .execute(connection)
                    .await
                    .unwrap()
            })
            .await;
        assert_eq!(changed.rows_affected(), 1, "a row is gone");
    }
}

impl Subject for Floor {
    async fn prepare(&self, at: usize) {
        self.change(INSERT, self.bytes.ids[at]).await;
    }

    async fn load(&self, at: usize) {
        let id = self.bytes.ids[at];
        let data: Vec<u8> = self
            .lend(async |connection| {
                sqlx::query_scalar(SELECT)
                    .bind(id.as_slice())
                    .fetch_one(connection)
                    .await
                    .unwrap()
            })
            .await;
        assert!(!data.is_empty(), "a value is gone");
    }

    async fn write(&self, at: usize, _: usize) {
        self.change(UPDATE, self.bytes.ids[at]).await;
    }

    async fn create(&self) {
        self.change(INSERT, id()).await;
    }
}

/// `sqlx`, the driver: one durable statement each on ten connections, held.
#[must_use]
pub(crate) fn sqlx() -> Contender {
    Contender::new("raw sqlx", Role::Floor, |ground| async move {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(PgConnection::connect(&ground.url).await.unwrap());
        }
        let drop_and_create = "DROP TABLE IF EXISTS raw; CREATE TABLE raw \
             (id bytea PRIMARY KEY, data bytea NOT NULL, expires_at timestamptz NOT NULL)";
        sqlx::raw_sql(drop_and_create)
            .execute(&mut connections[0])
            .await
            .unwrap();
        Floor {
            connections: Mutex::new(connections),
            free: Semaphore::new(CONNECTIONS),
            bytes: Bytes::of(&ground),
        }
    })
}
