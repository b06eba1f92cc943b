//! The suite on Redis, by the server's own clock.

mod redis;

use std::process::ExitCode;

use session_conformance::Suite;
use store_redis::{RedisStore, RedisStoreBuilder};

fn main() -> ExitCode {
    Suite::new(|| redis::open(server()))
        .neighbour(|| redis::open(server()))
        .main()
}

fn server() -> RedisStoreBuilder {
    RedisStore::builder(test_servers::redis().url())
}
