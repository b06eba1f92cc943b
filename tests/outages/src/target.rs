//! The servers that are made to suffer, and stores on them.

use std::sync::Arc;
use std::time::Duration;

use session_core::{SharedStore, StoreError};
use store_postgres::PostgresStore;
use store_redis::RedisStore;
use test_servers::{PostgresServer, RedisServer};
use tokio::task::block_in_place;

/// Which kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One Redis.
    Redis,
    /// One Postgres.
    Postgres,
}

/// What of that which it acknowledged a server has after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// All: `appendfsync always`, `synchronous_commit` on.
    Lossless,
    /// Not the last moments, or nothing at all.
    Lossy,
}

/// A server of one's own.
#[derive(Debug)]
pub enum Machine {
    /// One Redis.
    Redis(RedisServer),
    /// One Postgres.
    Postgres(PostgresServer),
}

impl Machine {
    /// Starts one.
    #[must_use]
    pub fn start(kind: Kind, durability: Durability) -> Self {
        block_in_place(|| match (kind, durability) {
            (Kind::Redis, Durability::Lossless) => Self::Redis(RedisServer::start(&[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])),
            (Kind::Redis, Durability::Lossy) => Self::Redis(RedisServer::start(&[])),
            (Kind::Postgres, Durability::Lossless) => Self::Postgres(PostgresServer::start(&[])),
            (Kind::Postgres, Durability::Lossy) => Self::Postgres(PostgresServer::start(&[
                "synchronous_commit=off",
                "wal_writer_delay=10s",
                "wal_writer_flush_after=1GB",
            ])),
        })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Redis(_) => Kind::Redis,
            Self::Postgres(_) => Kind::Postgres,
        }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Postgres(server) => server.port(),
        }
    }

    /// Its URL, as if it listened on `port`.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        match self {
            Self::Redis(_) => format!("redis://127.0.0.1:{port}/"),
            Self::Postgres(_) => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// Stops it where it is.
    pub fn pause(&mut self) {
        block_in_place(|| match self {
            Self::Redis(server) => server.pause(),
            Self::Postgres(server) => server.pause(),
        });
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        block_in_place(|| match self {
            Self::Redis(server) => server.resume(),
            Self::Postgres(server) => server.resume(),
        });
    }

    /// Kills it.
    pub fn kill(&mut self) {
        block_in_place(|| match self {
            Self::Redis(server) => server.kill(),
            Self::Postgres(server) => server.kill(),
        });
    }

    /// Starts it again after it was killed.
    pub fn restart(&mut self) {
        block_in_place(|| match self {
            Self::Redis(server) => server.restart(),
            Self::Postgres(server) => server.restart(),
        });
    }

    /// Its answer to a command, if it is a Redis.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> String {
        match self {
            Self::Redis(server) => block_in_place(|| server.ask(words)),
            Self::Postgres(_) => panic!("{words:?} is for Redis"),
        }
    }
}

/// Makes the tables on a server that needs some.
///
/// # Errors
///
/// The store's.
pub async fn prepare(url: &str) -> Result<(), StoreError> {
    if url.starts_with("postgres") {
        PostgresStore::builder(url).migrate().await?;
    }
    Ok(())
}

/// A store on the server at `url`, which has connections of its own and gives each call so much time.
///
/// # Errors
///
/// The store's.
pub async fn open(url: &str, limit: Duration) -> Result<SharedStore, StoreError> {
    Ok(if url.starts_with("postgres") {
        let builder = PostgresStore::builder(url).connections(8);
        Arc::new(builder.time_limit(limit).connect().await?)
    } else {
        Arc::new(RedisStore::builder(url).time_limit(limit).connect().await?)
    })
}
