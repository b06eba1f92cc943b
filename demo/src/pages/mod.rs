//! The pages that people see. All of them work without a script.

mod check_out;
mod cluster;
mod devices;
mod home;
mod layout;
mod member;
mod notice;
mod panel;
mod sign_in;
mod time;
mod visitor;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use self::notice::{Next, Notice};
use crate::app::App;

pub(crate) use self::cluster::cluster;
pub(crate) use self::layout::error;
pub(crate) use self::panel::details;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::home))
        .route("/visits", post(home::remember_visits))
        .route("/cart", post(home::change_cart))
        .route("/check-out", post(check_out::check_out))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/devices", get(devices::list))
        .route("/devices/{id}/sign-out", post(devices::sign_out_one))
        .route("/sign-out-others", post(devices::sign_out_others))
        .route("/sign-out-everywhere", post(devices::sign_out_everywhere))
}

/// To a page, with a word on what was done.
fn to(path: &str, notice: Notice) -> Redirect {
    Redirect::to(&format!("{path}?notice={}", notice.name()))
}

/// To the sign-in page, and from there on.
fn to_sign_in(notice: Notice, next: Next) -> Redirect {
    let (notice, next) = (notice.name(), next.name());
    Redirect::to(&format!("/sign-in?notice={notice}&next={next}"))
}
