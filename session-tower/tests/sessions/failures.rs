//! Handlers that fail, panic, or leave the service with an error; stores that fail.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use session_core::{CommitOutcome, Session};
use session_tower::session_http::Problem;
use tower::{Layer, ServiceExt, service_fn};

use crate::world::{World, cookie, get, insert_1, post, read_n, set_cookies, sign_in, text, with};

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

#[tokio::test]
async fn after_a_server_error_edits_are_dropped_and_the_session_lives() {
    let world = World::new();
    let visitor = world.visitor().await;
    let response = world
        .play(with(post(), &visitor), |session| async move {
            session.insert("n", &2).await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(response.status(), FAILED);
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(text(response).await, "the handler's");
    assert_eq!(world.n(&visitor).await, Some(1));
}

#[tokio::test]
async fn after_a_server_error_the_first_edit_makes_no_session() {
    let world = World::new();
    let response = world
        .play(get(), |session| async move {
            session.insert("n", &1).await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
}

/// PEERS row 11: a new secret, then a server error.
#[tokio::test]
async fn a_renewal_and_then_a_server_error_signs_nobody_out() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    let response = world
        .play(with(post(), &alice), |session| async move {
            session.renew().await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
    world.pass(120);
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_cookie_of_a_completed_sign_in_goes_out_with_a_server_error() {
    let world = World::new();
    let response = world
        .play(post(), |session| async move {
            sign_in(&session, "alice").await;
            session.insert("n", &1).await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(response.status(), FAILED);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let alice = cookie(&response).unwrap();
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
    assert_eq!(world.n(&alice).await, None);
}

#[tokio::test]
async fn the_cookie_of_a_sign_in_that_was_renewed_goes_out_with_a_server_error() {
    let world = World::new();
    let response = world
        .play(post(), |session| async move {
            sign_in(&session, "alice").await;
            session.renew().await.unwrap();
            FAILED
        })
        .await;
    let alice = cookie(&response).unwrap();
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_server_error_removes_no_cookie() {
    let world = World::new();
    let visitor = world.visitor().await;
    let destroyed = world
        .play(with(post(), &visitor), |session| async move {
            session.destroy().await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(set_cookies(&destroyed), [""; 0]);
    let unknown = with(get(), "__Host-id=junk").header("sec-fetch-mode", "navigate");
    let response = world
        .play(unknown, |session| async move {
            session.get::<u32>("n").await.unwrap();
            FAILED
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
}

#[tokio::test]
async fn a_panic_is_answered_with_500_and_edits_are_dropped() {
    let world = World::new();
    let visitor = world.visitor().await;
    let response = world
        .play(with(post(), &visitor), |session| async move {
            session.insert("n", &2).await.unwrap();
            panic!("on purpose")
        })
        .await;
    assert_eq!(response.status(), FAILED);
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(response.extensions().get(), Some(&Problem::INTERNAL));
    assert_eq!(text(response).await, "");
    assert_eq!(world.n(&visitor).await, Some(1));
}

#[tokio::test]
async fn the_cookie_of_a_completed_sign_in_goes_out_after_a_panic() {
    let world = World::new();
    let response = world
        .play(post(), |session| async move {
            sign_in(&session, "alice").await;
            panic!("on purpose")
        })
        .await;
    assert_eq!(response.status(), FAILED);
    let alice = cookie(&response).unwrap();
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_panic_before_the_service_gives_a_future_is_one_too() {
    let service = World::new().layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<String>, Infallible>> {
            panic!("on purpose")
        },
    ));
    let response = service.oneshot(get().body(()).unwrap()).await.unwrap();
    assert_eq!(response.status(), FAILED);
}

#[tokio::test]
async fn the_inner_services_error_passes_through_and_edits_are_dropped() {
    let world = World::new();
    let visitor = world.visitor().await;
    let service = world.layer.layer(service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<Session>().unwrap();
        session.insert("n", &2).await.unwrap();
        Err::<Response<String>, _>("the inner service's")
    }));
    let request = with(post(), &visitor).body(()).unwrap();
    assert_eq!(
        service.oneshot(request).await.unwrap_err(),
        "the inner service's"
    );
    assert_eq!(world.n(&visitor).await, Some(1));
}

/// SECURITY 42
#[tokio::test]
async fn a_commit_that_the_store_refuses_is_answered_with_503() {
    let world = World::new();
    let visitor = world.visitor().await;
    world.store.fail_writes(true);
    for request in [get(), with(post(), &visitor), with(get(), &visitor)] {
        let response = world
            .play(request, |session| async move {
                session.insert("n", &2).await.unwrap();
                StatusCode::OK
            })
            .await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(set_cookies(&response), [""; 0]);
        let outcome = response.extensions().get::<CommitOutcome>();
        assert!(matches!(outcome, Some(CommitOutcome::Failed(_))));
        assert_eq!(text(response).await, "");
    }
    world.store.fail_writes(false);
    assert_eq!(world.n(&visitor).await, Some(1));
}

/// SECURITY 42
#[tokio::test]
async fn the_cookie_of_a_completed_sign_in_goes_out_when_the_commit_after_it_fails() {
    let world = World::new();
    let store = world.store.clone();
    let response = world
        .play(post(), move |session| {
            let store = store.clone();
            async move {
                sign_in(&session, "alice").await;
                store.fail_writes(true);
                session.insert("n", &1).await.unwrap();
                StatusCode::OK
            }
        })
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let alice = cookie(&response).unwrap();
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));
}

/// SECURITY 42
#[tokio::test]
async fn what_no_handler_asked_for_fails_no_request() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    world.play(with(get(), &alice), read_n).await;
    // A touch and an automatic renewal are due.
    world.pass(16 * 60);
    world.store.fail_writes(true);
    let response = world.play(with(post(), &alice), read_n).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(set_cookies(&response), [""; 0]);
    world.store.fail_writes(false);
    let response = world.play(with(get(), &alice), read_n).await;
    assert!(cookie(&response).is_some());
}

/// SECURITY 42
#[tokio::test]
async fn a_store_that_does_not_load_is_no_empty_session() {
    let world = World::new();
    let visitor = world.visitor().await;
    world.store.fail_loads(true);
    let request = with(get(), &visitor).header("sec-fetch-mode", "navigate");
    let response = world
        .play(request, |session| async move {
            assert!(session.get::<u32>("n").await.is_err());
            assert!(session.insert("n", &2).await.is_err());
            StatusCode::OK
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
    world.store.fail_loads(false);
    assert_eq!(world.n(&visitor).await, Some(1));
    let response = world.play(get(), insert_1).await;
    assert!(cookie(&response).is_some());
}
