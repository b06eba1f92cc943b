//! What surrounds every handler: a time limit, headers that keep browsers strict, a count of what was
//! answered, and an answer where there is no handler.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::connections::Connection;
use crate::problem::{Kind, Problem};

/// How long a request may take until the head of its response.
const TIME_LIMIT: Duration = Duration::from_secs(30);

tokio::task_local! {
    /// Who sent the request that this task works on.
    static PEER: IpAddr;
}

/// Who sent the request that this task works on, for the log.
pub(crate) fn peer() -> Option<IpAddr> {
    PEER.try_with(|peer| *peer).ok()
}

/// Lets whatever happens on the way know who sent the request.
pub(crate) async fn known_peer(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Connection>();
    match peer.map(|connection| connection.peer.ip()) {
        Some(peer) => PEER.scope(peer, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// Ends what takes too long. Nothing of it is half done: the session is committed whole, or not at all.
pub(crate) async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Kind::Timeout, "try again later").into_response(),
    }
}

/// Scripts and styles come from here alone, nothing is framed, and types are what they say.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    let mut response = next.run(request).await;
    response.headers_mut().extend(HEADERS);
    response
}

/// Counts what was answered, by route.
pub(crate) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    app.metrics().counters.request(&method, route, status);
    response
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "no page or endpoint has this address")
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "another method may do it")
}
