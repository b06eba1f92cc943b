//! Extractors and problem documents in an axum application.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Response};
use axum::routing::{get as on_get, post as on_post};
use axum::{Json, Router};
use http::{Request, StatusCode, request};
use serde::Deserialize;
use session_core::{
    Device, JsonText, LimitPolicy, SessionId, SignIn, SignInLimit, Subject, Timeouts,
};
use session_tower::axum::{RecentlySignedIn, Session, SessionRejection, SignedIn};
use tower::ServiceExt;

use crate::world::{World, cookie, get, post, set_cookies, sign_in, text, with};

async fn visit(session: Session) -> Result<String, SessionRejection> {
    let visits: u32 = session.get("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", &visits).await?;
    Ok(visits.to_string())
}

async fn enter(Path(user): Path<String>, session: Session) -> Result<String, SessionRejection> {
    let subject = Subject::new(&user).map_err(session_core::SessionError::from)?;
    let ticket = session.sessions().begin_sign_in(&subject).await?;
    session.sign_in(SignIn::new(ticket)).await?;
    Ok(user)
}

async fn profile(user: SignedIn) -> String {
    user.subject().to_string()
}

async fn change_password(user: RecentlySignedIn<300>) -> String {
    user.subject().to_string()
}

async fn delete_account(user: SignedIn) -> Result<String, SessionRejection> {
    user.within(Duration::from_secs(60))?;
    Ok(user.subject().to_string())
}

async fn devices(user: SignedIn) -> Result<Json<Vec<(SessionId, bool)>>, SessionRejection> {
    let of = |device: Device| (device.id, device.current);
    Ok(Json(user.devices().await?.into_iter().map(of).collect()))
}

#[derive(Deserialize)]
struct Transfer {
    csrf: Option<String>,
}

async fn form(session: Session) -> Result<String, SessionRejection> {
    Ok(session.csrf_token().await?)
}

async fn transfer(
    session: Session,
    Form(transfer): Form<Transfer>,
) -> Result<&'static str, SessionRejection> {
    session.require_own(transfer.csrf.as_deref()).await?;
    Ok("transferred")
}

async fn put(
    Path(name): Path<String>,
    session: Session,
    body: String,
) -> Result<StatusCode, SessionRejection> {
    let Ok(value) = JsonText::parse(body) else {
        return Ok(StatusCode::BAD_REQUEST);
    };
    session.insert_text(&name, value).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn number(Path(name): Path<String>, session: Session) -> Result<String, SessionRejection> {
    let number: Option<u32> = session.get(&name).await?;
    Ok(format!("{number:?}"))
}

fn application(world: &World) -> Router {
    Router::new()
        .route("/", on_get(visit))
        .route("/enter/{user}", on_post(enter))
        .route("/profile", on_get(profile))
        .route("/change-password", on_get(change_password))
        .route("/delete-account", on_get(delete_account))
        .route("/devices", on_get(devices))
        .route("/transfer", on_get(form).post(transfer))
        .route("/entries/{name}", on_get(number).put(put))
        .route(
            "/panic",
            on_get(async |_: Session| -> &str { panic!("on purpose") }),
        )
        .layer(world.layer.clone())
}

async fn play(world: &World, request: request::Builder, body: impl Into<Body>) -> Response {
    let request = request.body(body.into()).unwrap();
    application(world).oneshot(request).await.unwrap()
}

fn to(request: request::Builder, path: &str) -> request::Builder {
    request.uri(format!("https://example.com{path}"))
}

async fn enter_as(world: &World, user: &str) -> String {
    let response = play(world, to(post(), &format!("/enter/{user}")), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    cookie(&response).unwrap()
}

async fn assert_problem(response: Response, status: StatusCode, kind: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let document: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(document["type"], format!("urn:problem-type:session:{kind}"));
    assert_eq!(document["status"], status.as_u16());
    assert!(document["title"].is_string());
}

#[tokio::test]
async fn a_handler_takes_its_session() {
    let world = World::new();
    let first = play(&world, get(), "").await;
    let visitor = cookie(&first).unwrap();
    assert_eq!(text(first).await, "1");
    for visits in ["2", "3"] {
        let response = play(&world, with(get(), &visitor), "").await;
        assert_eq!(set_cookies(&response), [""; 0]);
        assert_eq!(text(response).await, visits);
    }
}

#[tokio::test]
async fn without_a_layer_a_handler_that_wants_a_session_is_answered_with_500() {
    let router: Router = Router::new().route("/", on_get(visit));
    let request = get().body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_problem(response, StatusCode::INTERNAL_SERVER_ERROR, "internal").await;
}

#[tokio::test]
async fn who_is_not_signed_in_is_answered_with_401() {
    let world = World::new();
    let visitor = cookie(&play(&world, get(), "").await).unwrap();
    for request in [get(), with(get(), &visitor), with(get(), "__Host-id=junk")] {
        let response = play(&world, to(request, "/profile"), "").await;
        assert_eq!(response.headers()["www-authenticate"], "Cookie");
        assert_problem(response, StatusCode::UNAUTHORIZED, "not-signed-in").await;
    }
    let alice = enter_as(&world, "alice").await;
    let response = play(&world, to(with(get(), &alice), "/profile"), "").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(text(response).await, "alice");
}

/// SECURITY 39
#[tokio::test]
async fn what_matters_can_demand_a_recent_sign_in() {
    let world = World::new();
    let alice = enter_as(&world, "alice").await;
    let ask = async |path: &str| play(&world, to(with(get(), &alice), path), "").await;
    assert_eq!(ask("/change-password").await.status(), StatusCode::OK);
    assert_eq!(ask("/delete-account").await.status(), StatusCode::OK);
    world.pass(60);
    assert_eq!(ask("/delete-account").await.status(), StatusCode::OK);
    world.pass(1);
    let refused = ask("/delete-account").await;
    assert_problem(refused, StatusCode::UNAUTHORIZED, "sign-in-again").await;
    assert_eq!(ask("/change-password").await.status(), StatusCode::OK);
    world.pass(240);
    let refused = ask("/change-password").await;
    assert_problem(refused, StatusCode::UNAUTHORIZED, "sign-in-again").await;
    assert_eq!(ask("/profile").await.status(), StatusCode::OK);

    let request = to(with(post(), &alice), "/enter/alice");
    let again = cookie(&play(&world, request, "").await).unwrap();
    let response = play(&world, to(with(get(), &again), "/change-password"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// SECURITY 45
#[tokio::test]
async fn another_site_signs_nobody_in() {
    let world = World::new();
    for foreign in [
        Request::post("/enter/mallory").header("sec-fetch-site", "cross-site"),
        Request::post("/enter/mallory")
            .header("host", "example.com")
            .header("origin", "https://evil.example"),
        Request::post("/enter/mallory"),
    ] {
        let response = play(&world, foreign, "").await;
        assert_eq!(set_cookies(&response), [""; 0]);
        assert_problem(response, StatusCode::FORBIDDEN, "cross-origin").await;
    }
    assert_eq!(world.how_many("mallory").await, 0);
}

/// SECURITY 45
#[tokio::test]
async fn a_form_is_accepted_by_its_headers_or_by_its_csrf_token() {
    let world = World::new();
    let form = play(&world, to(get(), "/transfer"), "").await;
    let visitor = cookie(&form).unwrap();
    let csrf = text(form).await;
    let send = async |request: request::Builder, body: String| {
        let request = to(with(request, &visitor), "/transfer")
            .header("content-type", "application/x-www-form-urlencoded");
        play(&world, request, body).await.status()
    };
    let silent = || Request::post("/");
    let foreign = || Request::post("/").header("sec-fetch-site", "cross-site");
    assert_eq!(send(post(), String::new()).await, StatusCode::OK);
    assert_eq!(send(silent(), format!("csrf={csrf}")).await, StatusCode::OK);
    assert_eq!(send(silent(), String::new()).await, StatusCode::FORBIDDEN);
    assert_eq!(send(silent(), "csrf=x".into()).await, StatusCode::FORBIDDEN);
    assert_eq!(
        send(foreign(), format!("csrf={csrf}")).await,
        StatusCode::FORBIDDEN
    );
}

/// SECURITY 37
#[tokio::test]
async fn the_ids_in_a_device_list_open_nothing() {
    let world = World::new();
    let alice = enter_as(&world, "alice").await;
    enter_as(&world, "alice").await;
    let listed = play(&world, to(with(get(), &alice), "/devices"), "").await;
    let listed: Vec<(String, bool)> = serde_json::from_str(&text(listed).await).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed.iter().filter(|(_, current)| *current).count(), 1);
    for (id, _) in listed {
        let request = with(get(), &format!("__Host-id={id}"));
        let response = play(&world, to(request, "/profile"), "").await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}

/// SECURITY 6
#[tokio::test]
async fn a_token_in_the_url_or_in_the_body_is_ignored() {
    let world = World::new();
    let alice = enter_as(&world, "alice").await;
    let in_query = to(get(), &format!("/profile?{alice}"));
    let in_path = to(get(), &format!("/profile;{alice}"));
    for (request, body) in [
        (in_query, ""),
        (in_path, ""),
        (to(get(), "/profile"), &*alice),
    ] {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = play(&world, request, body.to_owned()).await;
        assert!(response.status().is_client_error());
        assert_eq!(set_cookies(&response), [""; 0]);
    }
}

/// SECURITY 18
#[tokio::test]
async fn a_token_stands_in_no_other_part_of_any_response() {
    let world = World::new();
    let first = play(&world, to(post(), "/enter/alice"), "").await;
    let alice = cookie(&first).unwrap();
    let (_, token) = alice.split_once('=').unwrap();
    let hides = async |response: Response| {
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(name == "set-cookie" || !value.contains(token), "{name}");
        }
        assert!(!text(response).await.contains(token));
    };
    hides(first).await;
    for path in [
        "/",
        "/profile",
        "/devices",
        "/panic",
        "/entries/visits",
        "/nowhere",
        "/transfer",
    ] {
        hides(play(&world, to(with(get(), &alice), path), "").await).await;
    }
    world.store.fail_loads(true);
    hides(play(&world, to(with(get(), &alice), "/profile"), "").await).await;
}

#[tokio::test]
async fn bad_names_and_values_are_answered_with_what_is_wrong() {
    let world = World::new();
    let put = async |name: &str, value: String| {
        let request = to(post(), &format!("/entries/{name}")).method("PUT");
        play(&world, request, value).await
    };
    assert_eq!(put("a", "1".into()).await.status(), StatusCode::NO_CONTENT);
    let response = put("session:csrf", "1".into()).await;
    assert_problem(response, StatusCode::BAD_REQUEST, "name").await;
    let response = put("a%00b", "1".into()).await;
    assert_problem(response, StatusCode::BAD_REQUEST, "name").await;
    let response = put(&"a".repeat(256), "1".into()).await;
    assert_problem(response, StatusCode::BAD_REQUEST, "name").await;
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let response = put("a", large).await;
    assert_problem(response, StatusCode::PAYLOAD_TOO_LARGE, "too-large").await;
}

#[tokio::test]
async fn a_session_that_would_grow_too_large_is_refused_by_the_commit() {
    let world = World::new();
    let visitor = cookie(&play(&world, get(), "").await).unwrap();
    // Three values of 1 MiB fit into 4 MiB; four, with their names, do not.
    let value = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    let put = async |name: &str| {
        let request = to(with(post(), &visitor), &format!("/entries/{name}")).method("PUT");
        play(&world, request, value.clone()).await
    };
    for name in ["a", "b", "c"] {
        assert_eq!(put(name).await.status(), StatusCode::NO_CONTENT);
    }
    assert_problem(put("d").await, StatusCode::PAYLOAD_TOO_LARGE, "too-large").await;
    let response = play(&world, with(get(), &visitor), "").await;
    assert_eq!(text(response).await, "2");
}

/// SECURITY 44
#[tokio::test]
async fn an_entry_that_does_not_decode_is_an_error_and_the_session_lives() {
    let world = World::new();
    let visitor = cookie(&play(&world, get(), "").await).unwrap();
    let request = to(with(post(), &visitor), "/entries/a").method("PUT");
    play(&world, request, "\"text\"").await;
    let response = play(&world, to(with(get(), &visitor), "/entries/a"), "").await;
    assert_problem(response, StatusCode::INTERNAL_SERVER_ERROR, "internal").await;
    let response = play(&world, with(get(), &visitor), "").await;
    assert_eq!(text(response).await, "2");
}

/// SECURITY 42; PEERS row 6: a store that fails while loading.
#[tokio::test]
async fn a_store_out_of_reach_is_answered_with_503_where_the_session_is_used() {
    let world = World::new();
    let alice = enter_as(&world, "alice").await;
    world.store.fail_loads(true);
    for path in ["/", "/profile"] {
        let response = play(&world, to(with(get(), &alice), path), "").await;
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(set_cookies(&response), [""; 0]);
        assert_problem(response, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    }
    let response = play(&world, to(with(get(), &alice), "/nowhere"), "").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    world.store.fail_loads(false);
    let response = play(&world, to(with(get(), &alice), "/profile"), "").await;
    assert_eq!(text(response).await, "alice");
}

#[tokio::test]
async fn what_the_layer_answers_itself_is_a_problem_document_too() {
    let world = World::new();
    let response = play(&world, to(get(), "/panic"), "").await;
    assert_problem(response, StatusCode::INTERNAL_SERVER_ERROR, "internal").await;
    world.store.fail_writes(true);
    let response = play(&world, get(), "").await;
    assert_problem(response, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
}

#[tokio::test]
async fn one_sign_in_too_many_is_answered_with_409() {
    let world = World::new();
    let router = Router::new()
        .route(
            "/",
            on_post(async |session: Session| -> Result<(), SessionRejection> {
                let subject = Subject::new("alice").map_err(session_core::SessionError::from)?;
                let ticket = session.sessions().begin_sign_in(&subject).await?;
                let limit = SignInLimit {
                    max: std::num::NonZeroUsize::MIN,
                    policy: LimitPolicy::Refuse,
                };
                let sign_in = SignIn::new(ticket)
                    .limit(Some(limit))
                    .timeouts(Timeouts::default());
                Ok(session.sign_in(sign_in).await?)
            }),
        )
        .layer(world.layer.clone());
    let ask = async || {
        let request = post().body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    };
    assert_eq!(ask().await.status(), StatusCode::OK);
    assert_problem(ask().await, StatusCode::CONFLICT, "limit-reached").await;
}

#[tokio::test]
async fn a_rejection_says_what_went_wrong_and_is_a_response() {
    let world = World::new();
    world.store.fail_writes(true);
    let response = world
        .play(post(), |session| async move {
            let subject = Subject::new("alice").unwrap();
            let ticket = session.sessions().begin_sign_in(&subject).await.unwrap();
            let error = session.sign_in(SignIn::new(ticket)).await.unwrap_err();
            let rejection = SessionRejection::from(error);
            assert!(rejection.error().is_some());
            assert_eq!(rejection.to_string(), "Sessions are out of reach");
            rejection.into_response().status()
        })
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    world.store.fail_writes(false);
    world
        .play(post(), |session| async move {
            sign_in(&session, "alice").await;
            StatusCode::OK
        })
        .await;
}
