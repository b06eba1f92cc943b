use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    CookieAction, EndCause, EventKind, HandlerOutcome, Keep, LimitPolicy, SessionError,
    SessionStore, SignInLimit, Timeouts, Verdict,
};

use crate::scripted::{Fault, Verb};
use crate::support::{Jar, World, subject_of};

/// SECURITY 21, 22: a sign-in makes a new session; whoever planted the old cookie has nothing of it.
#[tokio::test]
async fn a_sign_in_makes_a_new_session_and_the_old_cookie_never_becomes_signed_in() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "cart", 3).await;
    let mut planted = jar.clone();
    let before = world.request(&jar).id().await.unwrap();
    world.sign_in(&mut jar, "alice").await;
    assert_ne!(world.request(&jar).id().await.unwrap(), before);
    assert_eq!(world.read(&mut jar, "cart").await, Some(3));
    assert_eq!(world.who(&mut planted).await, None);
}

/// PEERS row 5.
#[tokio::test]
async fn wiping_and_signing_in_on_one_handle_makes_a_new_session() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let old = jar.clone();
    let session = world.request(&jar);
    let before = session.id().await.unwrap();
    session.clear().await.unwrap();
    session
        .sign_in(world.sign_in_as("alice").await)
        .await
        .unwrap();
    assert_ne!(session.id().await.unwrap(), before);
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_ne!(jar.0, old.0);
}

#[tokio::test]
async fn keep_says_which_entries_are_taken_over() {
    let world = World::new();
    for (keep, names) in [
        (Keep::All, vec!["a", "b"]),
        (Keep::Keys(vec!["b".into(), "c".into()]), vec!["b"]),
        (Keep::None, vec![]),
    ] {
        let mut jar = Jar::default();
        world.write(&mut jar, "a", 1).await;
        let session = world.request(&jar);
        session.insert("b", &2).await.unwrap();
        session
            .sign_in(world.sign_in_as("alice").await.keep(keep))
            .await
            .unwrap();
        jar.take(
            &session.commit(HandlerOutcome::Answered).await,
            &world.sessions,
        );
        assert_eq!(world.request(&jar).names().await.unwrap(), names);
    }
}

#[tokio::test]
async fn over_a_session_of_another_subject_nothing_is_taken_over_and_that_one_is_destroyed() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.write(&mut jar, "secret", 1).await;
    let mut alices = jar.clone();
    world.sign_in(&mut jar, "bob").await;
    assert_eq!(world.read(&mut jar, "secret").await, None);
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("bob"));
    assert_eq!(world.who(&mut alices).await, None);
}

/// The answer to a sign-in is lost: nobody is signed out who should not be, and no cart is gone.
#[tokio::test]
async fn a_lost_answer_to_a_sign_in_loses_no_cart() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "cart", 3).await;
    world.sign_in(&mut jar.clone(), "alice").await;
    assert_eq!(world.read(&mut jar, "cart").await, Some(3));
    world.sign_in(&mut jar, "alice").await;
    assert_eq!(world.read(&mut jar, "cart").await, Some(3));
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_first_presentation_ends_the_predecessor_and_forgets_it() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "cart", 3).await;
    let mut before = jar.clone();
    world.sign_in(&mut jar, "alice").await;
    assert_eq!(
        world.read(&mut before, "cart").await,
        Some(3),
        "it lives until then"
    );
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("alice"));
    assert_eq!(
        world.request(&before).verdict().await.unwrap(),
        Verdict::Superseded
    );
    assert_eq!(
        world
            .request(&jar)
            .record()
            .await
            .unwrap()
            .unwrap()
            .predecessor(),
        None
    );
}

#[tokio::test]
async fn the_first_presentation_is_recorded_after_a_failed_handler_too() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let session = world.request(&jar);
    session.id().await.unwrap();
    session.commit(HandlerOutcome::Failed).await;
    assert!(
        world
            .request(&jar)
            .record()
            .await
            .unwrap()
            .unwrap()
            .was_presented()
    );
}

#[tokio::test]
async fn an_end_of_the_predecessor_that_failed_is_tried_again_by_the_next_request() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "cart", 3).await;
    let before = jar.clone();
    world.sign_in(&mut jar, "alice").await;
    world.store.fail(Verb::Delete, Fault::OutOfReach);
    world.who(&mut jar).await;
    assert_eq!(
        world.request(&before).verdict().await.unwrap(),
        Verdict::Accepted
    );
    world.who(&mut jar).await;
    assert_eq!(
        world.request(&before).verdict().await.unwrap(),
        Verdict::Superseded
    );
}

#[tokio::test]
async fn a_chain_of_sign_ins_in_one_request_leaves_no_predecessor_behind() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "cart", 3).await;
    let before = jar.clone();
    let session = world.request(&jar);
    session
        .sign_in(world.sign_in_as("alice").await)
        .await
        .unwrap();
    session
        .sign_in(world.sign_in_as("alice").await)
        .await
        .unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    world.who(&mut jar).await;
    assert_eq!(
        world.request(&before).verdict().await.unwrap(),
        Verdict::Superseded
    );
    let listed = world
        .store
        .inner
        .sessions_of(&subject_of("alice"))
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
}

/// The cookie of a sign-in that was completed goes out although the handler failed, and no other.
#[tokio::test]
async fn the_cookie_of_a_completed_sign_in_goes_out_after_a_failed_handler() {
    let world = World::new();
    let mut jar = Jar::default();
    let session = world.request(&jar);
    session
        .sign_in(world.sign_in_as("alice").await)
        .await
        .unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Failed).await,
        &world.sessions,
    );
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("alice"));

    let session = world.request(&jar);
    session.renew().await.unwrap();
    let commit = session.commit(HandlerOutcome::Failed).await;
    assert!(matches!(commit.cookie, CookieAction::Keep));
    assert_eq!(
        world.who(&mut jar).await.as_deref(),
        Some("alice"),
        "PEERS row 11"
    );
}

/// PEERS row 10, SECURITY 23: limits live in the record, whatever is written later.
#[tokio::test]
async fn remember_me_stays_remembered_after_writes_and_renewals() {
    let world = World::new();
    let mut jar = Jar::default();
    let session = world.request(&jar);
    let month = Duration::from_secs(30 * 24 * 3600);
    let remember = Timeouts::new(month).without_idle();
    session
        .sign_in(world.sign_in_as("alice").await.timeouts(remember))
        .await
        .unwrap();
    let commit = jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    let CookieAction::Set { max_age, .. } = commit.cookie else {
        panic!("no cookie")
    };
    assert_eq!(max_age, month);
    let deadline = world.request(&jar).expires_at().await.unwrap();
    world.write(&mut jar, "n", 1).await;
    world.pass(24 * 3600);
    world.write(&mut jar, "n", 2).await;
    assert_eq!(world.request(&jar).expires_at().await.unwrap(), deadline);
    world
        .clock
        .advance(month - Duration::from_secs(24 * 3600) - Duration::from_millis(1));
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("alice"));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.who(&mut jar).await, None);
}

/// SECURITY 38: fifty sign-ins at once leave exactly three usable, and they are the three listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_concurrent_sign_ins_exactly_the_limit_is_usable_and_listed() {
    let max = NonZeroUsize::new(3).unwrap();
    for policy in [LimitPolicy::EndOldest, LimitPolicy::Refuse] {
        let limit = Some(SignInLimit { max, policy });
        let world = Arc::new(World::with(|it| it.limit(limit)));
        let sign_ins: Vec<_> = (0..50)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    let mut jar = Jar::default();
                    let session = world.request(&jar);
                    let ticket = world.sign_in_as("alice").await;
                    let answer = session.sign_in(ticket).await;
                    jar.take(
                        &session.commit(HandlerOutcome::Answered).await,
                        &world.sessions,
                    );
                    (answer, jar)
                })
            })
            .collect();
        let mut usable = Vec::new();
        for answered in futures_util::future::join_all(sign_ins).await {
            let (answer, jar) = answered.unwrap();
            if matches!(answer, Err(SessionError::LimitReached)) {
                assert_eq!(policy, LimitPolicy::Refuse);
                continue;
            }
            usable.extend(world.request(&jar).id().await.unwrap());
        }
        let listed = world
            .store
            .inner
            .sessions_of(&subject_of("alice"))
            .await
            .unwrap();
        let mut listed: Vec<_> = listed.into_iter().map(|(id, _)| id).collect();
        usable.sort();
        listed.sort();
        assert_eq!(usable.len(), 3);
        assert_eq!(usable, listed);
    }
}

#[tokio::test]
async fn a_stale_ticket_signs_nobody_in() {
    let world = World::new();
    let ticket = world.sign_in_as("alice").await;
    world.pass(600);
    let session = world.request(&Jar::default());
    assert!(matches!(
        session.sign_in(ticket).await,
        Err(SessionError::Revoked)
    ));
}

/// SECURITY 36: old password checked, then password changed and everything revoked, then the sign-in.
#[tokio::test]
async fn a_sign_in_that_began_before_a_revoke_is_refused() {
    let world = World::new();
    let ticket = world.sign_in_as("alice").await;
    world
        .sessions
        .sign_out_everywhere(&subject_of("alice"), None)
        .await
        .unwrap();
    let session = world.request(&Jar::default());
    assert!(matches!(
        session.sign_in(ticket).await,
        Err(SessionError::Revoked)
    ));
    session
        .sign_in(world.sign_in_as("alice").await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_ticket_is_kept_between_the_steps_of_a_sign_in() {
    let world = World::new();
    let mut jar = Jar::default();
    let session = world.request(&jar);
    let ticket = world
        .sessions
        .begin_sign_in(&subject_of("alice"))
        .await
        .unwrap();
    session.keep_ticket(&ticket).await.unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );

    let session = world.request(&jar);
    let kept = session.kept_ticket().await.unwrap().unwrap();
    assert_eq!(kept, ticket);
    session
        .sign_in(session_core::SignIn::new(kept))
        .await
        .unwrap();
    assert_eq!(session.kept_ticket().await.unwrap(), None);
}

/// SECURITY 45: the CSRF token is new with each sign-in.
#[tokio::test]
async fn a_sign_in_makes_a_new_csrf_token() {
    let world = World::new();
    let mut jar = Jar::default();
    let session = world.request(&jar);
    let before = session.csrf_token().await.unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    world.sign_in(&mut jar, "alice").await;
    let session = world.request(&jar);
    assert!(!session.is_csrf_token(&before).await.unwrap());
    assert!(
        session
            .is_csrf_token(&session.csrf_token().await.unwrap())
            .await
            .unwrap()
    );
}

/// SECURITY 41: each event once.
#[tokio::test]
async fn events_of_a_whole_life_are_told_once_each() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    let session = world.request(&jar);
    session.renew().await.unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    let session = world.request(&jar);
    session.destroy().await.unwrap();
    session.commit(HandlerOutcome::Answered).await;
    assert_eq!(
        world.events(),
        [
            EventKind::Created,
            EventKind::SignedIn,
            EventKind::Destroyed(EndCause::Replaced),
            EventKind::Renewed,
            EventKind::Destroyed(EndCause::SignOut),
        ]
    );
}
