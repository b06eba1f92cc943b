//! Which subjects are measured together.

use test_servers::{PostgresServer, RedisServer};

use crate::subject::{Contender, Operation};
use crate::{floors, ours};

/// Subjects that do the same in the same place, and are compared.
#[derive(Debug)]
pub struct Group {
    /// Its name in tables and filters.
    pub name: &'static str,
    /// What server they share.
    pub service: Service,
    /// Which of their verbs are compared.
    pub operations: &'static [Operation],
    /// How many calls a task makes before it looks at the time and lets others run: one, where a call leaves
    /// the process and so waits by itself.
    pub burst: usize,
    /// Who is measured.
    pub contenders: Vec<Contender>,
}

/// What server a group needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// None.
    None,
    /// A Redis of its own, which keeps nothing on disk.
    Redis,
    /// A PostgreSQL of its own with its default settings: durable.
    Postgres,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub enum Serving {
    /// None was needed.
    None,
    /// A Redis.
    Redis(RedisServer),
    /// A PostgreSQL.
    Postgres(PostgresServer),
}

impl Service {
    /// Starts a fresh server, which takes a second.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub async fn start(self) -> Serving {
        let starting = tokio::task::spawn_blocking(move || match self {
            Self::None => Serving::None,
            Self::Redis => Serving::Redis(RedisServer::start(&[])),
            Self::Postgres => Serving::Postgres(PostgresServer::start(&[])),
        });
        starting.await.unwrap()
    }
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Redis(server) => server.url(),
            Self::Postgres(server) => server.url(),
        }
    }
}

impl Group {
    /// Our stores and the floors they stand on.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let remote = |name, service, contenders| Self {
            name,
            service,
            operations: &Operation::ALL,
            burst: 1,
            contenders,
        };
        vec![
            Self {
                name: "memory",
                service: Service::None,
                operations: &Operation::ALL,
                burst: 64,
                contenders: vec![ours::memory(), floors::dashmap(), floors::moka()],
            },
            Self {
                name: "cached",
                service: Service::Redis,
                operations: &[Operation::Load],
                burst: 64,
                contenders: vec![ours::cached(), floors::moka()],
            },
            remote(
                "redis",
                Service::Redis,
                vec![ours::redis(), floors::redis_rs()],
            ),
            remote(
                "postgres",
                Service::Postgres,
                vec![ours::postgres(false), ours::postgres(true), floors::sqlx()],
            ),
        ]
    }
}

/// A part of a name, such as `redis/load/2KB/64`, that chooses what is measured.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<String>);

impl Filter {
    /// Chooses what begins with these parts; everything, if there are none.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let parts = text.split('/').filter(|part| !part.is_empty());
        Self(parts.map(str::to_lowercase).collect())
    }

    /// Whether a name of these parts may be chosen, as far as both go.
    #[must_use]
    pub fn chooses(&self, name: &[&str]) -> bool {
        self.0
            .iter()
            .zip(name)
            .all(|(wanted, part)| *wanted == part.to_lowercase().replace(' ', ""))
    }

    /// Whether these sizes, verbs and numbers in flight are chosen for a group.
    #[must_use]
    pub fn chooses_cell(
        &self,
        group: &str,
        operation: Operation,
        size: &str,
        in_flight: usize,
    ) -> bool {
        self.chooses(&[group, operation.name(), size, &in_flight.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_chooses_what_begins_like_it() {
        let chooses =
            |filter: &str| Filter::new(filter).chooses_cell("redis", Operation::Load, "2 KB", 64);
        for filter in [
            "",
            "redis",
            "redis/load",
            "Redis/load/2KB",
            "redis/load/2kb/64",
        ] {
            assert!(chooses(filter), "{filter}");
        }
        for filter in [
            "memory",
            "redis/write",
            "redis/load/16KB",
            "redis/load/2KB/1",
        ] {
            assert!(!chooses(filter), "{filter}");
        }
    }
}
