//! Extractors and responses for axum.

mod rejection;
mod session;
mod signed_in;

pub use rejection::SessionRejection;
pub use session::Session;
pub use signed_in::{RecentlySignedIn, SignedIn};
