//! A small web application with sessions: a shop, a list of devices, and a panel that shows the session
//! as the server sees it.
//!
//! `cargo run -p demo` serves it on <http://127.0.0.1:3000>. This library is there so that tests can
//! start it in their own process:
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let stop = async {};
//! demo::serve(listener, demo::Config::default(), stop).await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

mod api;
mod app;
mod assets;
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

use std::error::Error;

use tokio::net::TcpListener;

pub use config::Config;

/// Serves the application until `shutdown` resolves and the requests that were in flight then are
/// finished, which takes ten seconds at most.
///
/// # Errors
///
/// A store that is not there or does not open.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let app = app::App::open(config).await?;
    let stopping = app.clone();
    let router = app::router(app.clone())?;
    let shutdown = async move {
        shutdown.await;
        stopping.stop();
    };
    let upkeep = app.spawn_upkeep();
    connections::serve(listener, router, shutdown).await;
    upkeep.abort();
    Ok(())
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
