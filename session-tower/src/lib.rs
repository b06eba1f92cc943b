//! Sessions for tower services and, with the feature `axum`, extractors for axum.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use session_core::Sessions;
//! use session_tower::SessionLayer;
//! use session_tower::axum::{Session, SessionRejection};
//! use store_memory::MemoryStore;
//!
//! async fn visit(session: Session) -> Result<String, SessionRejection> {
//!     let visits: u32 = session.get("visits").await?.unwrap_or(0) + 1;
//!     session.insert("visits", &visits).await?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! let app: Router = Router::new()
//!     .route("/", get(visit))
//!     .layer(SessionLayer::new(Sessions::new(MemoryStore::new())));
//! # }
//! ```
//!
//! Any other service finds its session in the request's extensions:
//!
//! ```
//! use http::{Request, Response};
//! use session_core::{Session, Sessions};
//! use session_tower::SessionLayer;
//! use store_memory::MemoryStore;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let service = SessionLayer::new(Sessions::new(MemoryStore::new())).layer(service_fn(
//!     async |request: Request<()>| {
//!         if let Some(session) = request.extensions().get::<Session>() {
//!             session.insert("visits", &1).await?;
//!         }
//!         Ok::<_, session_core::SessionError>(Response::new(String::from("hello")))
//!     },
//! ));
//! let response = service.oneshot(Request::new(())).await?;
//! assert!(response.headers().contains_key("set-cookie"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a request can end
//!
//! The session is committed once, when the inner service has given the head of its response and before
//! any of it is sent. What was done at once (sign-in, sign-out, [`save`](session_core::Session::save),
//! [`update`](session_core::Session::update)) is done in every case.
//!
//! | the inner service | edits | cookie | response |
//! |---|---|---|---|
//! | answers below 500 | committed | as they demand | its own, with what caches need to know |
//! | answers with 500 or more | dropped | of a completed sign-in alone | its own |
//! | panics | dropped | of a completed sign-in alone | 500 |
//! | fails with an error | dropped | none: there is no response | the error, passed on |
//! | is dropped, since the client went away | dropped | none | none |
//! | goes on with the body after its head | committed before the head; then only what is done at once, and no new cookie | in the head | its own |
//!
//! And the commit itself:
//!
//! | the commit | response |
//! |---|---|
//! | is done | the inner service's |
//! | finds that the session ended meanwhile | 409 for unsafe methods, else the inner service's; see [`WhenEnded`](session_http::WhenEnded) |
//! | fails in the store | 503; 413 if the session would have become too large |
//!
//! Every response of the layer's own has a [`Problem`](session_http::Problem) in its extensions, and, in
//! an axum application, its document as the body, so a layer further out can make a page of it. Every
//! response has the [`CommitOutcome`](session_core::CommitOutcome) in its extensions.

#[cfg(feature = "axum")]
pub mod axum;
mod layer;
mod response;
mod service;

pub use layer::SessionLayer;
pub use service::SessionService;
pub use {session_core, session_http};
