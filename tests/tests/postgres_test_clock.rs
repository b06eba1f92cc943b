//! The suite on Postgres, by a test clock that stands in for the server's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::process::ExitCode;
use std::sync::Arc;

use postgres::Schema;
use session_conformance::{Opened, Suite};
use session_core::ManualClock;

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let (by, neighbour_by) = (clock.clone(), clock.clone());
    Suite::new(move || open(by.clone()))
        .neighbour(move || open(neighbour_by.clone()))
        .clock(clock)
        .main()
}

/// Two stores with connections of their own, as on two servers.
async fn open(clock: ManualClock) -> Opened {
    let schema = Arc::new(Schema::new());
    let builder = schema.builder().test_clock(clock);
    builder.migrate().await.expect("the tables are made");
    let first = builder.clone().connect().await.expect("a store");
    let second = builder.connect().await.expect("a store");
    Opened::from(first).with_handle(second).holding(schema)
}
