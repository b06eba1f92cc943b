//! Tokens in a header.

use http::{HeaderValue, request};
use session_core::Verdict;
use session_http::{HeaderCarrier, Transport};

use crate::world::{World, get, read, sign_in, write};

fn bearer() -> World {
    let header = HeaderCarrier::bearer("session-token").unwrap();
    World::with(Transport::new().with_header(header))
}

fn named() -> World {
    let header = HeaderCarrier::named("Session-Token").unwrap();
    World::with(Transport::new().with_header(header))
}

fn with_bearer(token: &str) -> request::Builder {
    get().header("authorization", format!("Bearer {token}"))
}

#[tokio::test]
async fn an_empty_header_asks_for_the_answer_by_header() {
    for (world, request) in [
        (bearer(), get().header("authorization", "Bearer")),
        (bearer(), get().header("authorization", "bearer ")),
        (named(), get().header("session-token", "")),
    ] {
        let done = world
            .play(request, async |session| {
                assert_eq!(session.verdict().await.unwrap(), Verdict::None);
                write(session).await;
            })
            .await;
        assert_eq!(done.set_cookies(), [""; 0]);
        let token = &done.headers["session-token"];
        assert!(token.is_sensitive());
        assert_eq!(token.len(), 43);
        assert_eq!(done.cache_control(), Some("no-store"));
    }
}

#[tokio::test]
async fn a_token_in_the_header_opens_its_session_and_is_renewed_by_header() {
    let world = bearer();
    let done = world.play(with_bearer(""), write).await;
    let token = done.headers["session-token"].to_str().unwrap().to_owned();
    let done = world
        .play(with_bearer(&token), async |session| {
            assert_eq!(session.get::<u32>("n").await.unwrap(), Some(1));
            session.renew().await.unwrap();
        })
        .await;
    let renewed = done.headers["session-token"].to_str().unwrap();
    assert_ne!(renewed, token);
    let done = world.play(with_bearer(renewed), read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::Accepted);
    assert_eq!(done.vary(), ["cookie", "authorization"]);
}

#[tokio::test]
async fn the_end_of_a_session_is_told_by_an_empty_header() {
    let world = named();
    let done = world.play(get().header("session-token", ""), write).await;
    let token = done.headers["session-token"].clone();
    let done = world
        .play(get().header("session-token", token), async |session| {
            session.destroy().await.unwrap();
        })
        .await;
    assert_eq!(done.headers["session-token"], "");
    assert_eq!(done.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn a_header_wins_over_cookies_even_with_a_token_that_is_unknown() {
    let world = bearer();
    let token = world.visitor().await;
    let request = with_bearer("junk").header("cookie", format!("__Host-id={token}"));
    let done = world.play(request, read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::Unknown);
}

#[tokio::test]
async fn a_header_of_another_scheme_leaves_the_cookie_to_speak() {
    let world = bearer();
    let token = world.visitor().await;
    for other in ["Basic dXNlcjpwYXNz", "Bearertoken", "Bear", ""] {
        let request = get()
            .header("authorization", other)
            .header("cookie", format!("__Host-id={token}"));
        let done = world.play(request, read).await;
        assert_eq!(
            done.session.verdict().await.unwrap(),
            Verdict::Accepted,
            "{other}"
        );
    }
}

#[tokio::test]
async fn without_a_carrier_for_it_the_header_means_nothing() {
    let world = World::new();
    let token = world.visitor().await;
    let done = world.play(with_bearer(&token), read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::None);
}

#[tokio::test]
async fn bytes_that_are_no_token_are_unknown() {
    let world = named();
    for value in [b"\xff\xfe".as_slice(), b"a b", &[b'A'; 5000]] {
        let request = get().header("session-token", HeaderValue::from_bytes(value).unwrap());
        let done = world.play(request, read).await;
        assert_eq!(done.session.verdict().await.unwrap(), Verdict::Unknown);
    }
}

#[tokio::test]
async fn a_request_by_header_may_sign_in_because_no_browser_sends_one_by_itself() {
    let world = bearer();
    let request = with_bearer("").header("sec-fetch-site", "cross-site");
    let done = world
        .play(request, async |session| {
            sign_in(&world.sessions, session, "alice").await;
        })
        .await;
    assert_eq!(done.headers["session-token"].len(), 43);
}

#[test]
fn names_that_mean_something_else_carry_no_token() {
    for name in [
        "",
        "a b",
        "set-cookie",
        "Cookie",
        "authorization",
        "host",
        "sec-fetch-site",
        "vary",
    ] {
        assert!(HeaderCarrier::named(name).is_err(), "{name}");
        assert!(HeaderCarrier::bearer(name).is_err(), "{name}");
    }
}
