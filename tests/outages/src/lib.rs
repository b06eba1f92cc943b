//! Stores on servers that have a bad day: what was acknowledged is there, what ended stays ended, and every
//! call ends in time.
//!
//! [`Recorded`] makes calls to a store and writes down what was acknowledged, what was not, and what is
//! unknown; a [`Ledger`] adds that up, looks at the store when all is over, and gives its [`Findings`].
//! [`Proxy`] cuts, delays and swallows what goes between a store and its server. [`worker`] is a mixed
//! load of such calls, and [`soak`] runs two processes of it while their server is stopped, killed, cut
//! off and filled.
//!
//! Faults are of two kinds. *Lossless* ones leave the server with all that it acknowledged: then nothing
//! may be lost and nothing may come back to life. After *lossy* ones (a server without its log, a commit
//! that did not wait for the disk) the server itself lacks what it had acknowledged: that is counted, and
//! shows that the ledger sees it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test whose server is missing fails by panicking"
)]

mod event;
mod faults;
mod ledger;
mod limit;
mod proxy;
mod recorded;
mod rng;
pub mod soak;
mod target;
mod timed;
pub mod worker;

pub use event::{Event, Found, Id, Journal, Sight, Span};
pub use faults::Fault;
pub use ledger::{Finding, Findings, Ledger};
pub use limit::sign_in_at_once;
pub use proxy::{Proxy, Traffic};
pub use recorded::{Own, Recorded};
pub use rng::Rng;
pub use target::{Durability, Kind, Machine, open, prepare};
pub use timed::Timed;
