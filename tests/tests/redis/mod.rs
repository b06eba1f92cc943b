//! A prefix of its own for each test program, on the Redis that tests share.

#![allow(
    clippy::expect_used,
    dead_code,
    reason = "a test fails by panicking; each test program uses some of it"
)]

use session_conformance::Opened;
use session_core::{ManualClock, SessionId, Shard};
use store_redis::{RedisStore, RedisStoreBuilder};

/// A prefix that nobody else uses.
pub(crate) fn fresh_prefix() -> String {
    format!("test:{}:", SessionId::generate(Shard::random()))
}

/// Two stores with connections of their own, as on two servers.
pub(crate) async fn two(builder: RedisStoreBuilder) -> [RedisStore; 2] {
    let builder = builder.prefix(&fresh_prefix());
    let first = builder.clone().connect().await.expect("a store");
    let second = builder.connect().await.expect("a store");
    [first, second]
}

pub(crate) async fn open(builder: RedisStoreBuilder) -> Opened {
    let [first, second] = two(builder).await;
    Opened::from(first).with_handle(second)
}

/// The same, by a test clock.
pub(crate) async fn open_by(clock: ManualClock, builder: RedisStoreBuilder) -> Opened {
    open(builder.test_clock(clock)).await
}
