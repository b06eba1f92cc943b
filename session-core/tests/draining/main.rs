//! Draining one store into another: where sessions are found, what holds over both, what a failure of
//! either does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod faults;
mod limit;
mod moving;
mod revoking;
mod uneven;
mod world;
