//! A small world: a clock, a store, sessions over it, what was observed, and clients with a cookie jar.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{
    Commit, CookieAction, Event, EventKind, HandlerOutcome, ManualClock, Presented, Session,
    SessionToken, Sessions, SessionsBuilder, SignIn, Subject, TokenFormat,
};
use store_memory::MemoryStore;

use crate::scripted::Scripted;

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<Scripted>,
    pub(crate) sessions: Sessions,
    seen: Arc<Mutex<Vec<EventKind>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set_up: impl FnOnce(SessionsBuilder) -> SessionsBuilder) -> Self {
        let clock = ManualClock::default();
        let memory = MemoryStore::builder().clock(clock.clone()).build();
        let store = Arc::new(Scripted::new(memory));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let builder = Sessions::shared_builder(store.clone())
            .clock(clock.clone())
            .observer(move |event: &Event| log.lock().unwrap().push(event.kind));
        Self {
            clock,
            store,
            sessions: set_up(builder).build(),
            seen,
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What was observed since the last call.
    pub(crate) fn events(&self) -> Vec<EventKind> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// A request with this jar's cookie.
    pub(crate) fn request(&self, jar: &Jar) -> Session {
        self.sessions.open(jar.presented())
    }

    /// A request that writes one entry and is answered.
    pub(crate) async fn write(&self, jar: &mut Jar, name: &str, value: u32) -> Commit {
        let session = self.request(jar);
        session.insert(name, &value).await.unwrap();
        jar.take(
            &session.commit(HandlerOutcome::Answered).await,
            &self.sessions,
        )
    }

    /// A request that reads one entry and is answered.
    pub(crate) async fn read(&self, jar: &mut Jar, name: &str) -> Option<u32> {
        let session = self.request(jar);
        let value = session.get(name).await.unwrap();
        jar.take(
            &session.commit(HandlerOutcome::Answered).await,
            &self.sessions,
        );
        value
    }

    /// A request that signs in and is answered.
    pub(crate) async fn sign_in(&self, jar: &mut Jar, subject: &str) -> Session {
        let session = self.request(jar);
        session
            .sign_in(self.sign_in_as(subject).await)
            .await
            .unwrap();
        jar.take(
            &session.commit(HandlerOutcome::Answered).await,
            &self.sessions,
        );
        session
    }

    pub(crate) async fn sign_in_as(&self, subject: &str) -> SignIn {
        SignIn::new(
            self.sessions
                .begin_sign_in(&subject_of(subject))
                .await
                .unwrap(),
        )
    }

    /// Who a request with this jar's cookie is.
    pub(crate) async fn who(&self, jar: &mut Jar) -> Option<String> {
        let session = self.request(jar);
        let subject = session.subject().await.unwrap();
        jar.take(
            &session.commit(HandlerOutcome::Answered).await,
            &self.sessions,
        );
        subject
    }
}

pub(crate) fn subject_of(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

/// A client's cookie, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(pub(crate) Option<String>);

impl Jar {
    pub(crate) fn presented(&self) -> Presented {
        let texts = self.0.iter().map(String::as_bytes);
        Presented::read(&TokenFormat::default(), texts)
    }

    /// Takes an answer in as a browser does.
    pub(crate) fn take(&mut self, commit: &Commit, sessions: &Sessions) -> Commit {
        match &commit.cookie {
            CookieAction::Set { token, .. } => self.set(token, sessions),
            CookieAction::Remove => self.0 = None,
            CookieAction::Keep | CookieAction::RemoveUnknown => {}
        }
        commit.clone()
    }

    pub(crate) fn set(&mut self, token: &SessionToken, sessions: &Sessions) {
        self.0 = Some(sessions.encode(token));
    }
}
