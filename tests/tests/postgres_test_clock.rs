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

async fn open(clock: ManualClock) -> Opened {
    let schema = Arc::new(Schema::new());
    let [first, second] = schema.two(clock).await;
    Opened::from(first).with_handle(second).holding(schema)
}
