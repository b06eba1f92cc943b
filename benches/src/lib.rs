//! One harness that measures our stores, what they stand on, and what users would pick instead.
//!
//! A [`Subject`] is anything that holds sessions. Those of one [`Group`] are filled alike and then take
//! turns, in rounds of random order, so that whatever else the machine does disturbs all of them: medians
//! and ratios tell, single figures do not. `benches/README.md` says how to run it and what came of it.
//!
//! Other people's stores are in a package of their own, `benches/peers`, outside the workspace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench stops at what it does not expect: what fails is not timed"
)]

mod cluster;
mod figures;
mod floors;
mod group;
mod http;
mod numbers;
mod ours;
mod payload;
mod run;
mod stopwatch;
mod stores;
mod subject;
mod table;
mod target;
mod weight;

pub use cluster::{
    CLUSTER, ClusterContender, ClusterLength, ClusterRow, NodeSetup, Replicated, Seen,
    measure_clusters,
};
pub use group::{Filter, Group, Service, Serving};
pub use http::{HTTP, OpenSite, Site, SiteGround, SiteRow, Tier, serve, try_out};
pub use payload::{COUNTER, Payload};
pub use run::Bench;
pub use stores::{IN_FLIGHT, Length, Row, SIZES, measure};
pub use subject::{Contender, Filled, Ground, Open, Operation, Order, Outcome, Role, Subject};
pub use weight::{Fill, Weight, WeightRow};
