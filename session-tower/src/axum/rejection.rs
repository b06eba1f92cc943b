//! Errors as axum responses.

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use session_core::{SessionError, StoreError};
use session_http::Problem;

use crate::response;

/// What an extractor rejects a request with; and an error type for handlers, so that `?` turns what goes
/// wrong with a session into a problem document (RFC 9457).
///
/// ```
/// use session_tower::axum::{Session, SessionRejection};
///
/// async fn visit(session: Session) -> Result<String, SessionRejection> {
///     let visits: u32 = session.get("visits").await?.unwrap_or(0);
///     session.insert("visits", &(visits + 1)).await?;
///     Ok(format!("visit {visits}"))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SessionRejection {
    problem: Problem,
    error: Option<SessionError>,
}

impl SessionRejection {
    /// What the client is told.
    #[must_use]
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// What went wrong, if it went wrong in a session.
    #[must_use]
    pub const fn error(&self) -> Option<&SessionError> {
        self.error.as_ref()
    }
}

impl From<Problem> for SessionRejection {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            error: None,
        }
    }
}

impl From<SessionError> for SessionRejection {
    fn from(error: SessionError) -> Self {
        Self {
            problem: Problem::from(&error),
            error: Some(error),
        }
    }
}

impl From<StoreError> for SessionRejection {
    fn from(error: StoreError) -> Self {
        SessionError::from(error).into()
    }
}

impl std::fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.problem.title())
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.as_ref().map(|error| error as _)
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        if let Some(error) = self.error
            && self.problem.status().is_server_error()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "a session failed");
        }
        response::problem::<Body>(&self.problem)
    }
}
