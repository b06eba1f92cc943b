//! A real server, and clients that speak HTTP/1.1 and HTTP/2 over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::{get as on_get, post as on_post};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_core::{SignIn, Subject};
use session_tower::axum::{Session, SessionRejection};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::world::World;

/// What a handler that never answers has told.
#[derive(Clone, Default)]
struct Told {
    reached: Arc<Notify>,
    dropped: Arc<Notify>,
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn serve(world: &World) -> (SocketAddr, Told) {
    let told = Told::default();
    let stuck = told.clone();
    let router = Router::new()
        .route(
            "/",
            on_get(
                async |session: Session| -> Result<String, SessionRejection> {
                    let n: Option<u32> = session.get("n").await?;
                    Ok(format!("{n:?}"))
                },
            ),
        )
        .route(
            "/stuck",
            on_get(
                async move |session: Session| -> Result<(), SessionRejection> {
                    let _on_drop = OnDrop(stuck.dropped.clone());
                    session.insert("n", &2).await?;
                    stuck.reached.notify_one();
                    std::future::pending().await
                },
            ),
        )
        .route(
            "/panic",
            on_get(async || -> String { panic!("on purpose") }),
        )
        .route(
            "/stream",
            on_get(async |session: Session| -> Result<Body, SessionRejection> {
                session.insert("n", &1).await?;
                Ok(Body::from_stream(futures_util::stream::pending::<
                    Result<axum::body::Bytes, std::convert::Infallible>,
                >()))
            }),
        )
        .route(
            "/enter",
            on_post(async |session: Session| -> Result<(), SessionRejection> {
                let subject = Subject::new("alice").map_err(session_core::SessionError::from)?;
                let ticket = session.sessions().begin_sign_in(&subject).await?;
                Ok(session.sign_in(SignIn::new(ticket)).await?)
            }),
        )
        .layer(world.layer.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, told)
}

/// Sends bytes over a new connection and returns everything that comes back until it is closed.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// SECURITY 14
#[tokio::test]
async fn all_cookie_lines_of_http_1_are_read_whatever_bytes_they_hold() {
    let world = World::new();
    let visitor = world.visitor().await;
    let (address, _) = serve(&world).await;
    let request = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: a=\xff\xfe; theme=dark\r\n"
            .as_slice(),
        b"Cookie: __Host-id=junk\r\nCookie: ",
        visitor.as_bytes(),
        b"\r\n\r\n",
    ];
    let answer = exchange(address, &request.concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nSome(1)"), "{answer}");
    assert!(!answer.contains("set-cookie"), "{answer}");
}

type Http2 = http2::SendRequest<Empty<axum::body::Bytes>>;

async fn connect(address: SocketAddr) -> Http2 {
    let connection = TcpStream::connect(address).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connection))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// SECURITY 14
#[tokio::test]
async fn cookies_that_http_2_splits_are_all_read() {
    let world = World::new();
    let visitor = world.visitor().await;
    let (address, _) = serve(&world).await;
    let mut client = connect(address).await;
    let mut request = Request::get(format!("http://{address}/"));
    for cookie in ["theme=dark", &visitor, "__Host-id=junk", "lang=en"] {
        request = request.header("cookie", cookie);
    }
    let response = client
        .send_request(request.body(Empty::new()).unwrap())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Some(1)");
}

/// SECURITY 45
#[tokio::test]
async fn over_http_2_the_guard_compares_the_origin_with_the_authority() {
    let world = World::new();
    let (address, _) = serve(&world).await;
    let mut client = connect(address).await;
    let mut enter = async |origin: String| {
        let request = Request::post(format!("http://{address}/enter"))
            .header("origin", origin)
            .body(Empty::new())
            .unwrap();
        client.send_request(request).await.unwrap().status()
    };
    assert_eq!(enter(format!("http://{address}")).await, StatusCode::OK);
    assert_eq!(
        enter("http://evil.example".into()).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(world.how_many("alice").await, 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_commits_nothing() {
    let world = World::new();
    let visitor = world.visitor().await;
    let (address, told) = serve(&world).await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /stuck HTTP/1.1\r\nHost: localhost\r\nCookie: {visitor}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    told.reached.notified().await;
    drop(connection);
    told.dropped.notified().await;
    assert_eq!(world.n(&visitor).await, Some(1));
}

#[tokio::test]
async fn a_panic_costs_no_connection() {
    let world = World::new();
    let (address, _) = serve(&world).await;
    let request = b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n\
        GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = exchange(address, request).await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 OK\r\n"), "{answers}");
}

#[tokio::test]
async fn the_cookie_is_in_the_head_while_the_body_goes_on() {
    let world = World::new();
    let (address, _) = serve(&world).await;
    let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
    connection
        .write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut visitor = None;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.unwrap();
        if let Some(cookie) = line.strip_prefix("set-cookie: ") {
            visitor = cookie.split(';').next().map(str::to_owned);
        }
        if line == "\r\n" {
            break;
        }
    }
    assert_eq!(world.n(&visitor.unwrap()).await, Some(1));
}

/// SECURITY 5
#[tokio::test]
async fn hostile_cookies_are_answered_and_the_server_lives() {
    let world = World::new();
    let (address, _) = serve(&world).await;
    let long = "A".repeat(10_000);
    let many = "__Host-id=x; ".repeat(1_000);
    for cookie in [
        b"__Host-id=".as_slice(),
        b"__Host-id=*; __Host-id='; __Host-id={}",
        b"__Host-id=\x80\x81\xff",
        b";;;===;=;",
        format!("__Host-id={long}").as_bytes(),
        many.as_bytes(),
    ] {
        let request = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: ".as_slice(),
            cookie,
            b"\r\n\r\n",
        ];
        let answer = exchange(address, &request.concat()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("None"), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    for broken in [b"a\0b".as_slice(), b"a\nb: c"] {
        let request = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: __Host-id="
                .as_slice(),
            broken,
            b"\r\n\r\n",
        ];
        let answer = exchange(address, &request.concat()).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
}
