//! The guard against requests from other sites.

use http::{Method, Request, StatusCode, request};
use session_core::{HandlerOutcome, Provenance, SessionError, Sessions, SignIn, Subject};
use session_http::{
    CrossOrigin, OriginVerdict, Problem, RequestHead, SameOrigin, Transport, require_own,
};

use crate::unreachable::Unreachable;
use crate::world::{World, own, with_token};

const ALLOWED: OriginVerdict = OriginVerdict::Allowed;
const UNPROVEN: OriginVerdict = OriginVerdict::NeedsCsrfToken;
const BY_SITE: OriginVerdict = OriginVerdict::Refused(CrossOrigin::FetchSite);
const BY_ORIGIN: OriginVerdict = OriginVerdict::Refused(CrossOrigin::Origin);

fn judge(guard: &SameOrigin, request: request::Builder) -> OriginVerdict {
    guard.judge(RequestHead::from(&request.body(()).unwrap()))
}

fn post() -> request::Builder {
    Request::post("/").header("host", "example.com")
}

/// SECURITY 45
#[test]
fn sec_fetch_site_decides_if_it_is_there() {
    let guard = SameOrigin::new();
    for (site, verdict) in [
        ("same-origin", ALLOWED),
        ("none", ALLOWED),
        ("same-site", BY_SITE),
        ("cross-site", BY_SITE),
        ("", BY_SITE),
        ("SAME-ORIGIN", BY_SITE),
        ("future-value", BY_SITE),
    ] {
        // Whatever `Origin` says.
        for origin in ["https://example.com", "https://evil.example", "null"] {
            let request = post()
                .header("sec-fetch-site", site)
                .header("origin", origin);
            assert_eq!(judge(&guard, request), verdict, "{site} {origin}");
        }
    }
    let twice = post()
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(judge(&guard, twice), BY_SITE);
}

/// SECURITY 45
#[test]
fn without_it_origin_must_be_the_host_that_was_asked() {
    let guard = SameOrigin::new();
    for (host, origin, verdict) in [
        ("example.com", "https://example.com", ALLOWED),
        ("example.com", "http://example.com", ALLOWED),
        ("EXAMPLE.com", "https://example.COM", ALLOWED),
        ("example.com:443", "https://example.com", ALLOWED),
        ("127.0.0.1:3000", "http://127.0.0.1:3000", ALLOWED),
        ("[::1]:3000", "http://[::1]:3000", ALLOWED),
        ("example.com", "https://example.com:8443", BY_ORIGIN),
        ("example.com:443", "http://example.com", BY_ORIGIN),
        ("example.com", "https://www.example.com", BY_ORIGIN),
        ("example.com", "https://example.com.evil.example", BY_ORIGIN),
        ("example.com", "https://evil.example/example.com", BY_ORIGIN),
        ("example.com", "https://user@example.com", BY_ORIGIN),
        ("example.com", "example.com", BY_ORIGIN),
        ("example.com", "", BY_ORIGIN),
        ("example.com", "null", UNPROVEN),
    ] {
        let request = Request::post("/")
            .header("host", host)
            .header("origin", origin);
        assert_eq!(judge(&guard, request), verdict, "{host} {origin}");
    }
    let none = Request::post("/").header("origin", "https://example.com");
    assert_eq!(judge(&guard, none), BY_ORIGIN);
    let two_hosts = post()
        .header("host", "evil.example")
        .header("origin", "https://evil.example");
    assert_eq!(judge(&guard, two_hosts), BY_ORIGIN);
    let two_origins = post()
        .header("origin", "https://example.com")
        .header("origin", "https://evil.example");
    assert_eq!(judge(&guard, two_origins), BY_ORIGIN);
    let bytes = http::HeaderValue::from_bytes(b"https://\xff").unwrap();
    assert_eq!(judge(&guard, post().header("origin", bytes)), BY_ORIGIN);
}

#[test]
fn under_http_2_the_host_is_the_authority() {
    let guard = SameOrigin::new();
    let request = || Request::post("https://example.com/");
    assert_eq!(
        judge(&guard, request().header("origin", "https://example.com")),
        ALLOWED
    );
    assert_eq!(
        judge(&guard, request().header("origin", "https://evil.example")),
        BY_ORIGIN
    );
}

#[test]
fn listed_origins_stand_in_the_place_of_the_host_and_may_be_of_other_sites() {
    let guard = SameOrigin::new()
        .with_origins(["https://app.example", "HTTPS://login.example:443"])
        .unwrap();
    for (origin, by_site, by_origin) in [
        ("https://app.example", ALLOWED, ALLOWED),
        ("https://login.example", ALLOWED, ALLOWED),
        ("http://app.example", BY_SITE, BY_ORIGIN),
        ("https://example.com", BY_SITE, BY_ORIGIN),
        ("null", BY_SITE, UNPROVEN),
    ] {
        let request = || post().header("origin", origin);
        assert_eq!(judge(&guard, request()), by_origin, "{origin}");
        let request = request().header("sec-fetch-site", "cross-site");
        assert_eq!(judge(&guard, request), by_site, "{origin}");
    }
    for text in [
        "app.example",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://u@a",
        "*",
        "null",
        "://a",
        "https://a b",
    ] {
        assert!(SameOrigin::new().with_origins([text]).is_err(), "{text}");
    }
}

/// SECURITY 19
#[test]
fn what_a_proxy_says_is_believed_only_if_there_is_one() {
    let request = || {
        Request::post("/")
            .header("host", "backend:8080")
            .header("x-forwarded-host", "example.com")
            .header("x-forwarded-proto", "https")
    };
    let from = |origin| request().header("origin", origin);
    let (alone, behind) = (SameOrigin::new(), SameOrigin::new().with_forwarded(true));
    assert_eq!(judge(&alone, from("https://example.com")), BY_ORIGIN);
    assert_eq!(judge(&alone, from("http://backend:8080")), ALLOWED);
    assert_eq!(judge(&behind, from("https://example.com")), ALLOWED);
    assert_eq!(judge(&behind, from("http://example.com")), BY_ORIGIN);
    assert_eq!(judge(&behind, from("http://backend:8080")), BY_ORIGIN);
    let two = from("https://example.com").header("x-forwarded-host", "evil.example");
    assert_eq!(judge(&behind, two), BY_ORIGIN);
}

#[test]
fn a_program_may_send_json_without_a_csrf_token_if_the_application_allows_it() {
    let (strict, open) = (
        SameOrigin::new(),
        SameOrigin::new().with_json_programs(true),
    );
    let json = || post().header("content-type", "application/json");
    assert_eq!(judge(&strict, json()), UNPROVEN);
    assert_eq!(judge(&open, json()), ALLOWED);
    let with_charset = post().header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(judge(&open, with_charset), ALLOWED);
    for other in [
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain, application/json",
        "application/json, text/plain",
        "",
    ] {
        let request = post().header("content-type", other);
        assert_eq!(judge(&open, request), UNPROVEN, "{other}");
    }
    assert_eq!(judge(&open, post()), UNPROVEN);
    let two = json().header("content-type", "text/plain");
    assert_eq!(judge(&open, two), UNPROVEN);
    // A browser says where it comes from, and JSON changes nothing about that.
    let foreign = json().header("sec-fetch-site", "cross-site");
    assert_eq!(judge(&open, foreign), BY_SITE);
    let foreign = json().header("origin", "https://evil.example");
    assert_eq!(judge(&open, foreign), BY_ORIGIN);
}

#[test]
fn unsafe_methods_and_sockets_are_guarded_if_the_application_wants_that() {
    let request = |method: &str| Request::builder().method(method).body(()).unwrap();
    let guarded = |guard: &SameOrigin, method| guard.guards(RequestHead::from(&request(method)));
    let (off, on) = (
        SameOrigin::new(),
        SameOrigin::new().with_unsafe_methods(true),
    );
    for method in ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "PURGE"] {
        assert!(guarded(&on, method), "{method}");
        assert!(!guarded(&off, method), "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert!(!guarded(&on, method), "{method}");
    }
    let socket = Request::get("/")
        .header("upgrade", "WebSocket")
        .body(())
        .unwrap();
    assert!(on.guards(RequestHead::from(&socket)));
    assert!(!off.guards(RequestHead::from(&socket)));
}

async fn guarded(world: &World, request: request::Builder) -> Result<(), Problem> {
    let request = request.body(()).unwrap();
    let exchange = world
        .transport
        .read(&world.sessions, RequestHead::from(&request));
    exchange.guard(&exchange.open(&world.sessions)).await
}

/// SECURITY 45
#[tokio::test]
async fn a_csrf_token_in_the_header_proves_what_nothing_else_does() {
    let guard = SameOrigin::new().with_unsafe_methods(true);
    let world = World::with(Transport::new().with_same_origin(guard));
    let token = world.signed_in("alice").await;
    let done = world.play(with_token(&token), async |_| {}).await;
    let csrf = done.session.csrf_token().await.unwrap();
    let request = || with_token(&token).method(Method::POST);
    let problem = guarded(&world, request()).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::FORBIDDEN);
    assert!(
        guarded(&world, request().header("x-csrf-token", "x"))
            .await
            .is_err()
    );
    assert!(
        guarded(&world, request().header("x-csrf-token", &csrf))
            .await
            .is_ok()
    );
    assert!(guarded(&world, request().method(Method::GET)).await.is_ok());
    // It does not outweigh what the browser says.
    let foreign = request()
        .header("x-csrf-token", &csrf)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(guarded(&world, foreign).await, Err(Problem::CROSS_ORIGIN));
    // It is this session's alone.
    let other = world.signed_in("bob").await;
    let request = with_token(&other)
        .method(Method::POST)
        .header("x-csrf-token", &csrf);
    assert!(guarded(&world, request).await.is_err());
}

#[tokio::test]
async fn a_csrf_token_that_proves_nothing_more_is_not_looked_up() {
    let mut world = World::new();
    let token = world.signed_in("alice").await;
    world.sessions = Sessions::new(Unreachable::new());
    let request = own()
        .header("cookie", format!("__Host-id={token}"))
        .header("x-csrf-token", "x")
        .body(())
        .unwrap();
    let exchange = world
        .transport
        .read(&world.sessions, RequestHead::from(&request));
    let session = exchange.open(&world.sessions);
    assert_eq!(exchange.guard(&session).await, Ok(()));
    let commit = session.commit(HandlerOutcome::Answered).await;
    assert!(!commit.was_used);
}

async fn try_sign_in(world: &World, request: request::Builder) -> Result<(), SessionError> {
    let mut answer = Ok(());
    world
        .play(request, async |session| {
            let subject = Subject::new("alice").unwrap();
            let ticket = world.sessions.begin_sign_in(&subject).await.unwrap();
            answer = session.sign_in(SignIn::new(ticket)).await;
        })
        .await;
    answer
}

/// SECURITY 45
#[tokio::test]
async fn a_sign_in_is_guarded_without_being_asked() {
    let world = World::new();
    assert!(try_sign_in(&world, own()).await.is_ok());
    for foreign in [
        post(),
        post().header("sec-fetch-site", "cross-site"),
        post().header("origin", "https://evil.example"),
        post().header("content-type", "application/json"),
    ] {
        let refused = try_sign_in(&world, foreign).await;
        assert!(matches!(refused, Err(SessionError::Foreign)));
    }
    let from_provider = post().header("sec-fetch-site", "cross-site");
    world
        .play(from_provider, async |session| {
            let subject = Subject::new("alice").unwrap();
            let ticket = world.sessions.begin_sign_in(&subject).await.unwrap();
            let sign_in = SignIn::new(ticket).from_any_origin();
            session.sign_in(sign_in).await.unwrap();
        })
        .await;
}

/// SECURITY 45
#[tokio::test]
async fn a_form_may_prove_itself_by_its_csrf_token() {
    let world = World::new();
    let token = world.visitor().await;
    let mut csrf = String::new();
    world
        .play(with_token(&token), async |session| {
            csrf = session.csrf_token().await.unwrap();
        })
        .await;
    world
        .play(with_token(&token), async |session| {
            assert_eq!(session.provenance(), Provenance::Unproven);
            assert_eq!(require_own(session, None).await, Err(Problem::CROSS_ORIGIN));
            assert_eq!(
                require_own(session, Some("x")).await,
                Err(Problem::CROSS_ORIGIN)
            );
            assert_eq!(require_own(session, Some(&csrf)).await, Ok(()));
            assert_eq!(session.provenance(), Provenance::Own);
            let subject = Subject::new("alice").unwrap();
            let ticket = world.sessions.begin_sign_in(&subject).await.unwrap();
            session.sign_in(SignIn::new(ticket)).await.unwrap();
        })
        .await;
    let foreign = with_token(&token).header("sec-fetch-site", "cross-site");
    world
        .play(foreign, async |session| {
            let refused = require_own(session, Some(&csrf)).await;
            assert_eq!(refused, Err(Problem::CROSS_ORIGIN));
        })
        .await;
}
