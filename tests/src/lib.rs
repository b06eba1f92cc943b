//! The conformance suite for session stores: every clause of the contract as named, filterable tests.
//!
//! A store is proven by a test target without the standard harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! ```no_run
//! # use session_conformance::reference::ReferenceStore as MyStore;
//! use session_conformance::Suite;
//! use session_core::Consistency;
//!
//! fn main() -> std::process::ExitCode {
//!     Suite::new(|| async { MyStore::default() })
//!         .consistency(Consistency::Linearizable)
//!         .main()
//! }
//! ```
//!
//! The program takes the arguments of `cargo test`: a filter, `--exact`, `--list`, `--test-threads`. Every
//! case uses ids and subjects of its own, so the suite may run against a server that others use. A case
//! that does not apply to a store is *ignored*, with the reason.
//!
//! More cases apply if the suite is given more:
//!
//! | given | by | for |
//! |---|---|---|
//! | a test clock that the store goes by | [`Suite::clock`] | expiry, overlaps and tickets to the millisecond, without waiting |
//! | another handle to the same sessions: a clone, a second client, another node | [`Opened::with_handle`] | clause 16; and all concurrent cases then call through both |
//! | a store of another prefix on the same server | [`Suite::neighbour`] | clause 15 |
//! | a store that holds a stated number of sessions | [`Suite::bounded`] | refusing as `Full` |
//! | the word that calls go to different nodes of a cluster | [`Suite::across_nodes`] | leaving out what holds through one node alone |
//! | something to be dropped after the last case, such as a container | [`Opened::holding`] | – |
//!
//! A failure names a seed: with `SESSION_CONFORMANCE_SEED` set to it, what is random in a case but ids
//! and secrets is the same again.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a case fails by panicking"
)]

#[macro_use]
mod case;
mod cases;
mod context;
mod expect;
#[doc(hidden)]
pub mod history;
mod opened;
pub mod reference;
mod rng;
mod sample;
mod suite;

pub use opened::Opened;
pub use suite::{Outcome, Suite};
