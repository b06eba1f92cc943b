//! The suite on Postgres, by the server's own clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::process::ExitCode;

use postgres::Schema;
use session_conformance::{Opened, Suite};

fn main() -> ExitCode {
    Suite::new(open).neighbour(open).main()
}

/// Two stores with connections of their own, as on two servers.
async fn open() -> Opened {
    let schema = Schema::new();
    let first = schema.store().await;
    let second = schema.builder().connect().await.expect("a store");
    Opened::from(first).with_handle(second).holding(schema)
}
