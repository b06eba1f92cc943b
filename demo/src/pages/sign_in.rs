//! Signing in and out.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use session_tower::axum::Session;

use super::layout::Page;
use super::notice::{self, Next, Notice};
use super::to;
use super::visitor::Visitor;
use crate::app::App;
use crate::connections::Connection;
use crate::credentials::{self, Credentials};
use crate::problem::{Kind, Problem};
use crate::users::USERS;

pub(crate) async fn form(
    State(app): State<App>,
    session: Session,
    query: Result<Query<notice::Query>, QueryRejection>,
) -> Result<Markup, Problem> {
    let Query(query) = query.unwrap_or_default();
    let visitor = Visitor::of(&session).await?;
    let page = Page {
        title: "Sign in",
        notice: query.notice(),
        body: body(None, query.next, &visitor),
    };
    Ok(page.render(&app, &visitor))
}

/// The form, after a try that failed if there was one.
fn body(failed: Option<&SignInForm>, next: Next, visitor: &Visitor) -> Markup {
    let user = failed.map(|form| form.user.as_str()).or(visitor.subject());
    html! {
        section.card {
            h1 { "Sign in" }
            @if failed.is_some() {
                p.alert #wrong role="alert" { "That user and that password do not match." }
            }
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next.name());
                label {
                    "User"
                    input type="text" name="user" autocomplete="username" autocapitalize="none"
                        required maxlength="64" value=[user]
                        aria-describedby=[failed.map(|_| "wrong")];
                }
                label {
                    "Password"
                    input type="password" name="password" autocomplete="current-password"
                        required maxlength="64" aria-describedby=[failed.map(|_| "wrong")];
                }
                label.check {
                    input type="checkbox" name="remember" value="yes";
                    "Remember me for 30 days"
                }
                div { button type="submit" { "Sign in" } }
            }
        }
        section.card {
            h2 { "Who can sign in" }
            table {
                thead { tr { th scope="col" { "User" } th scope="col" { "Password" } } }
                tbody {
                    @for user in &USERS {
                        tr { td { code { (user.name) } } td { code { (user.password) } } }
                    }
                }
            }
            p.hint {
                "Signing in always makes a new session with a new id and a new cookie; "
                "your cart comes along."
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct SignInForm {
    user: String,
    password: String,
    #[serde(default)]
    remember: Option<String>,
    #[serde(default)]
    next: Next,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    session: Session,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(form) = form.map_err(|error| Problem::new(Kind::BadRequest, error.body_text()))?;
    let credentials = Credentials {
        user: &form.user,
        password: &form.password,
        remember: form.remember.is_some(),
    };
    let from = credentials::From {
        connection: &connection,
        headers: &headers,
    };
    match credentials::sign_in(&app, &session, &credentials, &from).await {
        Ok(()) => Ok(to(form.next.path(), Notice::SignedIn).into_response()),
        Err(Problem::Own(Kind::WrongCredentials, _)) => {
            let visitor = Visitor::of(&session).await?;
            let page = Page {
                title: "Sign in",
                notice: None,
                body: body(Some(&form), form.next, &visitor),
            };
            Ok((StatusCode::UNAUTHORIZED, page.render(&app, &visitor)).into_response())
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn sign_out(session: Session) -> Result<Redirect, Problem> {
    session.destroy().await?;
    Ok(to("/", Notice::SignedOut))
}
