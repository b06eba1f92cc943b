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
//! that does not apply to a store is *ignored*, with the reason. [`Suite`] says what else can be given,
//! so that more cases apply: a test clock, a second handle, a neighbour, a bounded store.

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
