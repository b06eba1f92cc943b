//! Histories: random calls, one after another or at once, judged by models of the contract.
//!
//! - [`sequential`]: each answer is compared with a naive oracle, written from the contract's
//!   words without any of session-core's functions, and with what those functions make of it.
//! - [`concurrent`]: calls of several tasks overlap, and a search decides whether the naive oracle could
//!   have given their answers one after another (Wing and Gong 1993; Lowe 2017).
//! - [`dropped`]: calls whose future is dropped at each of its steps happen whole or not at all.
//!
//! Not part of the public interface: the tests of the suite itself use it.

#![allow(missing_docs, reason = "not part of the public interface")]

mod answer;
mod call;
pub(crate) mod cases;
mod changes;
pub mod concurrent;
mod counts;
pub mod dropped;
mod functions;
mod generate;
mod known;
mod linear;
mod oracle;
mod plain;
mod races;
mod reading;
mod recorder;
mod schedule;
mod secrets;
pub mod sequential;
mod stage;
mod state;
mod world;

pub use counts::Counts;
pub use races::RACES;
pub use schedule::{Yielding, yield_once};
pub use sequential::{Amount, UnderTest, Violation};
