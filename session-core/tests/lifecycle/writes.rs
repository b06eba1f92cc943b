use std::sync::Arc;
use std::time::Duration;

use session_core::{
    CommitOutcome, CookieAction, EventKind, HandlerOutcome, SessionError, Timeouts,
};

use crate::scripted::{Fault, Verb};
use crate::support::{Jar, World};

#[tokio::test]
async fn edits_wait_for_the_commit_and_a_failed_handler_drops_them() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    session.insert("n", &2).await.unwrap();
    assert!(session.is_modified());
    assert_eq!(session.get::<u32>("n").await.unwrap(), Some(2));
    session.commit(HandlerOutcome::Failed).await;
    assert_eq!(world.read(&mut jar, "n").await, Some(1));
}

#[tokio::test]
async fn writes_of_two_requests_to_different_entries_are_both_kept() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let (a, b) = (world.request(&jar), world.request(&jar));
    a.insert("a", &1).await.unwrap();
    b.insert("b", &2).await.unwrap();
    a.commit(HandlerOutcome::Answered).await;
    b.commit(HandlerOutcome::Answered).await;
    assert_eq!(world.read(&mut jar, "a").await, Some(1));
    assert_eq!(world.read(&mut jar, "b").await, Some(2));
}

#[tokio::test]
async fn clear_removes_entries_and_keeps_the_session_and_its_csrf_token() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    let csrf = session.csrf_token().await.unwrap();
    session.clear().await.unwrap();
    assert_eq!(session.get::<u32>("n").await.unwrap(), None);
    session.insert("m", &2).await.unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    let session = world.request(&jar);
    assert_eq!(session.names().await.unwrap(), ["m"]);
    assert!(session.is_csrf_token(&csrf).await.unwrap());
    assert_eq!(session.subject().await.unwrap().as_deref(), Some("alice"));
}

#[tokio::test]
async fn reserved_names_are_out_of_reach() {
    let world = World::new();
    let session = world.request(&Jar::default());
    let name = "session:csrf";
    assert!(matches!(
        session.insert(name, &1).await,
        Err(SessionError::Reserved(_))
    ));
    assert!(matches!(
        session.remove::<u32>(name).await,
        Err(SessionError::Reserved(_))
    ));
    let update = session
        .update(name, async |n: Option<u32>| n.unwrap_or(0))
        .await;
    assert!(matches!(update, Err(SessionError::Reserved(_))));
}

#[tokio::test]
async fn an_entry_that_no_longer_decodes_is_an_error_and_the_session_survives() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    assert!(matches!(
        session.get::<Vec<String>>("n").await,
        Err(SessionError::Decode { .. })
    ));
    assert_eq!(session.get::<u32>("n").await.unwrap(), Some(1));
}

/// SECURITY 24, 25: what a session's end overtakes is refused, revives nothing and sets no cookie.
#[tokio::test]
async fn a_request_in_flight_when_its_session_ends_writes_nothing_and_sets_no_cookie() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let slow = world.request(&jar);
    slow.insert("n", &1).await.unwrap();
    world.request(&jar).destroy().await.unwrap();
    world.events();
    let commit = slow.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.outcome, CommitOutcome::Ended));
    assert!(matches!(commit.cookie, CookieAction::Keep));
    assert_eq!(world.events(), [EventKind::WriteRefused]);
    assert_eq!(world.who(&mut jar).await, None);
}

#[tokio::test]
async fn a_commit_that_the_store_refuses_is_a_failure_without_a_cookie() {
    let world = World::new();
    let session = world.request(&Jar::default());
    session.insert("n", &1).await.unwrap();
    world.store.fail(Verb::Create, Fault::OutOfReach);
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.outcome, CommitOutcome::Failed(_)));
    assert!(matches!(commit.cookie, CookieAction::Keep));
}

#[tokio::test]
async fn after_the_commit_an_insert_is_an_error() {
    let world = World::new();
    let session = world.request(&Jar::default());
    session.insert("n", &1).await.unwrap();
    session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(
        session.insert("n", &2).await,
        Err(SessionError::Committed)
    ));
    let ticket = world.sign_in_as("alice").await;
    assert!(matches!(
        session.sign_in(ticket).await,
        Err(SessionError::Committed)
    ));
    assert!(matches!(
        session.renew().await,
        Err(SessionError::Committed)
    ));
}

#[tokio::test]
async fn save_stores_pending_edits_at_once() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    session.insert("n", &2).await.unwrap();
    session.save().await.unwrap();
    assert!(!session.is_modified());
    assert_eq!(world.read(&mut jar, "n").await, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_increments_make_a_hundred() {
    let world = Arc::new(World::new());
    let mut jar = Jar::default();
    world.write(&mut jar, "other", 1).await;
    let increments = (0..100).map(|_| {
        let session = world.request(&jar);
        tokio::spawn(async move {
            let increment = async |n: Option<u32>| {
                tokio::time::sleep(Duration::from_millis(1)).await;
                n.unwrap_or(0) + 1
            };
            session.update("n", increment).await.unwrap();
        })
    });
    for increment in increments.collect::<Vec<_>>() {
        increment.await.unwrap();
    }
    assert_eq!(world.read(&mut jar, "n").await, Some(100));
}

#[tokio::test]
async fn an_update_carries_pending_edits_and_makes_a_session_if_there_is_none() {
    let world = World::new();
    let mut jar = Jar::default();
    let session = world.request(&jar);
    session.insert("a", &1).await.unwrap();
    let n = session
        .update("n", async |n: Option<u32>| n.unwrap_or(41) + 1)
        .await
        .unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_eq!(n, 42);
    assert_eq!(world.read(&mut jar, "n").await, Some(42));
    assert_eq!(world.read(&mut jar, "a").await, Some(1));
}

#[tokio::test]
async fn an_update_that_others_always_outrun_ends_in_a_clear_error() {
    let world = Arc::new(World::new());
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 0).await;
    let session = world.request(&jar);
    let store = world.store.inner.clone();
    let id = session.id().await.unwrap().unwrap();
    let tries = std::cell::Cell::new(0);
    tokio::time::pause();
    let outrun = session
        .update("n", async |n: Option<u32>| {
            use session_core::{Change, EntryName, JsonText, SessionStore};
            tries.set(tries.get() + 1);
            let name = EntryName::new("n").unwrap();
            let change = Change::new().set(name, JsonText::parse("7").unwrap());
            store.apply(id, &change, None).await.unwrap();
            n.unwrap_or(0) + 1
        })
        .await;
    assert!(matches!(outrun, Err(SessionError::Conflict)));
    assert_eq!(tries.get(), 64);
}

/// SECURITY 34: at most one write per session and touch interval, at any rate of requests, and the idle
/// timeout is off by no more than that.
#[tokio::test]
async fn touches_are_throttled_and_the_session_stays_alive() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.store.calls();
    for _ in 0..6_000 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.read(&mut jar, "n").await, Some(1));
    }
    let touches = world
        .store
        .calls()
        .iter()
        .filter(|verb| **verb == Verb::Apply)
        .count();
    assert_eq!(touches, 100);
}

#[tokio::test]
async fn the_touch_interval_is_at_most_a_tenth_of_the_idle_timeout() {
    let idle = Duration::from_secs(10);
    let world = World::with(|it| it.timeouts(Timeouts::default().with_idle(idle)));
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    for _ in 0..100 {
        world.clock.advance(Duration::from_millis(9_000));
        assert_eq!(world.read(&mut jar, "n").await, Some(1));
    }
}

/// PEERS row 7: what a dropped request began at once is finished, and a later destroy works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_caller_does_not_cancel_what_happens_at_once() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let mut hand = world.store.pause(&[Verb::Delete]);
    let session = world.request(&jar);
    let dropped = tokio::spawn(async move { session.destroy().await });
    hand.reached.recv().await.unwrap();
    dropped.abort();
    let _ = dropped.await;
    hand.permit.send(()).unwrap();
    hand.reached.recv().await.unwrap();
    hand.permit.send(()).unwrap();
    assert_eq!(world.who(&mut jar).await, None);
}

#[tokio::test]
async fn a_value_over_the_bound_is_refused_before_it_is_stored() {
    let world = World::new();
    let session = world.request(&Jar::default());
    let large = "x".repeat(1 << 20);
    assert!(matches!(
        session.insert("n", &large).await,
        Err(SessionError::TooLarge(_))
    ));
    assert!(!session.is_modified());
}
