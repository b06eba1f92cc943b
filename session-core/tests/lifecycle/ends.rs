use std::time::Duration;

use session_core::{CookieAction, EventKind, HandlerOutcome, Verdict};

use crate::support::{Jar, World, subject_of};

/// SECURITY 37: the list says what people need, and its ids open nothing.
#[tokio::test]
async fn devices_lists_the_subjects_sessions_and_marks_the_current_one() {
    let world = World::new();
    let (mut phone, mut laptop, mut bobs) = <(Jar, Jar, Jar)>::default();
    let session = world.request(&phone);
    let ticket = world.sign_in_as("alice").await.label("browser", "Firefox");
    session.sign_in(ticket).await.unwrap();
    phone.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    world.pass(1);
    world.sign_in(&mut laptop, "alice").await;
    world.sign_in(&mut bobs, "bob").await;

    let devices = world.request(&laptop).devices().await.unwrap();
    assert_eq!(
        devices
            .iter()
            .map(|device| device.current)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(devices[1].labels["browser"], "Firefox");
    let id = Jar(Some(devices[1].id.to_string()));
    assert_eq!(
        world.request(&id).verdict().await.unwrap(),
        Verdict::Unknown
    );
}

#[tokio::test]
async fn a_session_and_the_one_that_it_replaces_are_one_device() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    let session = world.sign_in(&mut jar, "alice").await;
    assert_eq!(session.devices().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_device_signs_out_another_but_never_anothers() {
    let world = World::new();
    let (mut a, mut b, mut bobs) = <(Jar, Jar, Jar)>::default();
    let other = world
        .sign_in(&mut a, "alice")
        .await
        .id()
        .await
        .unwrap()
        .unwrap();
    world.sign_in(&mut b, "alice").await;
    let bob = world
        .sign_in(&mut bobs, "bob")
        .await
        .id()
        .await
        .unwrap()
        .unwrap();
    let session = world.request(&b);
    assert!(session.sign_out_device(other).await.unwrap());
    assert!(!session.sign_out_device(other).await.unwrap());
    assert!(!session.sign_out_device(bob).await.unwrap());
    assert_eq!(world.who(&mut a).await, None);
    assert_eq!(world.who(&mut b).await.as_deref(), Some("alice"));
    assert_eq!(world.who(&mut bobs).await.as_deref(), Some("bob"));
}

/// SECURITY 36.
#[tokio::test]
async fn signing_out_the_others_ends_them_and_renews_this_one() {
    let world = World::new();
    let (mut a, mut b, mut bobs) = <(Jar, Jar, Jar)>::default();
    world.sign_in(&mut a, "alice").await;
    world.sign_in(&mut b, "alice").await;
    world.sign_in(&mut bobs, "bob").await;
    let before = b.clone();
    let session = world.request(&b);
    assert_eq!(session.sign_out_others().await.unwrap(), 1);
    b.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_ne!(b.0, before.0);
    assert_eq!(world.who(&mut a).await, None);
    assert_eq!(world.who(&mut b).await.as_deref(), Some("alice"));
    assert_eq!(world.who(&mut bobs).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_and_removes_the_cookie() {
    let world = World::new();
    let (mut a, mut b) = <(Jar, Jar)>::default();
    world.sign_in(&mut a, "alice").await;
    world.sign_in(&mut b, "alice").await;
    let session = world.request(&b);
    assert_eq!(session.sign_out_everywhere().await.unwrap(), 2);
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::Remove));
    assert_eq!(world.who(&mut a).await, None);
    assert_eq!(world.who(&mut b).await, None);
}

/// The answer to a sign-out is lost: the cookie stays in the jar, opens nothing, and is not stuck.
#[tokio::test]
async fn a_lost_answer_to_a_sign_out_leaves_no_stuck_cookie() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let session = world.request(&jar);
    session.destroy().await.unwrap();
    session.commit(HandlerOutcome::Answered).await;
    assert_eq!(world.who(&mut jar).await, None);
    world.sign_in(&mut jar, "alice").await;
    assert_eq!(
        world.who(&mut jar).await.as_deref(),
        Some("alice"),
        "a sign-in works at once"
    );

    let session = world.request(&jar);
    session.destroy().await.unwrap();
    session.commit(HandlerOutcome::Answered).await;
    world.pass(61);
    world.write(&mut jar, "n", 1).await;
    assert_eq!(
        world.read(&mut jar, "n").await,
        Some(1),
        "after a minute, a write does too"
    );
}

/// Signing out ends what the session replaced as well, although that was not confirmed yet.
#[tokio::test]
async fn signing_out_leaves_no_predecessor_signed_in() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    let mut before = jar.clone();
    let session = world.sign_in(&mut jar, "alice").await;
    drop(session);
    let session = world.request(&jar);
    session.destroy().await.unwrap();
    session.commit(HandlerOutcome::Answered).await;
    assert_eq!(world.who(&mut before).await, None);
}

#[tokio::test]
async fn destroying_without_a_session_does_nothing() {
    let world = World::new();
    let session = world.request(&Jar::default());
    session.insert("n", &1).await.unwrap();
    session.destroy().await.unwrap();
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::Keep));
}

#[tokio::test]
async fn ended_resolves_when_the_session_is_ended_elsewhere() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let socket = world.request(&jar);
    let ended = tokio::spawn(async move { socket.ended().await });
    tokio::task::yield_now().await;
    assert!(!ended.is_finished());
    world
        .sessions
        .sign_out_everywhere(&subject_of("alice"), None)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_expired_session_is_removed_and_told_once() {
    let world = World::new();
    let sessions = world.sessions.clone();
    let upkeep = tokio::spawn(async move { sessions.upkeep(Duration::from_millis(1)).await });
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.pass(3600);
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let seen = world.store.inner.usage().sessions;
        if seen == 0 {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(world.events(), [EventKind::Created, EventKind::Expired]);
    upkeep.abort();
}

#[tokio::test]
async fn signing_out_the_others_works_after_the_commit_too() {
    let world = World::new();
    let (mut a, mut b) = <(Jar, Jar)>::default();
    world.sign_in(&mut a, "alice").await;
    world.sign_in(&mut b, "alice").await;
    let session = world.request(&b);
    session.commit(HandlerOutcome::Answered).await;
    assert_eq!(session.sign_out_others().await.unwrap(), 1);
    assert_eq!(world.who(&mut a).await, None);
    assert_eq!(world.who(&mut b).await.as_deref(), Some("alice"));
}
