//! Sessions for tower services and axum.

#[cfg(feature = "axum")]
pub mod axum;
mod layer;
mod response;
mod service;

pub use layer::SessionLayer;
pub use service::SessionService;
pub use {session_core, session_http};
