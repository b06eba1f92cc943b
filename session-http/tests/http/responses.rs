//! What responses carry.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use session_core::{CommitOutcome, Sessions};
use session_http::Transport;

use crate::unreachable::Unreachable;
use crate::world::{World, get, nothing, own, read, sign_in, with_token, write};

fn headers<const N: usize>(headers: [(http::HeaderName, &'static str); N]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value.parse().unwrap());
    }
    map
}

/// SECURITY 20
#[tokio::test]
async fn a_response_whose_handler_did_not_use_the_session_is_left_alone() {
    let world = World::new();
    let token = world.visitor().await;
    for request in [get(), with_token(&token), with_token("junk")] {
        let before = headers([(CACHE_CONTROL, "public, max-age=60")]);
        let done = world.play_onto(before.clone(), request, nothing).await;
        assert_eq!(done.headers, before);
    }
}

/// SECURITY 20
#[tokio::test]
async fn a_read_without_a_session_makes_none() {
    let world = World::new();
    let done = world.play(get(), read).await;
    assert_eq!(done.set_cookies(), [""; 0]);
    assert_eq!(done.session.id().await.unwrap(), None);
}

/// SECURITY 17
#[tokio::test]
async fn whatever_sets_or_removes_a_cookie_is_stored_by_no_cache() {
    let world = World::new();
    let public = || headers([(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=60")]);
    let done = world.play_onto(public(), get(), write).await;
    assert_eq!(done.headers.get_all(CACHE_CONTROL).iter().count(), 1);
    assert_eq!(done.cache_control(), Some("no-store"));
    assert_eq!(done.vary(), ["cookie"]);

    let done = world
        .play_onto(public(), with_token(&done.token()), async |session| {
            session.destroy().await.unwrap();
        })
        .await;
    assert_eq!(done.set_cookies().len(), 1);
    assert_eq!(done.cache_control(), Some("no-store"));

    let request = with_token("junk").header("sec-fetch-mode", "navigate");
    let done = world.play_onto(public(), request, read).await;
    assert_eq!(done.set_cookies().len(), 1);
    assert_eq!(done.cache_control(), Some("no-store"));
}

/// SECURITY 17
#[tokio::test]
async fn what_was_read_from_a_session_is_private_and_from_a_signed_in_one_not_stored() {
    let world = World::new();
    let visitor = world.visitor().await;
    let done = world.play(with_token(&visitor), read).await;
    assert_eq!(done.cache_control(), Some("private"));
    assert_eq!(done.vary(), ["cookie"]);

    let user = world.signed_in("alice").await;
    let done = world.play(with_token(&user), read).await;
    assert_eq!(done.cache_control(), Some("no-store"));
    assert_eq!(done.vary(), ["cookie"]);
}

/// SECURITY 17
#[tokio::test]
async fn what_was_read_before_the_session_ended_is_not_stored_either() {
    let world = World::new();
    let user = world.signed_in("alice").await;
    let done = world
        .play(with_token(&user), async |session| {
            assert!(session.subject().await.unwrap().is_some());
            let other = with_token(&user);
            world
                .play(other, async |session| session.destroy().await.unwrap())
                .await;
            write(session).await;
        })
        .await;
    assert!(matches!(done.commit.outcome, CommitOutcome::Ended));
    assert_eq!(done.set_cookies(), [""; 0]);
    assert_eq!(done.cache_control(), Some("no-store"));
}

#[tokio::test]
async fn what_the_application_says_about_caching_stands_unless_a_token_is_sent() {
    let world = World::new();
    let user = world.signed_in("alice").await;
    let before = headers([(CACHE_CONTROL, "private, max-age=60")]);
    let done = world.play_onto(before, with_token(&user), read).await;
    assert_eq!(done.cache_control(), Some("private, max-age=60"));
}

#[tokio::test]
async fn vary_names_the_cookie_once() {
    let world = World::new();
    for vary in ["Cookie", "accept, COOKIE", "*"] {
        let done = world.play_onto(headers([(VARY, vary)]), get(), read).await;
        assert_eq!(done.vary(), [vary]);
    }
    let done = world
        .play_onto(headers([(VARY, "accept, x-cookie")]), get(), read)
        .await;
    assert_eq!(done.vary(), ["accept, x-cookie", "cookie"]);
}

#[tokio::test]
async fn the_applications_own_cookies_stay() {
    let world = World::new();
    let before = headers([(SET_COOKIE, "theme=dark")]);
    let done = world.play_onto(before, get(), write).await;
    assert_eq!(done.set_cookies().len(), 2);
    assert_eq!(done.set_cookies()[0], "theme=dark");
}

#[tokio::test]
async fn an_unknown_token_is_removed_for_a_navigation_that_is_no_prefetch() {
    let world = World::new();
    let unknown = || with_token("junk");
    let removed = async |request| !world.play(request, read).await.set_cookies().is_empty();
    assert!(removed(unknown().header("sec-fetch-mode", "navigate")).await);
    assert!(!removed(unknown()).await);
    assert!(!removed(unknown().header("sec-fetch-mode", "cors")).await);
    let prefetch = unknown()
        .header("sec-fetch-mode", "navigate")
        .header("sec-purpose", "prefetch");
    assert!(!removed(prefetch).await);
}

/// SECURITY 25
#[tokio::test]
async fn a_superseded_token_gets_no_cookie_of_any_kind_but_by_a_sign_in() {
    let world = World::new();
    let token = world.visitor().await;
    world
        .play(with_token(&token), async |session| {
            session.destroy().await.unwrap();
        })
        .await;
    let late = || with_token(&token).header("sec-fetch-mode", "navigate");
    assert_eq!(world.play(late(), read).await.set_cookies(), [""; 0]);
    let done = world
        .play(late(), async |session| {
            session.insert("n", &1).await.unwrap_err();
        })
        .await;
    assert_eq!(done.set_cookies(), [""; 0]);

    let request = own().header("cookie", format!("__Host-id={token}"));
    let done = world
        .play(request, async |session| {
            sign_in(&world.sessions, session, "alice").await;
        })
        .await;
    assert_eq!(done.set_cookies().len(), 1);
}

/// SECURITY 35
#[tokio::test]
async fn a_cookie_replayed_after_sign_out_is_nobody() {
    let world = World::new();
    let token = world.signed_in("alice").await;
    world
        .play(with_token(&token), async |session| {
            session.destroy().await.unwrap();
        })
        .await;
    for seconds in [0, 61, 3600] {
        world.pass(seconds);
        let done = world.play(with_token(&token), read).await;
        assert_eq!(done.session.subject().await.unwrap(), None);
        assert_eq!(done.session.id().await.unwrap(), None);
    }
}

/// SECURITY 46
#[tokio::test]
async fn a_sign_out_asks_the_browser_to_forget_if_the_application_wants_that() {
    for (wanted, expected) in [(true, Some(r#""cache", "storage""#)), (false, None)] {
        let world = World::with(Transport::new().with_clear_site_data(wanted));
        let token = world.signed_in("alice").await;
        let done = world.play(with_token(&token), read).await;
        assert_eq!(done.headers.get("clear-site-data"), None);
        let done = world
            .play(with_token(&token), async |session| {
                session.destroy().await.unwrap();
            })
            .await;
        let cleared = done.headers.get("clear-site-data");
        assert_eq!(cleared.map(|value| value.to_str().unwrap()), expected);
    }
}

/// SECURITY 42
#[tokio::test]
async fn a_store_out_of_reach_changes_no_cookie_and_what_came_of_it_is_not_shared() {
    let mut world = World::new();
    let token = world.visitor().await;
    world.sessions = Sessions::new(Unreachable::new());
    let request = with_token(&token).header("sec-fetch-mode", "navigate");
    let done = world
        .play(request, async |session| {
            session.get::<u32>("n").await.unwrap_err();
            session.insert("n", &2).await.unwrap_err();
        })
        .await;
    assert_eq!(done.set_cookies(), [""; 0]);
    assert_eq!(done.cache_control(), Some("private"));
    assert_eq!(done.vary(), ["cookie"]);
}
