//! Connections: accepted up to a bound, served within time limits, and finished before the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// How many connections are served at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a client may take to say something, and to finish the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long requests in flight may take to finish once the program is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The connection that a request came by.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Who is at the other end.
    pub(crate) peer: SocketAddr,
    abort: Arc<Notify>,
}

impl Connection {
    /// Cuts the connection, with everything in flight on it.
    pub(crate) fn abort(&self) {
        self.abort.notify_one();
    }
}

/// Serves until `shutdown` resolves and what was in flight then is finished, or has used up its time.
pub(crate) async fn serve(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::pin!(shutdown);
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that is gone already: neither ends the server.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (app, watcher) = (app.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(stream, peer, app, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: Router, watcher: Watcher) {
    let is_heard = timeout(HEAD_TIMEOUT, stream.readable()).await;
    if !matches!(is_heard, Ok(Ok(()))) {
        return;
    }
    // Small answers go out at once; without this they are only slower.
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        peer,
        abort: Arc::default(),
    };
    let abort = Arc::clone(&connection.abort);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        app.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT);
    let served = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    tokio::select! {
        // What goes wrong here is the client's affair: it hung up, or does not speak HTTP.
        _ = watcher.watch(served) => {}
        () = abort.notified() => {}
    }
}
