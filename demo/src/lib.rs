//! A small web application with sessions: a shop, a list of devices, and a panel that shows the session
//! as the server sees it.
//!
//! `cargo run -p demo` serves it on <http://127.0.0.1:3000>. This library is there so that tests can
//! start it in their own process:
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let app = demo::App::open(demo::Config::default()).await?;
//! let stop = async {};
//! app.serve(listener, stop).await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

mod api;
mod app;
mod assets;
mod cluster;
mod config;
mod connections;
mod credentials;
mod fault;
mod guards;
mod lab;
mod labels;
mod live;
mod log;
mod metrics;
mod pages;
mod problem;
mod shop;
mod status;
mod stores;
mod users;

pub use app::App;
pub use cluster::Certificates;
pub use config::Config;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
