//! Refusals as RFC 9457 has them.

use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use session_core::{ErrorKind, SessionError, StoreError};

/// Why a request is refused: a problem document (RFC 9457) with a stable type and no detail of the
/// request or the session.
///
/// ```
/// use session_core::SessionError;
/// use session_http::Problem;
///
/// let problem = Problem::from(&SessionError::NotSignedIn);
/// assert_eq!(problem.status(), http::StatusCode::UNAUTHORIZED);
/// assert_eq!(
///     problem.to_json(),
///     r#"{"type":"urn:problem-type:session:not-signed-in","title":"Nobody is signed in","status":401}"#
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    retry_after: Option<Duration>,
}

const fn problem(status: StatusCode, kind: &'static str, title: &'static str) -> Problem {
    Problem {
        status,
        kind,
        title,
        retry_after: None,
    }
}

impl Problem {
    /// Nobody is signed in.
    pub const NOT_SIGNED_IN: Self = problem(
        StatusCode::UNAUTHORIZED,
        "not-signed-in",
        "Nobody is signed in",
    );
    /// The last sign-in is too long ago for what was asked.
    pub const SIGN_IN_AGAIN: Self = problem(
        StatusCode::UNAUTHORIZED,
        "sign-in-again",
        "The last sign-in is too long ago",
    );
    /// The request comes from another origin, or nothing shows that it does not.
    pub const CROSS_ORIGIN: Self = problem(
        StatusCode::FORBIDDEN,
        "cross-origin",
        "The request was not shown to come from the application itself",
    );
    /// The session ended while the request was under way.
    pub const ENDED: Self = problem(StatusCode::CONFLICT, "ended", "The session has ended");
    /// The presented token was superseded by a newer one.
    pub const SUPERSEDED: Self = problem(
        StatusCode::CONFLICT,
        "superseded",
        "A newer session token was issued",
    );
    /// Others kept changing the session.
    pub const CONFLICT: Self = problem(
        StatusCode::CONFLICT,
        "conflict",
        "Others change the session at the same time",
    );
    /// The sign-in was revoked.
    pub const REVOKED: Self = problem(
        StatusCode::UNAUTHORIZED,
        "revoked",
        "The sign-in was revoked",
    );
    /// The subject has as many sessions as it may.
    pub const LIMIT_REACHED: Self = problem(
        StatusCode::CONFLICT,
        "limit-reached",
        "There are too many sessions",
    );
    /// A value, or the session with it, would be too large.
    pub const TOO_LARGE: Self = problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The session would be too large",
    );
    /// An entry's name is none, or is reserved.
    pub const NAME: Self = problem(
        StatusCode::BAD_REQUEST,
        "name",
        "That is no name for an entry",
    );
    /// The store is out of reach.
    pub const UNAVAILABLE: Self = Self {
        retry_after: Some(Duration::from_secs(1)),
        ..problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Sessions are out of reach",
        )
    };
    /// The store holds as much as it may.
    pub const FULL: Self = Self {
        retry_after: Some(Duration::from_secs(60)),
        ..problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "full",
            "There is no room for more sessions",
        )
    };
    /// Something is wrong with the server.
    pub const INTERNAL: Self = problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "The server failed",
    );

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The `type`, stable between versions.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("urn:problem-type:session:{}", self.kind)
    }

    /// The `title`, for people.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// When another try is worth it.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (kind, title, status) = (self.kind(), self.title, self.status.as_u16());
        format!(r#"{{"type":"{kind}","title":"{title}","status":{status}}}"#)
    }

    /// The headers that go with the document.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // A 401 must name a scheme (RFC 9110, 15.5.2); this is no scheme that a browser acts on.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
        }
        headers
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => Self::UNAVAILABLE,
            ErrorKind::Full => Self::FULL,
            ErrorKind::TooLarge => Self::TOO_LARGE,
            _ => Self::INTERNAL,
        }
    }
}

impl From<&SessionError> for Problem {
    fn from(error: &SessionError) -> Self {
        match error {
            SessionError::Store(error) => Self::from(&**error),
            SessionError::Name(_) | SessionError::Reserved(_) => Self::NAME,
            SessionError::TooLarge(_) => Self::TOO_LARGE,
            SessionError::Superseded => Self::SUPERSEDED,
            SessionError::Ended => Self::ENDED,
            SessionError::Conflict => Self::CONFLICT,
            SessionError::NotSignedIn => Self::NOT_SIGNED_IN,
            SessionError::Foreign => Self::CROSS_ORIGIN,
            SessionError::Revoked => Self::REVOKED,
            SessionError::LimitReached => Self::LIMIT_REACHED,
            _ => Self::INTERNAL,
        }
    }
}
