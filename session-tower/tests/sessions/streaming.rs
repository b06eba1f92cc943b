//! Responses whose bodies go on after their heads.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get as on_get;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt;
use session_core::SessionError;
use session_tower::axum::Session;
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::world::{World, cookie, get, post, text, with};

async fn play(router: Router, request: http::request::Builder) -> Response {
    router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// The body of one piece that `work` makes.
fn body(work: impl Future<Output = String> + Send + 'static) -> Body {
    Body::from_stream(stream::once(async move {
        Ok::<_, std::convert::Infallible>(Bytes::from(work.await))
    }))
}

#[tokio::test]
async fn the_session_is_committed_before_the_head_and_later_edits_are_errors() {
    let world = World::new();
    let router = Router::new()
        .route(
            "/",
            on_get(async |session: Session| {
                session.insert("n", &1).await.unwrap();
                body(async move {
                    let late = [
                        session.insert("n", &2).await.unwrap_err(),
                        session.clear().await.unwrap_err(),
                        session.renew().await.unwrap_err(),
                    ];
                    assert!(
                        late.iter()
                            .all(|late| matches!(late, SessionError::Committed))
                    );
                    let n: Option<u32> = session.get("n").await.unwrap();
                    format!("{n:?}")
                })
            }),
        )
        .layer(world.layer.clone());
    let response = play(router, get()).await;
    let visitor = cookie(&response).unwrap();
    // The head is here, the body has not begun, and the session is stored.
    assert_eq!(world.n(&visitor).await, Some(1));
    assert_eq!(text(response).await, "Some(1)");
    assert_eq!(world.n(&visitor).await, Some(1));
}

#[tokio::test]
async fn a_stream_may_update_at_once() {
    let world = World::new();
    let visitor = world.visitor().await;
    let router = Router::new()
        .route(
            "/",
            on_get(async |session: Session| {
                session.get::<u32>("n").await.unwrap();
                body(async move {
                    let n = session.update("n", async |n: Option<u32>| n.unwrap_or(0) + 1);
                    n.await.unwrap().to_string()
                })
            }),
        )
        .layer(world.layer.clone());
    let response = play(router, with(get(), &visitor)).await;
    assert_eq!(text(response).await, "2");
    assert_eq!(world.n(&visitor).await, Some(2));
}

#[tokio::test]
async fn a_stream_ends_when_its_session_does() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    let router = Router::new()
        .route(
            "/",
            on_get(async |session: Session| {
                session.subject().await.unwrap();
                body(async move {
                    session.ended().await;
                    "signed out".to_owned()
                })
            }),
        )
        .layer(world.layer.clone());
    let response = play(router, with(get(), &alice)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let rest = tokio::spawn(text(response));
    tokio::task::yield_now().await;
    assert!(!rest.is_finished());
    world
        .play(with(post(), &alice), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    assert_eq!(rest.await.unwrap(), "signed out");
}

#[tokio::test]
async fn a_body_that_fails_or_panics_changes_nothing_that_was_committed() {
    let world = World::new();
    let router = Router::new()
        .route(
            "/",
            on_get(async |session: Session| {
                session.insert("n", &1).await.unwrap();
                Body::from_stream(stream::once(async {
                    Err::<Bytes, _>(std::io::Error::other("on purpose"))
                }))
            }),
        )
        .layer(world.layer.clone());
    let response = play(router, get()).await;
    let visitor = cookie(&response).unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(world.n(&visitor).await, Some(1));
}

#[tokio::test]
async fn a_body_that_nobody_reads_to_its_end_changes_nothing_that_was_committed() {
    let world = World::new();
    let never = Arc::new(Notify::new());
    let router = Router::new()
        .route(
            "/",
            on_get(async move |session: Session| {
                session.insert("n", &1).await.unwrap();
                let never = never.clone();
                body(async move {
                    never.notified().await;
                    String::new()
                })
            }),
        )
        .layer(world.layer.clone());
    let response = play(router, get()).await;
    let visitor = cookie(&response).unwrap();
    drop(response);
    assert_eq!(world.n(&visitor).await, Some(1));
}
