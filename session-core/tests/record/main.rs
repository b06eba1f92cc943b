//! The record and what changes it: laws that hold of every record and change, and the stored format.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bounds;
mod hostile;
mod laws;
mod renewal;
mod samples;
mod version_1;
