//! The application: what all handlers share, and which of them answers what.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use session_core::Sessions;
use session_tower::SessionLayer;
use session_tower::session_http::{CookieOptions, InvalidCookie, SameOrigin, SessionCookie};
use store_memory::CachedUsage;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Node;
use crate::config::Config;
use crate::fault::{FaultStore, Faults};
use crate::live::Live;
use crate::log::Log;
use crate::metrics::{Counters, Metrics};
use crate::stores::{CacheUsage, Move};
use crate::{api, assets, connections, guards, lab, live, pages, problem, status, stores};

/// The longest form; JSON has limits of its own.
const MAX_FORM: usize = 64 << 10;
/// How often expired sessions are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the store that is drained is counted, and how far.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const MOST_LEFT: usize = 10_000;

/// The application with its store: what all handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    sessions: Sessions,
    cookie: SessionCookie,
    metrics: Metrics,
    cache: Option<CacheUsage>,
    live: Live,
    faults: Faults,
    draining: Option<Move>,
    node: Option<Node>,
    stopping: watch::Sender<bool>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Opens the store and sets everything up.
    ///
    /// # Errors
    ///
    /// A store that is not there or does not open, or flags that make no sense together.
    pub async fn open(config: Config) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut opened = stores::open_all(&config).await?;
        if let Some(bound) = config.cache {
            opened = opened.behind_cache(bound, config.cache_age)?;
        }
        let faults = Faults::default();
        let store = if config.lab {
            Arc::new(FaultStore::new(opened.store, faults.clone()))
        } else {
            opened.store
        };
        let counters = Counters::new();
        let live = Live::new();
        let sessions = Sessions::shared_builder(store)
            .timeouts(config.timeouts())
            .limit(config.limit())
            .observer(counters.clone())
            .observer(Log)
            .observer(live.clone())
            .build();
        Ok(Self(Arc::new(Inner {
            cookie: cookie(&config).build()?,
            metrics: Metrics::new(
                counters,
                opened.count,
                opened.cache.clone(),
                opened.draining.is_some(),
                opened.node.clone(),
            ),
            cache: opened.cache,
            draining: opened.draining,
            node: opened.node,
            stopping: watch::Sender::new(false),
            config,
            sessions,
            live,
            faults,
        })))
    }

    /// Serves the application until `shutdown` resolves and the requests that were in flight then are
    /// finished, which takes ten seconds at most. A node of a cluster then leaves it.
    ///
    /// # Errors
    ///
    /// Flags that make no cookie.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let router = router(self.clone())?;
        let shutdown = async {
            shutdown.await;
            self.stop();
        };
        let upkeep = self.spawn_upkeep();
        connections::serve(listener, router, shutdown).await;
        upkeep.abort();
        if let Some(node) = &self.0.node {
            node.clone().leave().await;
        }
        Ok(())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.0.cookie
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn store_name(&self) -> &'static str {
        self.sessions().store().facts().name
    }

    /// What the cache in front of the store has done, if there is one.
    pub(crate) fn cache_usage(&self) -> Option<CachedUsage> {
        self.0.cache.as_ref().map(|usage| usage())
    }

    /// The move to another store that is under way.
    pub(crate) fn draining(&self) -> Option<&Move> {
        self.0.draining.as_ref()
    }

    /// The node of a cluster that this program is, if its store is one.
    pub(crate) fn cluster(&self) -> Option<&Node> {
        self.0.node.as_ref()
    }

    /// What this server calls itself.
    pub(crate) fn node(&self) -> &str {
        match (&self.0.node, &self.0.config.node) {
            (_, Some(name)) => name,
            (Some(node), None) => &node.name,
            (None, None) => "local",
        }
    }

    /// Says that the program stops: nothing that goes on by itself goes on any longer.
    fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Tells whether the program stops, and when it begins to.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Keeps the store swept.
    fn spawn_upkeep(&self) -> JoinHandle<()> {
        let app = self.clone();
        tokio::spawn(async move {
            tokio::join!(app.sessions().upkeep(SWEEP_EVERY), app.watch_draining());
        })
    }

    /// Counts what is left in the store that is drained, and says when it is empty.
    async fn watch_draining(&self) {
        let Some(draining) = self.draining() else {
            return;
        };
        let mut was_empty = false;
        loop {
            match draining.left(MOST_LEFT).await {
                Ok(Some(left)) => {
                    self.metrics().set_left(left);
                    let is_empty = draining.has_switched() && left == 0;
                    if is_empty && !was_empty {
                        tracing::info!("the store that was drained is empty: it can be taken out");
                    }
                    was_empty = is_empty;
                }
                Ok(None) => return,
                Err(error) => tracing::warn!(%error, "the store that is drained cannot be counted"),
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }
}

fn cookie(config: &Config) -> CookieOptions {
    if config.insecure_cookies {
        CookieOptions::new().with_name("id").with_secure(false)
    } else {
        CookieOptions::new()
    }
}

/// Everything the program answers.
fn router(app: App) -> Result<Router, InvalidCookie> {
    // Forms and scripts of other sites are refused everywhere; programs may come with JSON.
    let own = SameOrigin::new()
        .with_unsafe_methods(true)
        .with_json_programs(true);
    let session = SessionLayer::new(app.sessions().clone())
        .with_same_origin(own)
        .with_cookie(cookie(app.config()))
        .build()?;

    let mut with_session = Router::new()
        .merge(pages::routes())
        .route("/live", get(live::live))
        .nest("/api", api::routes());
    if app.config().lab {
        with_session = with_session.nest("/api/lab", lab::routes());
    }
    let with_session = with_session
        .fallback(guards::not_found)
        .method_not_allowed_fallback(guards::method_not_allowed)
        .layer(session)
        .layer(from_fn(problem::as_page));

    Ok(Router::new()
        .route("/healthz", get(status::healthz))
        .route("/metrics", get(status::metrics))
        .route("/cluster", get(status::cluster))
        .merge(assets::routes())
        .merge(with_session)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn(lab::lose))
        .layer(from_fn(guards::time_limit))
        .layer(from_fn(guards::security_headers))
        .layer(from_fn(guards::known_peer))
        .layer(from_fn_with_state(app.clone(), guards::count))
        .with_state(app))
}
