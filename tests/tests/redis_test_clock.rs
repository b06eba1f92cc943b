//! The suite on Redis, by a test clock that stands in for the server's.

mod redis;

use std::process::ExitCode;

use session_conformance::Suite;
use session_core::ManualClock;
use store_redis::{RedisStore, RedisStoreBuilder};

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    Suite::new(move || redis::open_by(by.clone(), server()))
        .neighbour(move || redis::open_by(neighbour_by.clone(), server()))
        .clock(clock)
        .main()
}

fn server() -> RedisStoreBuilder {
    RedisStore::builder(test_servers::redis().url())
}
