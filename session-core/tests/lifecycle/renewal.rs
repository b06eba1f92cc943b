use std::time::Duration;

use session_core::{
    CookieAction, EventKind, HandlerOutcome, Presented, ReusePolicy, SessionError, Timeouts,
    TokenFormat, Verdict,
};

use crate::support::{Jar, World};

async fn renew(world: &World, jar: &Jar) -> Jar {
    let session = world.request(jar);
    session.renew().await.unwrap();
    let mut next = jar.clone();
    next.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_ne!(next.0, jar.0);
    next
}

/// SECURITY 21, 30: the old secret stays good until the new one is presented, and 30 s longer; both are
/// the same session.
#[tokio::test]
async fn the_former_secret_is_accepted_until_the_new_one_is_presented_and_30_s_longer() {
    let world = World::new();
    let mut old = Jar::default();
    world.sign_in(&mut old, "alice").await;
    world.who(&mut old).await;
    let mut new = renew(&world, &old).await;
    world.pass(600);
    assert_eq!(
        world.who(&mut old.clone()).await.as_deref(),
        Some("alice"),
        "not yet presented"
    );
    assert_eq!(world.who(&mut new).await.as_deref(), Some("alice"));
    world.write(&mut old, "n", 7).await;
    assert_eq!(world.read(&mut new, "n").await, Some(7), "one session");
    world.pass(29);
    assert_eq!(world.who(&mut old).await.as_deref(), Some("alice"));
    world.pass(1);
    assert_eq!(
        world.request(&old).verdict().await.unwrap(),
        Verdict::Superseded
    );
    assert!(matches!(
        world.request(&old).insert("n", &8).await,
        Err(SessionError::Superseded)
    ));
    world.pass(60);
    world.events();
    assert_eq!(
        world.request(&old).verdict().await.unwrap(),
        Verdict::Unknown
    );
    assert!(world.events().contains(&EventKind::ReuseSuspected));
    assert_eq!(world.who(&mut new).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn reuse_of_an_old_secret_ends_the_session_if_the_application_wishes() {
    let world = World::with(|it| it.on_reuse(ReusePolicy::EndSession));
    let mut old = Jar::default();
    world.sign_in(&mut old, "alice").await;
    world.who(&mut old).await;
    let mut new = renew(&world, &old).await;
    world.who(&mut new).await;
    world.pass(91);
    assert_eq!(world.who(&mut old).await, None);
    assert_eq!(world.who(&mut new).await, None);
}

/// The answer to a renewal is lost, again and again: nobody is signed out.
#[tokio::test]
async fn lost_answers_to_renewals_sign_nobody_out() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    for _ in 0..20 {
        renew(&world, &jar).await;
        world.pass(120);
        assert_eq!(world.who(&mut jar.clone()).await.as_deref(), Some("alice"));
    }
}

/// Two explicit renewals at once, their answers in either order: the client stays signed in.
#[tokio::test]
async fn answers_of_two_renewals_in_either_order_sign_nobody_out() {
    for late in [0, 1] {
        let world = World::new();
        let mut jar = Jar::default();
        world.sign_in(&mut jar, "alice").await;
        world.who(&mut jar).await;
        let mut answers = [renew(&world, &jar).await, renew(&world, &jar).await];
        assert_eq!(
            world.who(&mut answers[1 - late]).await.as_deref(),
            Some("alice")
        );
        world.pass(5);
        for _ in 0..10 {
            let who = world.who(&mut answers[late]).await;
            assert_eq!(who.as_deref(), Some("alice"), "{late}");
            world.pass(60);
        }
    }
}

/// The client sent one request with the first answer's cookie, and then took in the second one's; the
/// server sees the first later.
#[tokio::test]
async fn a_cookie_seen_late_does_not_sign_out_the_one_that_followed_it() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    let (mut first, mut second) = (renew(&world, &jar).await, renew(&world, &jar).await);
    world.who(&mut second).await;
    assert_eq!(world.who(&mut first).await.as_deref(), Some("alice"));
    world.pass(120);
    assert_eq!(world.who(&mut second).await.as_deref(), Some("alice"));
    // The next renewal ends whichever the client did not keep.
    let mut third = renew(&world, &second).await;
    world.who(&mut third).await;
    world.pass(30);
    assert_eq!(world.who(&mut first).await, None);
    assert_eq!(world.who(&mut third).await.as_deref(), Some("alice"));
}

/// SECURITY 27: a renewal names the secret that it replaces; one that comes too late is a conflict, and
/// no overlap can be stretched.
#[tokio::test]
async fn a_former_secret_renews_nothing() {
    let world = World::new();
    let mut old = Jar::default();
    world.sign_in(&mut old, "alice").await;
    world.who(&mut old).await;
    let mut new = renew(&world, &old).await;
    world.who(&mut new).await;
    let session = world.request(&old);
    assert!(matches!(session.renew().await, Err(SessionError::Conflict)));
    assert!(matches!(
        session.commit(HandlerOutcome::Answered).await.cookie,
        CookieAction::Keep
    ));
}

fn every_minute() -> World {
    let timeouts = Timeouts::default().with_renewal(Duration::from_secs(60));
    World::with(|it| it.timeouts(timeouts))
}

/// SECURITY 30: an automatic renewal at the interval, for signed-in sessions, once among many requests.
#[tokio::test]
async fn a_signed_in_session_is_renewed_once_at_the_interval() {
    let world = every_minute();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    world.pass(60);
    let mut cookies = 0;
    for _ in 0..10 {
        let session = world.request(&jar);
        session.subject().await.unwrap();
        let commit = session.commit(HandlerOutcome::Answered).await;
        cookies += usize::from(matches!(commit.cookie, CookieAction::Set { .. }));
    }
    assert_eq!(
        cookies, 1,
        "none while one less than a minute old waits to be presented"
    );
}

#[tokio::test]
async fn an_anonymous_session_and_a_prefetch_are_never_renewed_automatically() {
    let world = every_minute();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.pass(120);
    let commit = world.write(&mut jar, "n", 2).await;
    assert!(matches!(commit.cookie, CookieAction::Keep));

    world.sign_in(&mut jar, "alice").await;
    world.who(&mut jar).await;
    world.pass(120);
    let text = jar.0.clone().unwrap();
    let presented = Presented::read(&TokenFormat::default(), [text.as_bytes()]).as_prefetch(true);
    let session = world.sessions.open(presented);
    session.subject().await.unwrap();
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::Keep));
}

#[tokio::test]
async fn a_secret_that_was_good_when_the_request_arrived_stays_good_for_it() {
    let world = World::new();
    let mut old = Jar::default();
    world.sign_in(&mut old, "alice").await;
    world.who(&mut old).await;
    let slow = world.request(&old);
    let mut new = renew(&world, &old).await;
    world.who(&mut new).await;
    world.pass(45);
    assert_eq!(slow.subject().await.unwrap().as_deref(), Some("alice"));
    assert_eq!(world.who(&mut old).await, None);
}

/// SECURITY 23: renewing moves neither creation nor deadline.
#[tokio::test]
async fn a_renewal_moves_no_deadline() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let before = world.request(&jar).record().await.unwrap().unwrap();
    world.pass(100);
    let jar = renew(&world, &jar).await;
    let after = world.request(&jar).record().await.unwrap().unwrap();
    assert_eq!(
        (before.created_at(), before.deadline()),
        (after.created_at(), after.deadline())
    );
}
