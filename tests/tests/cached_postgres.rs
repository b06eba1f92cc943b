//! The suite on two caches in front of Postgres, by a test clock.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod cached;
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
    let opened = cached::open(clock, |clock| schema.two(clock)).await;
    opened.holding(schema)
}
