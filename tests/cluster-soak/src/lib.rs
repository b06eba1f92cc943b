//! Five nodes of a cluster as processes with addresses of their own, which are killed, stopped, slowed down
//! and cut off from each other under load: what was acknowledged is there, what ended stays ended, and
//! afterwards all nodes hold the same.
//!
//! A run ([`Plan`]) starts the nodes in network namespaces on one bridge, keeps operations going, and has one
//! fault after the other happen. After each it waits until what was done before is everywhere, and notes
//! how long that took. Whatever was asked and answered goes into a ledger, which also says what of it was not
//! as it must be. In the end every session is looked at on every node.
//!
//! A node is this crate's program as well ([`node`]); orders reach it over its standard input and answers
//! come over its output, so that the way to a node is never what fails.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a run that cannot go on fails by panicking"
)]

mod account;
mod authority;
mod cluster;
mod fault;
mod figures;
mod findings;
mod ledger;
mod load;
mod moment;
mod network;
pub mod node;
mod order;
mod process;
mod run;
mod settle;

pub use network::why_not;
pub use run::{Aim, Plan, Report, run};
