//! The session as an extractor.

use std::ops::Deref;

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use session_http::Problem;

use super::rejection::SessionRejection;

/// The session of the request: a [`session_core::Session`], with all its methods.
///
/// ```
/// use session_tower::axum::{Session, SessionRejection};
///
/// async fn greet(session: Session) -> Result<String, SessionRejection> {
///     let name: Option<String> = session.get("name").await?;
///     Ok(format!("Hello, {}!", name.as_deref().unwrap_or("stranger")))
/// }
/// ```
///
/// Extracting it loads nothing. It is rejected with 500 only where no
/// [`SessionLayer`](crate::SessionLayer) is.
#[derive(Clone, Debug)]
pub struct Session(pub session_core::Session);

impl Session {
    /// Demands that the request comes from the application itself, before something that another site
    /// must not make a visitor's browser do. `csrf_token` is what a form brought; most requests are
    /// known by their headers, and need none.
    ///
    /// # Errors
    ///
    /// A rejection of 403; the store's failure to load.
    pub async fn require_own(&self, csrf_token: Option<&str>) -> Result<(), SessionRejection> {
        Ok(session_http::require_own(&self.0, csrf_token).await?)
    }
}

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(session) = parts.extensions.get::<session_core::Session>() else {
            tracing::error!("a handler wants a session, but there is no SessionLayer around it");
            return Err(Problem::INTERNAL.into());
        };
        Ok(Self(session.clone()))
    }
}
