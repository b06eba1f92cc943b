//! How cookies are built, and what `Set-Cookie` says.

use session_core::Timeouts;
use session_http::{CookieLifetime, CookieOptions, InvalidCookie, SameSite, SessionCookie};
use std::time::Duration;

use crate::world::{World, get, own, sign_in, with_token, write};

fn refused(options: CookieOptions) -> InvalidCookie {
    options.build().unwrap_err()
}

/// SECURITY 8
#[tokio::test]
async fn the_default_cookie_is_host_bound_secure_http_only_and_lax() {
    let world = World::new();
    let done = world.play(get(), write).await;
    let token = done.token();
    assert_eq!(token.len(), 43);
    assert_eq!(
        done.set_cookies(),
        [format!(
            "__Host-id={token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200"
        )]
    );
}

#[test]
fn the_default_cookie_is_what_the_options_build() {
    assert_eq!(
        CookieOptions::new().build().unwrap(),
        SessionCookie::default()
    );
}

#[tokio::test]
async fn every_attribute_can_be_chosen() {
    let world = World::with_cookie(
        CookieOptions::new()
            .with_name("sid")
            .with_path("/app")
            .with_domain("Example.COM")
            .with_http_only(false)
            .with_same_site(SameSite::None)
            .with_partitioned(true)
            .with_lifetime(CookieLifetime::UntilDeadlineWithExpires),
    );
    let done = world.play(get(), write).await;
    let token = done.token();
    assert_eq!(
        done.set_cookies(),
        [format!(
            "sid={token}; Path=/app; Domain=example.com; Secure; SameSite=None; Partitioned; \
             Max-Age=43200; Expires=Wed, 18 May 2033 15:33:20 GMT"
        )]
    );
}

#[tokio::test]
async fn a_cookie_for_plain_http_and_one_browser_session() {
    let world = World::with_cookie(
        CookieOptions::new()
            .with_name("id")
            .with_secure(false)
            .with_same_site(SameSite::Strict)
            .with_lifetime(CookieLifetime::BrowserSession),
    );
    let done = world.play(get(), write).await;
    let token = done.token();
    assert_eq!(
        done.set_cookies(),
        [format!("id={token}; Path=/; HttpOnly; SameSite=Strict")]
    );
}

/// SECURITY 9
#[test]
fn a_host_prefix_refuses_a_domain_another_path_and_plain_http_in_any_case() {
    for name in ["__Host-id", "__HOST-id", "__host-id"] {
        let cookie = CookieOptions::new().with_name(name);
        assert_eq!(
            refused(cookie.clone().with_domain("example.com")),
            InvalidCookie::PrefixForbidsDomain(name.into())
        );
        assert_eq!(
            refused(cookie.clone().with_path("/app")),
            InvalidCookie::PrefixNeedsRootPath(name.into())
        );
        assert_eq!(
            refused(cookie.with_secure(false)),
            InvalidCookie::PrefixNeedsSecure(name.into())
        );
    }
}

/// SECURITY 9
#[test]
fn a_secure_prefix_refuses_plain_http_in_any_case() {
    for name in ["__Secure-id", "__sEcUrE-id"] {
        let cookie = CookieOptions::new().with_name(name).with_path("/app");
        assert!(cookie.clone().with_domain("example.com").build().is_ok());
        assert_eq!(
            refused(cookie.with_secure(false)),
            InvalidCookie::PrefixNeedsSecure(name.into())
        );
    }
}

/// SECURITY 10
#[test]
fn same_site_none_and_partitioned_refuse_plain_http() {
    let plain = CookieOptions::new().with_name("id").with_secure(false);
    assert_eq!(
        refused(plain.clone().with_same_site(SameSite::None)),
        InvalidCookie::SameSiteNoneNeedsSecure
    );
    assert_eq!(
        refused(plain.with_partitioned(true)),
        InvalidCookie::PartitionedNeedsSecure
    );
}

/// SECURITY 11
#[test]
fn http_prefixes_need_secure_and_http_only_and_one_the_host_too() {
    for name in ["__Http-id", "__HTTP-id", "__Host-Http-id", "__host-HTTP-id"] {
        let cookie = CookieOptions::new().with_name(name);
        assert!(cookie.clone().build().is_ok(), "{name}");
        assert_eq!(
            refused(cookie.clone().with_http_only(false)),
            InvalidCookie::PrefixNeedsHttpOnly(name.into())
        );
        assert_eq!(
            refused(cookie.with_secure(false)),
            InvalidCookie::PrefixNeedsSecure(name.into())
        );
    }
    let with_domain = |name| {
        CookieOptions::new()
            .with_name(name)
            .with_domain("a.example")
    };
    assert!(with_domain("__Http-id").build().is_ok());
    assert_eq!(
        refused(with_domain("__Host-Http-id")),
        InvalidCookie::PrefixForbidsDomain("__Host-Http-id".into())
    );
}

/// SECURITY 12
#[test]
fn what_a_browser_would_drop_is_refused_when_built() {
    let named = |len: usize| CookieOptions::new().with_name("n".repeat(len)).build();
    assert!(named(4000).is_ok());
    assert!(matches!(
        named(4096),
        Err(InvalidCookie::TooLong { max: 4096, .. })
    ));
    let at = |len: usize| {
        CookieOptions::new()
            .with_name("id")
            .with_path(format!("/{}", "p".repeat(len - 1)))
            .build()
    };
    assert!(at(1024).is_ok());
    assert!(matches!(
        at(1025),
        Err(InvalidCookie::TooLong { max: 1024, .. })
    ));
}

/// SECURITY 12
#[test]
fn names_paths_and_domains_outside_the_grammar_are_refused() {
    for name in [
        "", "a b", "a=b", "a;b", "a,b", "\"a\"", "a\r\nb", "ä", "a\0", "(a)",
    ] {
        let cookie = CookieOptions::new().with_name(name);
        assert_eq!(refused(cookie), InvalidCookie::Name(name.into()));
    }
    for path in [
        "",
        "app",
        "/a;b",
        "/a\r\nSet-Cookie: x=y",
        "/ä",
        "/a\0",
        "/a ",
    ] {
        let cookie = CookieOptions::new().with_name("id").with_path(path);
        assert_eq!(refused(cookie), InvalidCookie::Path(path.into()));
    }
    let long = format!("{}.example", "a".repeat(64));
    for domain in [
        "",
        ".",
        ".example.com",
        "example.com.",
        "a..b",
        "-a.example",
        "a_b.example",
        "ä.example",
        "192.0.2.1",
        "[::1]",
        "example.com; Secure",
        "a\r\nb",
        &long,
    ] {
        let cookie = CookieOptions::new().with_name("id").with_domain(domain);
        assert_eq!(refused(cookie), InvalidCookie::Domain(domain.into()));
    }
}

/// SECURITY 13
#[tokio::test]
async fn max_age_ends_with_the_absolute_deadline_and_never_later_than_400_days() {
    let world = World::new();
    world.pass(1);
    let token = world.signed_in("alice").await;
    // An hour later, a renewal keeps the deadline of twelve hours, and so is given eleven.
    for _ in 0..4 {
        world.pass(15 * 60);
        world
            .play(with_token(&token), async |session| {
                session.insert("n", &1).await.unwrap();
            })
            .await;
    }
    let done = world
        .play(with_token(&token), async |session| {
            session.renew().await.unwrap();
        })
        .await;
    assert!(
        done.set_cookies()[0].ends_with("; Max-Age=39600"),
        "{:?}",
        done.set_cookies()
    );

    let done = world
        .play(own(), async |session| {
            let subject = session_core::Subject::new("bob").unwrap();
            let ticket = world.sessions.begin_sign_in(&subject).await.unwrap();
            let for_ever = Timeouts::new(Duration::MAX).without_idle();
            session
                .sign_in(session_core::SignIn::new(ticket).timeouts(for_ever))
                .await
                .unwrap();
        })
        .await;
    assert!(done.set_cookies()[0].ends_with("; Max-Age=34560000"));
}

/// SECURITY 13
#[tokio::test]
async fn the_server_ends_a_session_whatever_the_client_keeps() {
    let world = World::new();
    let token = world.visitor().await;
    world.pass(12 * 3600);
    let done = world
        .play(with_token(&token), async |session| {
            assert_eq!(session.get::<u32>("n").await.unwrap(), None);
        })
        .await;
    assert!(!done.commit.is_signed_in);
}

/// SECURITY 16
#[tokio::test]
async fn removal_repeats_what_places_the_cookie_and_lies_in_the_past() {
    let world = World::new();
    let token = world.visitor().await;
    let done = world
        .play(with_token(&token), async |session| {
            session.destroy().await.unwrap();
        })
        .await;
    assert_eq!(
        done.set_cookies(),
        [
            "__Host-id=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
          Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        ]
    );

    let world = World::with_cookie(
        CookieOptions::new()
            .with_name("__Secure-id")
            .with_path("/app")
            .with_domain("example.com")
            .with_same_site(SameSite::None)
            .with_partitioned(true)
            .with_lifetime(CookieLifetime::BrowserSession),
    );
    let token = world.visitor().await;
    let done = world
        .play(
            get().header("cookie", format!("__Secure-id={token}")),
            async |session| session.destroy().await.unwrap(),
        )
        .await;
    assert_eq!(
        done.set_cookies(),
        [
            "__Secure-id=; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned; \
          Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        ]
    );
}

/// SECURITY 19
#[tokio::test]
async fn secure_does_not_depend_on_how_the_request_came() {
    let world = World::new();
    let plain = http::Request::get("/")
        .header("host", "example.com")
        .header("x-forwarded-proto", "http");
    let done = world.play(plain, write).await;
    assert!(done.set_cookies()[0].contains("; Secure;"));
}

/// SECURITY 18
#[tokio::test]
async fn a_token_shows_in_no_debug_output() {
    let world = World::new();
    let request = own().body(()).unwrap();
    let exchange = world.transport.read(&world.sessions, (&request).into());
    let session = exchange.open(&world.sessions);
    sign_in(&world.sessions, &session, "alice").await;
    let commit = session.commit(session_core::HandlerOutcome::Answered).await;
    let mut headers = http::HeaderMap::new();
    exchange.write(&world.sessions, &commit, &mut headers);
    let cookie = headers["set-cookie"].to_str().unwrap();
    let (token, _) = cookie["__Host-id=".len()..].split_once(';').unwrap();

    let presented = with_token(token).body(()).unwrap();
    let exchange = world.transport.read(&world.sessions, (&presented).into());
    let reopened = exchange.open(&world.sessions);
    reopened.subject().await.unwrap();
    let shown = format!(
        "{commit:?} {headers:?} {exchange:?} {session:?} {reopened:?} {:?}",
        world.transport
    );
    // The secret is the second half of the token.
    assert!(!shown.contains(&token[22..]), "{shown}");
    assert!(shown.contains("Sensitive"));
}
