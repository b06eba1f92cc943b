//! A world with a clock that stands still, a store that can fail, and a service of one handler.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use session_core::{ManualClock, Session, Sessions, SignIn, Subject};
use session_tower::SessionLayer;
use store_memory::MemoryStore;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::faulty::Faulty;

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<Faulty>,
    pub(crate) sessions: Sessions,
    pub(crate) layer: SessionLayer,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|layer| layer)
    }

    pub(crate) fn with(set_up: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let clock = ManualClock::default();
        let store = Faulty::new(MemoryStore::builder().clock(clock.clone()).build());
        let sessions = Sessions::shared_builder(store.clone())
            .clock(clock.clone())
            .build();
        let layer = set_up(SessionLayer::new(sessions.clone()));
        Self {
            clock,
            store,
            sessions,
            layer,
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A service of one handler, with the layer around it.
    pub(crate) fn serve<F, Fut>(
        &self,
        handler: F,
    ) -> impl Service<
        Request<()>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + 'static
    where
        F: Fn(Session) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = StatusCode> + Send + 'static,
    {
        self.layer.layer(service_fn(move |request: Request<()>| {
            let session = request.extensions().get::<Session>().unwrap().clone();
            let answer = handler(session);
            async move {
                let mut response = Response::new(Full::from("the handler's"));
                *response.status_mut() = answer.await;
                Ok::<_, Infallible>(response)
            }
        }))
    }

    /// Plays one request.
    pub(crate) async fn play<F, Fut>(
        &self,
        request: request::Builder,
        handler: F,
    ) -> Response<Full<Bytes>>
    where
        F: Fn(Session) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = StatusCode> + Send + 'static,
    {
        let service = self.serve(handler);
        service.oneshot(request.body(()).unwrap()).await.unwrap()
    }

    /// Makes a session with `n` = 1, and returns its cookie.
    pub(crate) async fn visitor(&self) -> String {
        let response = self.play(get(), insert_1).await;
        cookie(&response).unwrap()
    }

    /// Signs `subject` in and returns the cookie.
    pub(crate) async fn signed_in(&self, subject: &'static str) -> String {
        let response = self
            .play(post(), move |session| async move {
                sign_in(&session, subject).await;
                StatusCode::OK
            })
            .await;
        cookie(&response).unwrap()
    }

    /// What `n` holds for the client with this cookie.
    pub(crate) async fn n(&self, cookie: &str) -> Option<u32> {
        let session = self.open(cookie);
        session.get("n").await.unwrap()
    }

    /// Who is signed in with this cookie.
    pub(crate) async fn subject(&self, cookie: &str) -> Option<String> {
        self.open(cookie).subject().await.unwrap()
    }

    fn open(&self, cookie: &str) -> Session {
        let (_, token) = cookie.split_once('=').unwrap();
        self.sessions.open(self.sessions.read([token.as_bytes()]))
    }

    pub(crate) async fn how_many(&self, subject: &str) -> usize {
        let subject = Subject::new(subject).unwrap();
        let listed = self.sessions.store().sessions_of(&subject).await;
        listed.unwrap().len()
    }
}

pub(crate) async fn insert_1(session: Session) -> StatusCode {
    session.insert("n", &1).await.unwrap();
    StatusCode::OK
}

pub(crate) async fn read_n(session: Session) -> StatusCode {
    session.get::<u32>("n").await.unwrap();
    StatusCode::OK
}

pub(crate) async fn sign_in(session: &Session, subject: &str) {
    let subject = Subject::new(subject).unwrap();
    let ticket = session.sessions().begin_sign_in(&subject).await.unwrap();
    session.sign_in(SignIn::new(ticket)).await.unwrap();
}

pub(crate) fn get() -> request::Builder {
    Request::get("https://example.com/")
}

/// A `POST` of one of the application's own pages.
pub(crate) fn post() -> request::Builder {
    Request::post("https://example.com/").header("sec-fetch-site", "same-origin")
}

pub(crate) fn with(request: request::Builder, cookie: &str) -> request::Builder {
    request.header(COOKIE, cookie)
}

/// All `Set-Cookie` headers.
pub(crate) fn set_cookies<B>(response: &Response<B>) -> Vec<&str> {
    let values = response.headers().get_all(SET_COOKIE).into_iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// The name and value of the only cookie that a response sets.
pub(crate) fn cookie<B>(response: &Response<B>) -> Option<String> {
    let cookies = set_cookies(response);
    assert!(cookies.len() <= 1, "{cookies:?}");
    let (cookie, _) = cookies.first()?.split_once(';')?;
    Some(cookie.to_owned())
}

/// The whole body, as text.
pub(crate) async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
