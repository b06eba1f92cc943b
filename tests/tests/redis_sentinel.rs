//! The suite on Redis with sentinels, by a test clock.

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

/// A change is acknowledged when a replica has it.
fn servers() -> RedisStoreBuilder {
    RedisStore::builder(test_servers::redis_sentinel().url()).replicas_ack(1)
}
