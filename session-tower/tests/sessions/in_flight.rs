//! Requests that are under way when their session ends, and requests whose client goes away.

use std::sync::Arc;

use http::{Response, StatusCode};
use session_core::{CommitOutcome, SessionError};
use session_tower::session_http::{Problem, WhenEnded};
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt;

use crate::world::{World, cookie, get, post, read_n, set_cookies, sign_in, with};

/// Plays a request that reads, lets the session be destroyed by another, and then writes.
async fn overtaken(world: &World, cookie: &str, method: &str) -> Response<impl Sized + use<>> {
    let (loaded, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = {
        let (loaded, go_on) = (loaded.clone(), go_on.clone());
        world.serve(move |session| {
            let (loaded, go_on) = (loaded.clone(), go_on.clone());
            async move {
                session.get::<u32>("n").await.unwrap();
                loaded.notify_one();
                go_on.notified().await;
                session.insert("n", &2).await.unwrap();
                StatusCode::OK
            }
        })
    };
    let slow = with(post(), cookie).method(method).body(()).unwrap();
    let slow = tokio::spawn(service.oneshot(slow));
    loaded.notified().await;
    let response = world
        .play(with(post(), cookie), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    assert!(set_cookies(&response)[0].starts_with("__Host-id=; "));
    go_on.notify_one();
    slow.await.unwrap().unwrap()
}

/// SECURITY 25; PEERS row 3: a sign-out while a slow request is in flight.
#[tokio::test]
async fn a_session_that_ended_meanwhile_stays_ended_and_the_late_write_is_refused() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    let response = overtaken(&world, &alice, "POST").await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(response.extensions().get(), Some(&Problem::ENDED));
    let outcome = response.extensions().get::<CommitOutcome>();
    assert!(matches!(outcome, Some(CommitOutcome::Ended)));
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(world.subject(&alice).await, None);
    assert_eq!(world.how_many("alice").await, 0);
}

/// SECURITY 25
#[tokio::test]
async fn the_late_answer_to_a_safe_method_passes_without_a_cookie() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    let response = overtaken(&world, &alice, "GET").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(set_cookies(&response), [""; 0]);
    let outcome = response.extensions().get::<CommitOutcome>();
    assert!(matches!(outcome, Some(CommitOutcome::Ended)));
}

/// SECURITY 25
#[tokio::test]
async fn the_application_may_let_a_late_answer_pass() {
    let world = World::with(|layer| layer.with_when_ended(WhenEnded::Pass));
    let alice = world.signed_in("alice").await;
    let response = overtaken(&world, &alice, "POST").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(world.subject(&alice).await, None);
}

/// SECURITY 25
#[tokio::test]
async fn a_request_that_comes_after_the_sign_out_gets_no_cookie() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    world
        .play(with(post(), &alice), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    let response = world
        .play(with(post(), &alice), |session| async move {
            let refused = session.insert("n", &1).await.unwrap_err();
            assert!(matches!(refused, SessionError::Superseded));
            StatusCode::CONFLICT
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
}

/// PEERS row 7: a client that goes away during a request.
#[tokio::test]
async fn of_a_request_whose_client_went_away_nothing_is_committed_and_its_session_can_be_destroyed()
{
    let world = World::new();
    let visitor = world.visitor().await;
    let reached = Arc::new(Notify::new());
    let service = {
        let reached = reached.clone();
        world.serve(move |session| {
            let reached = reached.clone();
            async move {
                session.insert("n", &2).await.unwrap();
                reached.notify_one();
                std::future::pending().await
            }
        })
    };
    let request = with(post(), &visitor).body(()).unwrap();
    tokio::select! {
        _ = service.oneshot(request) => unreachable!("the handler never answers"),
        () = reached.notified() => {}
    }
    assert_eq!(world.n(&visitor).await, Some(1));
    world
        .play(with(post(), &visitor), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    assert_eq!(world.n(&visitor).await, None);
}

#[tokio::test]
async fn a_sign_in_goes_on_when_its_client_goes_away() {
    let world = World::new();
    world.store.hold_sign_ins();
    let service = world.serve(|session| async move {
        sign_in(&session, "alice").await;
        StatusCode::OK
    });
    let request = post().body(()).unwrap();
    tokio::select! {
        _ = service.oneshot(request) => unreachable!("the sign-in is held back"),
        _ = world.store.sign_ins.acquire() => {}
    }
    assert_eq!(world.how_many("alice").await, 0);
    world.store.release_sign_ins();
    while world.how_many("alice").await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.how_many("alice").await, 1);
}

#[tokio::test]
async fn a_clone_that_outlives_the_response_can_no_longer_write() {
    let world = World::new();
    let visitor = world.visitor().await;
    let (answered, tried) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = {
        let (answered, tried) = (answered.clone(), tried.clone());
        move |session: session_core::Session| {
            let (answered, tried) = (answered.clone(), tried.clone());
            async move {
                session.get::<u32>("n").await.unwrap();
                tokio::spawn(async move {
                    answered.notified().await;
                    let refused = session.insert("n", &2).await.unwrap_err();
                    assert!(matches!(refused, SessionError::Committed));
                    tried.add_permits(1);
                });
                StatusCode::OK
            }
        }
    };
    world.play(with(get(), &visitor), handler).await;
    answered.notify_one();
    let _tried = tried.acquire().await.unwrap();
    assert_eq!(world.n(&visitor).await, Some(1));
}

/// SECURITY 35
#[tokio::test]
async fn the_cookie_of_a_session_that_was_signed_out_is_worth_nothing() {
    let world = World::new();
    let alice = world.signed_in("alice").await;
    world
        .play(with(post(), &alice), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    for seconds in [0, 59, 3600] {
        world.pass(seconds);
        assert_eq!(world.subject(&alice).await, None);
    }
    // An hour later a navigation cleans it up.
    let request = with(get(), &alice).header("sec-fetch-mode", "navigate");
    let response = world.play(request, read_n).await;
    assert_eq!(cookie(&response).as_deref(), Some("__Host-id="));
}
