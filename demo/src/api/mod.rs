//! The same for programs, in JSON.

mod body;
mod devices;
mod entries;
mod session;
mod sign_in;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub(crate) use self::body::Json;
pub(crate) use self::session::SessionView;

/// A value of 1 MiB is legal; the session judges what is a little longer.
const MAX_VALUE_BODY: usize = (1 << 20) + (4 << 10);

pub(crate) fn routes() -> Router<App> {
    let entry = put(entries::put)
        .delete(entries::delete)
        .layer(DefaultBodyLimit::max(MAX_VALUE_BODY));
    Router::new()
        .route("/session", get(session::get))
        .route("/session/entries/{name}", entry)
        .route(
            "/session/entries/{name}/increment",
            post(entries::increment),
        )
        .route("/slow", post(entries::slow))
        .route("/sign-in", post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/sign-out-others", post(sign_in::sign_out_others))
        .route("/sign-out-everywhere", post(sign_in::sign_out_everywhere))
        .route("/devices", get(devices::list))
        .route("/devices/{id}", delete(devices::sign_out))
}
