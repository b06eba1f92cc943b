//! The same for programs, in JSON.

mod body;
mod devices;
mod entries;
mod session;
mod sign_in;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub(crate) use self::body::Json;
pub(crate) use self::session::SessionView;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/session", get(session::get))
        .route(
            "/session/entries/{name}",
            put(entries::put).delete(entries::delete),
        )
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
