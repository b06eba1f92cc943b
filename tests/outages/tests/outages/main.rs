//! Outages of real servers, one a test. In each, every verb ends in time, with the right answer or an error
//! that says what it is; the store works again by itself; and afterwards no acknowledged write is
//! missing and no ended session lives, but where the server itself lost it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod disk;
mod either;
mod failover;
mod postgres;
mod redis;
mod scene;
