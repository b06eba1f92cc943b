//! The service that gives each request its session.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http::{Request, Response};
use session_core::{CommitOutcome, HandlerOutcome, Session, Sessions};
use session_http::{Exchange, Problem, RequestHead, Transport};
use tower_service::Service;

use crate::response;

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
///
/// The inner service finds a [`Session`] in the request's extensions. It fails only if the inner service
/// does; a panic of that is answered with 500.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
    transport: Arc<Transport>,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(inner: S, sessions: Sessions, transport: Arc<Transport>) -> Self {
        Self {
            inner,
            sessions,
            transport,
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    ReqBody: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The service that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        if request.extensions().get::<Session>().is_some() {
            // A layer further out does it.
            return Box::pin(async move { inner.call(request).await });
        }
        let (sessions, transport) = (self.sessions.clone(), Arc::clone(&self.transport));
        Box::pin(async move {
            let exchange = transport.read(&sessions, RequestHead::from(&request));
            let session = exchange.open(&sessions);
            let answer = handle(&mut inner, request, &exchange, &session).await?;
            Ok(commit(answer, &exchange, &session).await)
        })
    }
}

/// Lets the inner service answer, unless the guard refuses the request.
async fn handle<S, ReqBody, ResBody>(
    inner: &mut S,
    mut request: Request<ReqBody>,
    exchange: &Exchange<'_>,
    session: &Session,
) -> Result<Response<ResBody>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Default + 'static,
{
    if let Err(problem) = exchange.guard(session).await {
        return Ok(response::problem(&problem));
    }
    request.extensions_mut().insert(session.clone());
    // A panic drops everything the handler held but the session, whose state is whole between calls.
    let answer = AssertUnwindSafe(async { inner.call(request).await })
        .catch_unwind()
        .await;
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            session.commit(HandlerOutcome::Failed).await;
            Err(error)
        }
        Err(panic) => {
            let reason = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(reason, "a handler panicked");
            Ok(response::problem(&Problem::INTERNAL))
        }
    }
}

/// Commits the session and gives the response what it owes to the client.
async fn commit<ResBody: Default + 'static>(
    mut answer: Response<ResBody>,
    exchange: &Exchange<'_>,
    session: &Session,
) -> Response<ResBody> {
    let outcome = if answer.status().is_server_error() {
        HandlerOutcome::Failed
    } else {
        HandlerOutcome::Answered
    };
    let commit = session.commit(outcome).await;
    if let CommitOutcome::Failed(error) = &commit.outcome {
        tracing::error!(
            error = &**error as &dyn std::error::Error,
            "a session was not committed"
        );
    }
    if let Some(problem) = exchange.problem(&commit) {
        answer = response::problem(&problem);
    }
    exchange.write(session.sessions(), &commit, answer.headers_mut());
    answer.extensions_mut().insert(commit.outcome);
    answer
}
