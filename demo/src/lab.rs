//! Endpoints with which tests make things go wrong. Only with `--lab`.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use session_core::SignIn;
use session_tower::axum::Session;

use crate::api::{Json, SessionView};
use crate::app::App;
use crate::connections::Connection;
use crate::fault::Fault;
use crate::problem::{Kind, Problem};
use crate::users;

/// The longest that the store fails at one call.
const MAX_FAULT: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/renew", post(renew))
        .route("/clear", post(clear))
        .route("/wipe-and-sign-in", post(wipe_and_sign_in))
        .route("/renew-then-500", post(renew_then_500))
        .route("/panic", post(panics))
        .route("/store-fault", post(store_fault))
        .route("/lose-response", post(lose_response))
        .route("/switch", post(switch))
}

type View = Result<axum::Json<SessionView>, Problem>;

async fn view(app: &App, session: &Session) -> View {
    Ok(axum::Json(SessionView::of(app, session).await?))
}

async fn renew(State(app): State<App>, session: Session) -> View {
    session.renew().await?;
    view(&app, &session).await
}

async fn clear(State(app): State<App>, session: Session) -> View {
    session.clear().await?;
    view(&app, &session).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    #[serde(default = "alice")]
    user: String,
}

fn alice() -> String {
    "alice".to_owned()
}

/// Signs somebody in without a password: this is a lab.
async fn sign_in(app: &App, session: &Session, user: &str) -> Result<(), Problem> {
    let subject = users::subject(user)
        .ok_or_else(|| Problem::new(Kind::WrongCredentials, "there is no such user"))?;
    let ticket = app
        .sessions()
        .begin_sign_in(&subject)
        .await
        .map_err(|error| Problem::from(&error))?;
    Ok(session.sign_in(SignIn::new(ticket)).await?)
}

/// Empties the session and signs in on the same handle.
async fn wipe_and_sign_in(
    State(app): State<App>,
    session: Session,
    Json(Who { user }): Json<Who>,
) -> View {
    session.clear().await?;
    sign_in(&app, &session, &user).await?;
    view(&app, &session).await
}

async fn renew_then_500(session: Session) -> Result<StatusCode, Problem> {
    session.insert("lost", &true).await?;
    session.renew().await?;
    Err(Problem::new(Kind::Internal, "as the lab was asked to"))
}

#[expect(clippy::panic, reason = "to see what a panic does to a session")]
async fn panics(session: Session) -> Result<StatusCode, Problem> {
    session.insert("lost", &true).await?;
    panic!("as the lab was asked to");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFault {
    kind: Fault,
    ms: u64,
}

async fn store_fault(
    State(app): State<App>,
    Json(StoreFault { kind, ms }): Json<StoreFault>,
) -> Result<StatusCode, Problem> {
    let lasts = Duration::from_millis(ms);
    if lasts > MAX_FAULT {
        return Err(Problem::new(Kind::OutOfBounds, "that is longer than 60 s"));
    }
    app.faults().inject(kind, lasts);
    Ok(StatusCode::NO_CONTENT)
}

/// Creates sessions in the store of `--drain-to` from now on.
async fn switch(State(app): State<App>) -> Result<StatusCode, Problem> {
    let draining = app.draining();
    let draining = draining
        .ok_or_else(|| Problem::new(Kind::NotFound, "there is no other store: see --drain-to"))?;
    draining.switch();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoseResponse {
    after: After,
    #[serde(default = "alice")]
    user: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum After {
    SignIn,
    Renew,
    SignOut,
}

/// Marks a response that the client never gets.
#[derive(Clone, Copy, Debug)]
struct Lost;

async fn lose_response(
    State(app): State<App>,
    session: Session,
    Json(LoseResponse { after, user }): Json<LoseResponse>,
) -> Result<Response, Problem> {
    match after {
        After::SignIn => sign_in(&app, &session, &user).await?,
        After::Renew => session.renew().await?,
        After::SignOut => session.destroy().await?,
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Lost);
    Ok(response)
}

/// Cuts the connection in the place of a response that is to be lost, once the session is committed.
pub(crate) async fn lose(request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>().cloned();
    let response = next.run(request).await;
    if let (Some(Lost), Some(connection)) = (response.extensions().get::<Lost>(), connection) {
        connection.abort();
        // Whoever waits for this is gone.
        std::future::pending::<()>().await;
    }
    response
}
