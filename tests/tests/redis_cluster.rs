//! The suite on a Redis cluster of three masters, by a test clock.

mod redis;

use std::process::ExitCode;

use session_conformance::Suite;
use session_core::ManualClock;
use store_redis::{RedisStore, RedisStoreBuilder};

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    Suite::new(move || redis::open_by(by.clone(), servers()))
        .neighbour(move || redis::open_by(neighbour_by.clone(), servers()))
        .clock(clock)
        .main()
}

fn servers() -> RedisStoreBuilder {
    RedisStore::builder(test_servers::redis_cluster().url())
}
