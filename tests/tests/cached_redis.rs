//! The suite on two caches in front of Redis, by a test clock.

mod cached;
mod redis;

use std::process::ExitCode;

use session_conformance::Suite;
use session_core::ManualClock;
use store_redis::{RedisStore, RedisStoreBuilder};

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    Suite::new(move || cached::open(by.clone(), |clock| redis::two(server(clock))))
        .neighbour(move || cached::open(neighbour_by.clone(), |clock| redis::two(server(clock))))
        .clock(clock)
        .main()
}

fn server(clock: ManualClock) -> RedisStoreBuilder {
    RedisStore::builder(test_servers::redis().url()).test_clock(clock)
}
