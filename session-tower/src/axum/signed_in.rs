//! Extractors that require somebody to be signed in.

use std::ops::Deref;
use std::time::Duration;

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use session_core::{SessionError, Subject, Timestamp};
use session_http::Problem;

use super::rejection::SessionRejection;
use super::session::Session;

/// The session of the request, in which somebody is signed in. Rejected with 401 if nobody is.
///
/// ```
/// use session_tower::axum::SignedIn;
///
/// async fn profile(user: SignedIn) -> String {
///     format!("You are {}.", user.subject())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SignedIn {
    session: Session,
    subject: Subject,
    authenticated_at: Timestamp,
}

impl SignedIn {
    /// Who is signed in.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When they proved who they are.
    #[must_use]
    pub const fn authenticated_at(&self) -> Timestamp {
        self.authenticated_at
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Demands that they proved who they are at most `age` ago, before something that matters (ASVS 5.0,
    /// 7.5.1 and 7.5.3).
    ///
    /// # Errors
    ///
    /// A rejection of 401 that asks to sign in again.
    pub fn within(&self, age: Duration) -> Result<(), SessionRejection> {
        let now = self.session.sessions().now();
        if now.since(self.authenticated_at) <= age {
            Ok(())
        } else {
            Err(Problem::SIGN_IN_AGAIN.into())
        }
    }
}

impl Deref for SignedIn {
    type Target = session_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        let record = session.record().await?.ok_or(SessionError::NotSignedIn)?;
        let (Some(subject), Some(authenticated_at)) = (record.subject(), record.authenticated_at())
        else {
            return Err(SessionError::NotSignedIn.into());
        };
        Ok(Self {
            subject: Subject::new(subject).map_err(SessionError::from)?,
            authenticated_at,
            session,
        })
    }
}

/// As [`SignedIn`], if the sign-in was at most `SECONDS` ago. Rejected with 401 if it was not.
///
/// ```
/// use session_tower::axum::RecentlySignedIn;
///
/// async fn change_password(user: RecentlySignedIn<300>) -> String {
///     format!("{} signed in less than five minutes ago.", user.subject())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RecentlySignedIn<const SECONDS: u64>(pub SignedIn);

impl<const SECONDS: u64> Deref for RecentlySignedIn<SECONDS> {
    type Target = SignedIn;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: Send + Sync, const SECONDS: u64> FromRequestParts<S> for RecentlySignedIn<SECONDS> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let signed_in = SignedIn::from_request_parts(parts, state).await?;
        signed_in.within(Duration::from_secs(SECONDS))?;
        Ok(Self(signed_in))
    }
}
