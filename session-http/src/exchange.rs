//! One request and its response.

use http::Method;
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};
use session_core::{Commit, CookieAction, Presented, Session, Sessions};

use crate::fetch::RequestHead;
use crate::header::HeaderCarrier;
use crate::origin::{OriginVerdict, require_own};
use crate::problem::Problem;
use crate::transport::Transport;

const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// How a request's client keeps its token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier<'t> {
    Cookie,
    Header(&'t HeaderCarrier),
}

/// One request, as far as its session is concerned, and what its response owes to it.
///
/// An adapter does this with it, in this order: [`Exchange::open`]; [`Exchange::guard`], and its problem
/// as the response if it has one; the handler; [`Session::commit`]; [`Exchange::problem`] in the place
/// of the handler's answer; [`Exchange::write`].
#[derive(Clone, Debug)]
pub struct Exchange<'t> {
    transport: &'t Transport,
    carrier: Carrier<'t>,
    presented: Presented,
    verdict: OriginVerdict,
    csrf_token: Option<String>,
    is_guarded: bool,
    method: Method,
    /// Whether somebody navigates here and is not just being prepared for it.
    may_forget: bool,
}

impl<'t> Exchange<'t> {
    pub(crate) fn new(
        transport: &'t Transport,
        carrier: Carrier<'t>,
        presented: Presented,
        verdict: OriginVerdict,
        head: RequestHead<'_>,
    ) -> Self {
        let csrf_token = head
            .only(&X_CSRF_TOKEN)
            .filter(|_| verdict == OriginVerdict::NeedsCsrfToken)
            .and_then(|token| std::str::from_utf8(token).ok());
        Self {
            transport,
            carrier,
            presented,
            verdict,
            csrf_token: csrf_token.map(str::to_owned),
            is_guarded: transport.same_origin.guards(head),
            method: head.method.clone(),
            may_forget: head.is_navigation() && !head.is_prefetch(),
        }
    }

    /// The session of the request. Touches no store.
    #[must_use]
    pub fn open(&self, sessions: &Sessions) -> Session {
        sessions.open(self.presented.clone())
    }

    /// What the request's headers say about who sent it.
    #[must_use]
    pub const fn verdict(&self) -> OriginVerdict {
        self.verdict
    }

    /// Checks the CSRF token in the header `X-CSRF-Token`, if that matters, and refuses what the guard
    /// for unsafe methods does not let through.
    ///
    /// # Errors
    ///
    /// The problem to answer with instead of calling a handler.
    pub async fn guard(&self, session: &Session) -> Result<(), Problem> {
        let token = self.csrf_token.as_deref();
        if self.is_guarded {
            return require_own(session, token).await;
        }
        if let Some(token) = token {
            // It matters to a sign-in alone, which finds out by itself if this failed.
            let _ = session.is_csrf_token(token).await;
        }
        Ok(())
    }

    /// What the client is told in the place of the handler's answer, if the commit did not go well:
    /// edits that were refused must not look as if they had been made. See
    /// [`WhenEnded::problem`](crate::WhenEnded::problem).
    #[must_use]
    pub fn problem(&self, commit: &Commit) -> Option<Problem> {
        self.transport
            .when_ended
            .problem(&self.method, &commit.outcome)
    }

    /// The step of the response: sets or removes the client's token as the commit says, and tells caches
    /// what they may keep.
    pub fn write(&self, sessions: &Sessions, commit: &Commit, headers: &mut HeaderMap) {
        let sends_token = match &commit.cookie {
            CookieAction::Set { token, max_age } => {
                let token = sessions.encode(token);
                match self.carrier {
                    Carrier::Header(header) => header.write(&token, headers),
                    Carrier::Cookie => {
                        for value in self.transport.cookie.set(&token, *max_age, sessions.now()) {
                            headers.append(SET_COOKIE, value);
                        }
                    }
                }
                true
            }
            CookieAction::Remove => {
                self.remove(headers);
                if self.transport.clear_site_data {
                    let what = HeaderValue::from_static(r#""cache", "storage""#);
                    headers.insert(CLEAR_SITE_DATA, what);
                }
                true
            }
            CookieAction::RemoveUnknown if self.may_forget => {
                self.remove(headers);
                true
            }
            CookieAction::RemoveUnknown | CookieAction::Keep => false,
        };
        if sends_token {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        } else if commit.was_used && !headers.contains_key(CACHE_CONTROL) {
            let keep = if commit.is_signed_in {
                "no-store"
            } else {
                "private"
            };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
        }
        if commit.was_used {
            self.vary(headers);
        }
    }

    fn remove(&self, headers: &mut HeaderMap) {
        match self.carrier {
            Carrier::Header(header) => header.write("", headers),
            Carrier::Cookie => {
                headers.append(SET_COOKIE, self.transport.cookie.removal());
            }
        }
    }

    /// Adds what the response depends on to `Vary`.
    fn vary(&self, headers: &mut HeaderMap) {
        let header = self.transport.header.as_ref();
        let names = [Some(&COOKIE), header.map(HeaderCarrier::request_header)];
        for name in names.into_iter().flatten() {
            let is_named = headers.get_all(VARY).into_iter().any(|value| {
                value.as_bytes().split(|byte| *byte == b',').any(|word| {
                    let word = word.trim_ascii();
                    word == b"*" || word.eq_ignore_ascii_case(name.as_str().as_bytes())
                })
            });
            if !is_named {
                headers.append(VARY, HeaderValue::from(name.clone()));
            }
        }
    }
}
