use session_core::{
    CommitOutcome, CookieAction, EventKind, HandlerOutcome, Presented, SessionError, SessionId,
    SessionSecret, SessionToken, Shard, TokenFormat, Verdict,
};

use crate::scripted::{Fault, Verb};
use crate::support::{Jar, World};

fn invented() -> SessionToken {
    let id = SessionId::generate(Shard::random());
    SessionToken {
        id,
        secret: SessionSecret::generate(),
    }
}

/// SECURITY 20: a request that does not use its session costs no call and sets no cookie.
#[tokio::test]
async fn a_session_that_is_not_used_is_not_loaded() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.store.calls();
    let session = world.request(&jar);
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::Keep) && !commit.was_used);
    assert_eq!(world.store.calls(), []);
}

#[tokio::test]
async fn a_session_that_is_only_read_is_loaded_once_and_not_written() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.store.calls();
    assert_eq!(world.read(&mut jar, "n").await, Some(1));
    assert_eq!(world.store.calls(), [Verb::Load]);
}

/// SECURITY 4: an id that the server never issued is not adopted.
#[tokio::test]
async fn an_invented_token_gives_an_empty_session_and_a_write_makes_a_new_id() {
    let world = World::new();
    let token = invented();
    let mut jar = Jar(Some(world.sessions.encode(&token)));
    let session = world.request(&jar);
    assert_eq!(session.verdict().await.unwrap(), Verdict::Unknown);
    session.insert("n", &1).await.unwrap();
    let commit = jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    let CookieAction::Set { token: set, .. } = commit.cookie else {
        panic!("no cookie")
    };
    assert_ne!(set.id, token.id);
    assert_eq!(world.read(&mut jar, "n").await, Some(1));
    assert_eq!(
        world.events(),
        [EventKind::UnknownToken, EventKind::Created]
    );
}

/// SECURITY 5: what is no token never reaches a store.
#[tokio::test]
async fn a_malformed_token_never_reaches_the_store() {
    let world = World::new();
    let long = "A".repeat(10_000);
    for text in [
        "",
        "x",
        "'; --",
        "a\0b",
        "\r\n",
        "*",
        "{}",
        "ü",
        long.as_str(),
    ] {
        let session = world.request(&Jar(Some(text.to_owned())));
        assert_eq!(
            session.verdict().await.unwrap(),
            Verdict::Unknown,
            "{text:?}"
        );
    }
    assert_eq!(world.store.calls(), []);
}

#[tokio::test]
async fn a_token_has_exactly_one_spelling() {
    let format = TokenFormat::default();
    let text = format.encode(&invented());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = |byte: &u8| [&text.as_bytes()[..42], &[*byte]].concat();
    let accepted = alphabet
        .iter()
        .filter(|byte| format.decode(&last(byte)).is_some())
        .count();
    assert_eq!(accepted, 16, "the two trailing bits must be zero");
    assert!(format.decode(format!("{text}=").as_bytes()).is_none());
}

#[tokio::test]
async fn a_token_with_a_mac_cannot_be_invented() {
    let format = TokenFormat::with_mac(&[1; 32]);
    let text = format.encode(&invented());
    assert!(format.decode(text.as_bytes()).is_some());
    assert!(
        TokenFormat::with_mac(&[2; 32])
            .decode(text.as_bytes())
            .is_none()
    );
    assert!(TokenFormat::default().decode(text.as_bytes()).is_none());
    assert!(
        format
            .decode(TokenFormat::default().encode(&invented()).as_bytes())
            .is_none()
    );
}

/// SECURITY 42: a store that cannot be reached is not an empty session.
#[tokio::test]
async fn a_store_out_of_reach_is_an_error_and_no_cookie() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    world.store.fail(Verb::Load, Fault::OutOfReach);
    assert!(matches!(
        session.insert("n", &2).await,
        Err(SessionError::Store(_))
    ));
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::Keep));
    assert_eq!(world.read(&mut jar, "n").await, Some(1));
}

/// SECURITY 44: damaged data is an error, or, by choice, a new session; never a part of one.
#[tokio::test]
async fn a_corrupt_record_is_an_error_or_by_choice_a_new_session() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.store.fail(Verb::Load, Fault::Corrupt);
    assert!(matches!(
        world.request(&jar).id().await,
        Err(SessionError::Store(_))
    ));

    let world = World::with(|it| it.on_corrupt(session_core::CorruptPolicy::StartAnew));
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    world.store.fail(Verb::Load, Fault::Corrupt);
    assert_eq!(
        world.request(&jar).verdict().await.unwrap(),
        Verdict::Unknown
    );
}

/// SECURITY 15: of several tokens every one is tried, in any order, up to eight.
#[tokio::test]
async fn of_several_sessions_the_latest_signed_in_wins_in_any_order() {
    let world = World::new();
    let (mut anonymous, mut old, mut new) = <(Jar, Jar, Jar)>::default();
    world.sign_in(&mut old, "alice").await;
    world.pass(1);
    world.sign_in(&mut new, "bob").await;
    world.pass(1);
    world.write(&mut anonymous, "n", 1).await;
    let texts = [&anonymous, &old, &new].map(|jar| jar.0.clone().unwrap());
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let texts = order.map(|index| texts[index].as_bytes());
        let presented = Presented::read(&TokenFormat::default(), texts);
        let session = world.sessions.open(presented);
        assert_eq!(
            session.subject().await.unwrap().as_deref(),
            Some("bob"),
            "{order:?}"
        );
        assert!(world.events().contains(&EventKind::ConflictingTokens));
    }
}

#[tokio::test]
async fn a_token_that_is_repeated_is_tried_once_and_hides_no_other() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let (repeated, real) = (world.sessions.encode(&invented()), jar.0.unwrap());
    let texts = [&repeated; 20]
        .into_iter()
        .chain([&real])
        .map(|text| text.as_bytes());
    let session = world
        .sessions
        .open(Presented::read(&TokenFormat::default(), texts));
    assert_eq!(session.get::<u32>("n").await.unwrap(), Some(1));
}

#[tokio::test]
async fn at_most_eight_tokens_are_tried() {
    let world = World::new();
    let texts: Vec<_> = (0..50)
        .map(|_| world.sessions.encode(&invented()))
        .collect();
    let texts = texts.iter().map(String::as_bytes);
    let session = world
        .sessions
        .open(Presented::read(&TokenFormat::default(), texts));
    assert_eq!(session.id().await.unwrap(), None);
    assert_eq!(world.store.calls().len(), 8);
}

/// SECURITY 35: a cookie of a session that was signed out is worth nothing, and for a minute sets none.
#[tokio::test]
async fn the_cookie_of_an_ended_session_is_superseded_for_a_minute_then_unknown() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let stolen = jar.clone();
    let session = world.request(&jar);
    session.destroy().await.unwrap();
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_eq!(jar.0, None);

    world.pass(59);
    let late = world.request(&stolen);
    assert_eq!(late.verdict().await.unwrap(), Verdict::Superseded);
    assert_eq!(late.subject().await.unwrap(), None);
    assert!(matches!(
        late.insert("n", &1).await,
        Err(SessionError::Superseded)
    ));
    assert!(matches!(
        late.commit(HandlerOutcome::Answered).await.cookie,
        CookieAction::Keep
    ));

    world.pass(2);
    let later = world.request(&stolen);
    assert_eq!(later.verdict().await.unwrap(), Verdict::Unknown);
    let commit = later.commit(HandlerOutcome::Answered).await;
    assert!(matches!(commit.cookie, CookieAction::RemoveUnknown));
}

/// SECURITY 28, 29: idle and absolute timeouts are honoured at read, to the millisecond.
#[tokio::test]
async fn an_expired_session_is_unknown_at_the_very_millisecond() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let idle = session_core::Timeouts::default().idle().unwrap();
    world
        .clock
        .advance(idle - std::time::Duration::from_millis(1));
    assert_eq!(world.request(&jar).get::<u32>("n").await.unwrap(), Some(1));
    world.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(
        world.request(&jar).verdict().await.unwrap(),
        Verdict::Unknown
    );
}

#[tokio::test]
async fn a_commit_without_anything_to_do_is_done() {
    let world = World::new();
    let commit = world
        .request(&Jar::default())
        .commit(HandlerOutcome::Answered)
        .await;
    assert!(matches!(commit.outcome, CommitOutcome::Done));
}
