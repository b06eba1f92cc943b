//! The few files that pages need, in the program itself.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::app::App;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/live.js");
const ICON: &str = include_str!("../assets/icon.svg");

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/assets/style.css",
            get(file("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/assets/live.js",
            get(file("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/assets/icon.svg", get(file("image/svg+xml", ICON)))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse + Clone {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=60"),
    ];
    (headers, text)
}
