//! Real servers for tests, found in this order:
//!
//! 1. the one that a variable names: `SESSION_TEST_REDIS_URL`, `SESSION_TEST_REDIS_CLUSTER_URL`,
//!    `SESSION_TEST_REDIS_SENTINEL_URL`, `SESSION_TEST_POSTGRES_URL`;
//! 2. a container, where a Docker engine runs and has an image: the one that `SESSION_TEST_REDIS_IMAGE` or
//!    `SESSION_TEST_POSTGRES_IMAGE` names, which is fetched if need be, one that `cargo xtask images` made of
//!    this machine's own programs, or one of the official names;
//! 3. the server's program on this machine, in a temporary directory, on a free port; for Redis the one that
//!    `SESSION_TEST_REDIS_SERVER` names, of another version or Valkey's, if it is set;
//! 4. the same, after its Debian package was installed.
//!
//! Where there is none of them the test fails, and says in one line what would help.
//! `SESSION_TEST_SERVERS=docker` and `SESSION_TEST_SERVERS=local` leave only the second, or the last two.
//!
//! [`redis`], [`redis_cluster`], [`redis_sentinel`] and [`postgres`] are one each for all tests of a process, which keep apart by prefix
//! or schema. Whatever was started here ends with the process, also when that is killed.
//!
//! ```no_run
//! let url = test_servers::postgres().url();
//! assert!(url.starts_with("postgres://"));
//! ```

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test whose server is missing fails by panicking"
)]

mod container;
mod debian;
mod postgres;
mod process;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod resp;
mod server;
mod watchdog;

pub use postgres::{PostgresServer, postgres};
pub use redis::{RedisServer, redis};
pub use redis_cluster::{RedisCluster, redis_cluster};
pub use redis_sentinel::{RedisSentinel, redis_sentinel};
pub use server::{Origin, Server};

/// Where a program is on this machine, after its Debian package was installed if it was nowhere.
///
/// # Errors
///
/// If it cannot be installed.
pub fn program(name: &str, package: &str) -> Result<std::path::PathBuf, String> {
    debian::program(name, package, Vec::new)
}

/// A port that nobody listens on. The next one to bind it may be another process all the same.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    process::free_port().unwrap()
}
