//! Signing in and out.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use session_tower::axum::{Session, SignedIn};

use super::body::Json;
use super::session::SessionView;
use crate::app::App;
use crate::connections::Connection;
use crate::credentials::{self, Credentials};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInBody {
    user: String,
    password: String,
    #[serde(default)]
    remember: bool,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    session: Session,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Json(body): Json<SignInBody>,
) -> Result<axum::Json<SessionView>, Problem> {
    let credentials = Credentials {
        user: &body.user,
        password: &body.password,
        remember: body.remember,
    };
    let from = credentials::From {
        connection: &connection,
        headers: &headers,
    };
    credentials::sign_in(&app, &session, &credentials, &from).await?;
    Ok(axum::Json(SessionView::of(&app, &session).await?))
}

/// Ends the session, if there is one.
pub(crate) async fn sign_out(session: Session) -> Result<StatusCode, Problem> {
    session.destroy().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions were ended.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    ended: usize,
}

pub(crate) async fn sign_out_others(user: SignedIn) -> Result<axum::Json<Ended>, Problem> {
    let ended = user.sign_out_others().await?;
    Ok(axum::Json(Ended { ended }))
}

pub(crate) async fn sign_out_everywhere(user: SignedIn) -> Result<axum::Json<Ended>, Problem> {
    let ended = user.sign_out_everywhere().await?;
    Ok(axum::Json(Ended { ended }))
}
