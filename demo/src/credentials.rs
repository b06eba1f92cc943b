//! Signing in with a name and a password: for the page and for programs alike.

use axum::http::HeaderMap;
use session_core::{Session, SignIn};

use crate::app::App;
use crate::connections::Connection;
use crate::problem::{Kind, Problem};
use crate::{labels, users};

/// What somebody signs in with.
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) remember: bool,
}

/// The browser that they sign in from.
pub(crate) struct From<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) headers: &'a HeaderMap,
}

/// Signs in: a new session, with everything that the one before it holds.
pub(crate) async fn sign_in(
    app: &App,
    session: &Session,
    credentials: &Credentials<'_>,
    from: &From<'_>,
) -> Result<(), Problem> {
    let wrong = || {
        Problem::new(
            Kind::WrongCredentials,
            "the users and their passwords stand on the sign-in page",
        )
    };
    // The ticket comes first: who is signed out everywhere from now on is not let in by an old password.
    let ticket = match users::subject(credentials.user) {
        Some(subject) => Some(
            app.sessions()
                .begin_sign_in(&subject)
                .await
                .map_err(|error| Problem::from(&error))?,
        ),
        None => None,
    };
    let is_right = users::is_password(credentials.user, credentials.password);
    let ticket = ticket.filter(|_| is_right).ok_or_else(wrong)?;
    let mut sign_in = SignIn::new(ticket)
        .label("browser", labels::browser(from.headers))
        .label("address", from.connection.peer.ip().to_string());
    if credentials.remember {
        sign_in = sign_in.timeouts(app.config().remembered());
    }
    Ok(session.sign_in(sign_in).await?)
}
