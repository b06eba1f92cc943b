//! The request step, the response step and the guard, without any framework.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

mod cookies;
mod former;
mod guard;
mod header;
mod policy;
mod requests;
mod responses;
mod unreachable;
mod world;
