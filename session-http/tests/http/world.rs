//! A world with a clock that stands still, and requests by hand.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE, VARY};
use http::{Request, request};
use session_core::{Commit, HandlerOutcome, ManualClock, Session, Sessions, SignIn, Subject};
use session_http::{CookieOptions, RequestHead, Transport};
use store_memory::MemoryStore;

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: Sessions,
    pub(crate) transport: Transport,
}

/// What a request ended with.
pub(crate) struct Done {
    pub(crate) session: Session,
    pub(crate) commit: Commit,
    pub(crate) headers: HeaderMap,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Transport::new())
    }

    pub(crate) fn with(transport: Transport) -> Self {
        let clock = ManualClock::default();
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let sessions = Sessions::builder(store).clock(clock.clone()).build();
        Self {
            clock,
            sessions,
            transport,
        }
    }

    pub(crate) fn with_cookie(options: CookieOptions) -> Self {
        Self::with(Transport::new().with_cookie(options.build().unwrap()))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Plays a request whose handler is `handler`, onto a response that has `headers` already.
    pub(crate) async fn play_onto(
        &self,
        headers: HeaderMap,
        request: request::Builder,
        handler: impl AsyncFnOnce(&Session),
    ) -> Done {
        let request = request.body(()).unwrap();
        let exchange = self
            .transport
            .read(&self.sessions, RequestHead::from(&request));
        let session = exchange.open(&self.sessions);
        handler(&session).await;
        let commit = session.commit(HandlerOutcome::Answered).await;
        let mut headers = headers;
        exchange.write(&self.sessions, &commit, &mut headers);
        Done {
            session,
            commit,
            headers,
        }
    }

    pub(crate) async fn play(
        &self,
        request: request::Builder,
        handler: impl AsyncFnOnce(&Session),
    ) -> Done {
        self.play_onto(HeaderMap::new(), request, handler).await
    }

    /// Makes an anonymous session and returns its token.
    pub(crate) async fn visitor(&self) -> String {
        let done = self.play(get(), write).await;
        done.token()
    }

    /// Signs `subject` in and returns the token.
    pub(crate) async fn signed_in(&self, subject: &str) -> String {
        let done = self
            .play(own(), async |session| {
                sign_in(&self.sessions, session, subject).await;
            })
            .await;
        done.token()
    }
}

impl Done {
    /// All `Set-Cookie` headers.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let values = self.headers.get_all(SET_COOKIE).into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// The token in the first `Set-Cookie`.
    pub(crate) fn token(&self) -> String {
        let cookies = self.set_cookies();
        let (_, rest) = cookies.first().unwrap().split_once('=').unwrap();
        rest.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn cache_control(&self) -> Option<&str> {
        let value = self.headers.get(CACHE_CONTROL)?;
        Some(value.to_str().unwrap())
    }

    pub(crate) fn vary(&self) -> Vec<&str> {
        let values = self.headers.get_all(VARY).into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}

pub(crate) fn get() -> request::Builder {
    Request::get("https://example.com/")
}

/// A request that a page of the application sends.
pub(crate) fn own() -> request::Builder {
    Request::post("https://example.com/").header("sec-fetch-site", "same-origin")
}

/// A request with this token in the default cookie.
pub(crate) fn with_token(token: &str) -> request::Builder {
    get().header("cookie", format!("__Host-id={token}"))
}

pub(crate) async fn write(session: &Session) {
    session.insert("n", &1).await.unwrap();
}

pub(crate) async fn read(session: &Session) {
    session.get::<u32>("n").await.unwrap();
}

pub(crate) async fn nothing(_: &Session) {}

pub(crate) async fn sign_in(sessions: &Sessions, session: &Session, subject: &str) {
    let subject = Subject::new(subject).unwrap();
    let ticket = sessions.begin_sign_in(&subject).await.unwrap();
    session.sign_in(SignIn::new(ticket)).await.unwrap();
}
