//! Whoever is signed in; others are sent to sign in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use session_core::SessionError;
use session_tower::axum::{SessionRejection, SignedIn};

use super::notice::{Next, Notice};
use super::to_sign_in;

/// Whoever is signed in, on a page of their own.
pub(crate) struct Member(pub(crate) SignedIn);

/// Why somebody is not let in.
pub(crate) struct Refused(SessionRejection);

impl<S: Send + Sync> FromRequestParts<S> for Member {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let user = SignedIn::from_request_parts(parts, state).await;
        user.map(Self).map_err(Refused)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self.0.error() {
            Some(SessionError::NotSignedIn) => {
                to_sign_in(Notice::SignInFirst, Next::Devices).into_response()
            }
            _ => self.0.into_response(),
        }
    }
}
