//! Sessions in tower services, in axum applications, and over real sockets.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

#[cfg(feature = "axum")]
mod extractors;
mod failures;
mod faulty;
mod in_flight;
mod layering;
mod service;
#[cfg(feature = "axum")]
mod sockets;
#[cfg(feature = "axum")]
mod streaming;
mod world;
