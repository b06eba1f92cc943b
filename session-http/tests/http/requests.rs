//! What is read from requests.

use http::HeaderValue;
use proptest::prelude::{any, prop, proptest};
use session_core::{
    Keep, SessionId, SessionSecret, SessionToken, Sessions, Shard, SignIn, Subject, Verdict,
};
use session_http::RequestHead;

use crate::unreachable::Unreachable;
use crate::world::{World, get, nothing, own, read, sign_in, with_token, write};

fn forged(world: &World) -> String {
    world.sessions.encode(&SessionToken {
        id: SessionId::generate(Shard::random()),
        secret: SessionSecret::generate(),
    })
}

/// SECURITY 4
#[tokio::test]
async fn a_token_that_was_never_issued_is_never_adopted() {
    let world = World::new();
    let invented = forged(&world);
    let done = world.play(with_token(&invented), write).await;
    let id = done.session.id().await.unwrap().unwrap();
    let given = done.token();
    assert_ne!(given, invented);
    let done = world.play(with_token(&given), read).await;
    assert_eq!(done.session.id().await.unwrap(), Some(id));
    let done = world.play(with_token(&invented), read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::Unknown);
}

/// SECURITY 5
#[tokio::test]
async fn hostile_values_are_no_tokens_and_never_reach_the_store() {
    let mut world = World::new();
    world.sessions = Sessions::new(Unreachable::new());
    let long = "A".repeat(10_000);
    let values: [&[u8]; 10] = [
        b"",
        b"*",
        b"'",
        b"{}",
        b"\x80\xff",
        "ä".as_bytes(),
        b"\"",
        long.as_bytes(),
        b"../../x",
        b"a=b",
    ];
    for value in values {
        let header = [b"__Host-id=", value].concat();
        let request = get().header("cookie", HeaderValue::from_bytes(&header).unwrap());
        let request = request.body(()).unwrap();
        let exchange = world
            .transport
            .read(&world.sessions, RequestHead::from(&request));
        let session = exchange.open(&world.sessions);
        assert_eq!(
            session.verdict().await.unwrap(),
            Verdict::Unknown,
            "{value:?}"
        );
    }
}

/// SECURITY 6
#[tokio::test]
async fn a_token_in_the_url_is_ignored() {
    let world = World::new();
    let token = world.visitor().await;
    let url = format!("https://example.com/;__Host-id={token}?__Host-id={token}&id={token}");
    let done = world.play(http::Request::get(url), read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::None);
}

/// SECURITY 14
#[tokio::test]
async fn all_cookie_headers_are_read() {
    let world = World::new();
    let token = world.visitor().await;
    let request = get()
        .header("cookie", "theme=dark")
        .header("cookie", format!("__Host-id={token}"))
        .header("cookie", "lang=en");
    let done = world.play(request, read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::Accepted);
}

/// SECURITY 15
#[tokio::test]
async fn several_cookies_of_one_name_are_tried_in_whatever_order() {
    let world = World::new();
    let token = world.visitor().await;
    let invented = forged(&world);
    let orders = [
        format!("__Host-id={token}; __Host-id={invented}; __Host-id=junk"),
        format!("__Host-id={invented}; __Host-id=junk; __Host-id={token}"),
        format!("__Host-id=junk; a=b;__Host-id=\"{token}\" ;__Host-id={invented}"),
    ];
    for order in orders {
        let done = world.play(get().header("cookie", &order), read).await;
        assert_eq!(
            done.session.verdict().await.unwrap(),
            Verdict::Accepted,
            "{order}"
        );
        assert_eq!(done.set_cookies(), [""; 0]);
    }
}

/// SECURITY 15
#[tokio::test]
async fn of_two_sessions_the_latest_signed_in_wins_in_either_order() {
    let world = World::new();
    let older = world.signed_in("alice").await;
    world.pass(1);
    let newer = world.signed_in("bob").await;
    world.pass(1);
    let visitor = world.visitor().await;
    for order in [[&older, &newer, &visitor], [&visitor, &newer, &older]] {
        let cookies = order.map(|token| format!("__Host-id={token}")).join("; ");
        let done = world.play(get().header("cookie", cookies), read).await;
        assert_eq!(
            done.session.subject().await.unwrap().as_deref(),
            Some("bob")
        );
    }
}

/// SECURITY 15
#[tokio::test]
async fn eight_well_formed_tokens_are_tried_and_no_more_whatever_junk_is_between() {
    let world = World::new();
    let token = world.visitor().await;
    let nth = |n: usize| {
        let mut cookies = Vec::new();
        for at in 1..=9 {
            cookies.push("__Host-id=junk".to_owned());
            let token = if at == n {
                token.clone()
            } else {
                forged(&world)
            };
            cookies.push(format!("__Host-id={token}"));
        }
        get().header("cookie", cookies.join("; "))
    };
    let verdict = async |n| {
        let done = world.play(nth(n), read).await;
        done.session.verdict().await.unwrap()
    };
    assert_eq!(verdict(8).await, Verdict::Accepted);
    assert_eq!(verdict(9).await, Verdict::Unknown);
}

#[tokio::test]
async fn names_are_compared_exactly() {
    let world = World::new();
    let token = world.visitor().await;
    for name in ["__host-id", "__Host-id2", "id", "x__Host-id"] {
        let done = world
            .play(get().header("cookie", format!("{name}={token}")), read)
            .await;
        assert_eq!(
            done.session.verdict().await.unwrap(),
            Verdict::None,
            "{name}"
        );
    }
}

#[tokio::test]
async fn other_bytes_in_the_header_hide_no_cookie() {
    let world = World::new();
    let token = world.visitor().await;
    let mut header = b"bad=\xff\xfe; =; ;; \t; __Host-id=".to_vec();
    header.extend(token.as_bytes());
    header.extend(b"; \x80=1");
    let request = get().header("cookie", HeaderValue::from_bytes(&header).unwrap());
    let done = world.play(request, read).await;
    assert_eq!(done.session.verdict().await.unwrap(), Verdict::Accepted);
}

#[tokio::test]
async fn a_prefetch_renews_nothing() {
    let world = World::new();
    let token = world.signed_in("alice").await;
    world.play(with_token(&token), read).await;
    world.pass(16 * 60);
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "Prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let request = with_token(&token).header(name, value);
        assert_eq!(
            world.play(request, read).await.set_cookies(),
            [""; 0],
            "{value}"
        );
    }
    assert_eq!(
        world
            .play(with_token(&token), read)
            .await
            .set_cookies()
            .len(),
        1
    );
}

/// SECURITY 22
#[tokio::test]
async fn a_session_planted_before_a_sign_in_is_worth_nothing_after_it() {
    let world = World::new();
    let planted = world.visitor().await;
    let request = own().header("cookie", format!("__Host-id={planted}"));
    let done = world
        .play(request, async |session| {
            sign_in(&world.sessions, session, "victim").await;
        })
        .await;
    let given = done.token();
    assert_ne!(given, planted);
    // Before the victim's browser first shows the new cookie, and after.
    let subject = async |token: &str| {
        let done = world.play(with_token(token), read).await;
        done.session.subject().await.unwrap()
    };
    assert_eq!(subject(&planted).await, None);
    assert_eq!(subject(&given).await.as_deref(), Some("victim"));
    assert_eq!(subject(&planted).await, None);
}

/// SECURITY 45
#[tokio::test]
async fn the_csrf_token_is_the_sessions_own_and_new_with_each_sign_in() {
    let world = World::new();
    let token = world.signed_in("alice").await;
    let csrf = async |token: &str| {
        let done = world.play(with_token(token), read).await;
        done.session.csrf_token().await.unwrap()
    };
    let first = csrf(&token).await;
    assert_eq!(csrf(&token).await, first);
    let request = own().header("cookie", format!("__Host-id={token}"));
    let done = world
        .play(request, async |session| {
            let subject = Subject::new("alice").unwrap();
            let ticket = world.sessions.begin_sign_in(&subject).await.unwrap();
            let sign_in = SignIn::new(ticket).keep(Keep::All);
            session.sign_in(sign_in).await.unwrap();
            assert!(!session.is_csrf_token(&first).await.unwrap());
        })
        .await;
    assert_ne!(csrf(&done.token()).await, first);
}

#[tokio::test]
async fn a_request_that_does_not_use_the_session_has_no_verdict_to_pay_for() {
    let world = World::new();
    let done = world.play(with_token("junk"), nothing).await;
    assert!(!done.commit.was_used);
    assert!(done.headers.is_empty());
}

proptest! {
    #[test]
    fn no_cookie_header_makes_reading_fail(
        headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
    ) {
        let world = World::new();
        let mut request = get();
        for header in headers {
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                request = request.header("cookie", value);
            }
        }
        let request = request.body(()).unwrap();
        let exchange = world.transport.read(&world.sessions, RequestHead::from(&request));
        let _ = exchange.open(&world.sessions);
    }
}
