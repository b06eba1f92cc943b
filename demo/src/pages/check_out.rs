//! Checking out: something that asks for a recent sign-in.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use session_core::SessionError;
use session_tower::axum::{SessionRejection, SignedIn};

use super::notice::{Next, Notice};
use super::{to, to_sign_in};
use crate::app::App;
use crate::problem::Problem;
use crate::shop::CART;

pub(crate) async fn check_out(
    State(app): State<App>,
    user: Result<SignedIn, SessionRejection>,
) -> Result<Response, Problem> {
    let user = match user {
        Ok(user) => user,
        Err(refused) if matches!(refused.error(), Some(SessionError::NotSignedIn)) => {
            return Ok(to_sign_in(Notice::SignInFirst, Next::Shop).into_response());
        }
        Err(refused) => return Ok(refused.into_response()),
    };
    if user.within(app.config().fresh_sign_in).is_err() {
        return Ok(to_sign_in(Notice::SignInAgain, Next::Shop).into_response());
    }
    user.remove::<IgnoredAny>(CART.name()).await?;
    Ok(to("/", Notice::Ordered).into_response())
}
