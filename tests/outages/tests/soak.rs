//! A minute of what `cargo xtask soak` does for longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::time::Duration;

use session_core::{Clock as _, SystemClock};
use session_outages::soak::{self, Plan};
use session_outages::{Durability, Kind};

async fn a_minute(kind: Kind) {
    let seed = SystemClock.now().as_millis();
    for (durability, seconds) in [(Durability::Lossless, 50), (Durability::Lossy, 10)] {
        let plan = Plan {
            kind,
            durability,
            length: Duration::from_secs(seconds),
            seed,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_soak"));
        let report = soak::run(plan, program).await.expect("it runs");
        println!("{report}");
        assert!(report.is_good(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_outages_of_redis() {
    a_minute(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_outages_of_postgres() {
    a_minute(Kind::Postgres).await;
}
