//! Errors for programs: problem documents (RFC 9457) whose `type` is stable. What concerns sessions is
//! [`session_http::Problem`]'s; the rest is the application's own.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use session_core::{SessionError, StoreError};

use crate::pages;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// No problem document is longer.
const LONGEST: usize = 16 << 10;

/// What can go wrong beside sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    BadJson,
    OutOfBounds,
    WrongCredentials,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMediaType,
    NotANumber,
    TooManyRequests,
    Internal,
    NotReady,
    Timeout,
}

impl Kind {
    /// The name in the `type`, the status, and a title that is the same for all of its kind.
    const fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => (
                "bad-request",
                StatusCode::BAD_REQUEST,
                "The request makes no sense",
            ),
            Self::BadJson => (
                "bad-json",
                StatusCode::BAD_REQUEST,
                "The body is not the JSON that is asked for",
            ),
            Self::OutOfBounds => (
                "out-of-bounds",
                StatusCode::BAD_REQUEST,
                "A number is out of bounds",
            ),
            Self::WrongCredentials => (
                "wrong-credentials",
                StatusCode::UNAUTHORIZED,
                "That user and that password do not match",
            ),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "That cannot be done to it",
            ),
            Self::TooLarge => (
                "too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is larger than allowed",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not of the type that is asked for",
            ),
            Self::NotANumber => (
                "not-a-number",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The entry does not hold a whole number",
            ),
            Self::TooManyRequests => (
                "too-many-requests",
                StatusCode::TOO_MANY_REQUESTS,
                "That is too often",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
            ),
            Self::NotReady => (
                "not-ready",
                StatusCode::SERVICE_UNAVAILABLE,
                "The server is not ready",
            ),
            Self::Timeout => (
                "timeout",
                StatusCode::SERVICE_UNAVAILABLE,
                "The request took too long",
            ),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// By the application.
    Own(Kind, String),
    /// By what became of its session.
    Session(session_http::Problem),
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self::Own(kind, detail.into())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Session(problem) => {
                (problem.status(), problem.headers(), problem.to_json()).into_response()
            }
            Self::Own(kind, detail) => {
                let (name, status, title) = kind.facts();
                let document = Document {
                    r#type: format!("/problems/{name}"),
                    title,
                    status: status.as_u16(),
                    detail: &detail,
                };
                // A document of texts and a number always encodes.
                let json = serde_json::to_string(&document).unwrap_or_default();
                let mut response =
                    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], json).into_response();
                let headers = response.headers_mut();
                if status == StatusCode::UNAUTHORIZED {
                    // A 401 must name a scheme (RFC 9110, 15.5.2); no browser acts on this one.
                    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
                }
                if matches!(
                    status,
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
                ) {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                response
            }
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        Self::from(&error)
    }
}

impl From<&SessionError> for Problem {
    fn from(error: &SessionError) -> Self {
        Self::Session(session_http::Problem::from(error))
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        Self::Session(session_http::Problem::from(error))
    }
}

/// What a page needs of a problem document.
#[derive(Deserialize)]
struct Shown {
    title: String,
    #[serde(default)]
    detail: String,
}

/// Shows problems as pages to whoever asked for a page.
pub(crate) async fn as_page(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let for_programs = path == "/api" || path.starts_with("/api/");
    let response = next.run(request).await;
    if for_programs || response.headers().get(header::CONTENT_TYPE) != Some(&PROBLEM_JSON) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LONGEST).await else {
        return Problem::new(Kind::Internal, "the error could not be shown").into_response();
    };
    let Ok(shown) = serde_json::from_slice::<Shown>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let page = pages::error(parts.status, &shown.title, &shown.detail);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(page.into_string()))
}
