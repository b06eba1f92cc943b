//! How the program is doing, for those who run it.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use session_core::{Freshness, SessionId, Shard};

use crate::app::App;
use crate::pages;
use crate::problem::{Kind, Problem};

/// How long the store may take to say that it is there.
const PROBE: Duration = Duration::from_secs(2);

/// 200 if the program can answer requests that use a session; else 503 and why not.
pub(crate) async fn healthz(State(app): State<App>) -> Response {
    if *app.stopping().borrow() {
        return Problem::new(Kind::NotReady, "the server is stopping").into_response();
    }
    if let Some(node) = app.cluster() {
        return if node.store.is_ready() {
            // It serves even while others are down, and it can say "no such session" of none.
            (StatusCode::OK, "ready\n").into_response()
        } else {
            let detail = "this node does not hold yet what the others hold";
            Problem::new(Kind::NotReady, detail).into_response()
        };
    }
    // Nobody has this id: that is an answer, too.
    let nobody = SessionId::generate(Shard::random());
    let probe = app.sessions().store().load(nobody, Freshness::Source);
    match tokio::time::timeout(PROBE, probe).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n").into_response(),
        Ok(Err(error)) => Problem::new(Kind::NotReady, error.to_string()).into_response(),
        Err(_) => Problem::new(Kind::NotReady, "the store does not answer").into_response(),
    }
}

/// How the cluster is doing that this program is a node of. It asks no store: it is there when sessions are not.
pub(crate) async fn cluster(State(app): State<App>) -> Response {
    const AGAIN: [(HeaderName, HeaderValue); 2] = [
        (header::REFRESH, HeaderValue::from_static("2")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    match app.cluster() {
        Some(node) => (AGAIN, pages::cluster(node, app.sessions().now())).into_response(),
        None => {
            let detail = "this program is no node of a cluster: see --store";
            (
                StatusCode::NOT_FOUND,
                pages::error(StatusCode::NOT_FOUND, "There is no cluster", detail),
            )
                .into_response()
        }
    }
}

/// The counters as Prometheus reads them.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match app.metrics().text() {
        Ok(text) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(_) => Problem::new(Kind::Internal, "the metrics could not be written").into_response(),
    }
}
