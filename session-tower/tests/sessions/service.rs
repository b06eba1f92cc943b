//! Any tower service: requests, responses, and what the layer adds.

use http::{Request, Response, StatusCode};
use session_core::{CommitOutcome, Session};
use session_tower::SessionLayer;
use session_tower::session_http::{HeaderCarrier, InvalidCookie, SameOrigin, SameSite};
use tower::{Layer, ServiceExt, service_fn};

use crate::world::{World, cookie, get, insert_1, post, read_n, set_cookies, sign_in, text, with};

#[tokio::test]
async fn a_session_lasts_from_request_to_request() {
    let world = World::new();
    let visitor = world.visitor().await;
    let response = world
        .play(with(get(), &visitor), |session| async move {
            let n: Option<u32> = session.get("n").await.unwrap();
            session.insert("n", &(n.unwrap() + 1)).await.unwrap();
            StatusCode::OK
        })
        .await;
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(text(response).await, "the handler's");
    assert_eq!(world.n(&visitor).await, Some(2));
}

/// SECURITY 8
#[tokio::test]
async fn the_default_layer_sets_the_default_cookie() {
    let world = World::new();
    let response = world.play(get(), insert_1).await;
    let cookie = cookie(&response).unwrap();
    assert!(cookie.starts_with("__Host-id="));
    assert_eq!(
        set_cookies(&response),
        [format!(
            "{cookie}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200"
        )]
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["vary"], "cookie");
}

/// SECURITY 20
#[tokio::test]
async fn a_request_that_does_not_use_its_session_gets_nothing_and_asks_no_store() {
    let world = World::new();
    let visitor = world.visitor().await;
    world.store.fail_loads(true);
    world.store.fail_writes(true);
    for request in [get(), with(get(), &visitor), with(get(), "__Host-id=junk")] {
        let response = world.play(request, |_| async { StatusCode::OK }).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().is_empty());
    }
}

/// SECURITY 20
#[tokio::test]
async fn a_hundred_requests_without_a_cookie_make_no_session() {
    let world = World::new();
    world.store.fail_writes(true);
    for _ in 0..100 {
        let response = world.play(get(), read_n).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(set_cookies(&response), [""; 0]);
    }
}

#[tokio::test]
async fn the_familiar_names_choose_the_cookie() {
    let world = World::with(|layer| {
        layer
            .with_name("sid")
            .with_path("/app")
            .with_domain("example.com")
            .with_secure(false)
            .with_http_only(false)
            .with_same_site(SameSite::Strict)
            .build()
            .unwrap()
    });
    let response = world.play(get(), insert_1).await;
    let cookie = cookie(&response).unwrap();
    assert!(cookie.starts_with("sid="));
    assert_eq!(
        set_cookies(&response),
        [format!(
            "{cookie}; Path=/app; Domain=example.com; SameSite=Strict; Max-Age=43200"
        )]
    );
}

/// SECURITY 9
#[test]
fn a_cookie_that_cannot_be_is_refused_when_the_layer_is_built() {
    let layer = SessionLayer::new(World::new().sessions);
    let refused = layer.with_secure(false).build().unwrap_err();
    assert_eq!(
        refused,
        InvalidCookie::PrefixNeedsSecure("__Host-id".into())
    );
}

#[tokio::test]
async fn a_response_says_how_its_commit_went() {
    let world = World::new();
    let response = world.play(get(), insert_1).await;
    let outcome = response.extensions().get::<CommitOutcome>();
    assert!(matches!(outcome, Some(CommitOutcome::Done)));
}

#[tokio::test]
async fn two_layers_are_one() {
    let world = World::new();
    let inner = world.serve(|session| async move {
        let n: Option<u32> = session.get("n").await.unwrap();
        session.insert("m", &n).await.unwrap();
        StatusCode::OK
    });
    let between = service_fn(move |request: Request<()>| {
        let inner = inner.clone();
        async move {
            let session = request.extensions().get::<Session>().unwrap();
            session.insert("n", &1).await.unwrap();
            inner.oneshot(request).await
        }
    });
    let service = world.layer.layer(between);
    let response = service.oneshot(get().body(()).unwrap()).await.unwrap();
    let visitor = cookie(&response).unwrap();
    let response = world
        .play(with(get(), &visitor), |session| async move {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
            assert_eq!(session.get("m").await.unwrap(), Some(1));
            StatusCode::OK
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_header_carries_the_token_of_a_client_without_cookies() {
    let world =
        World::with(|layer| layer.with_header(HeaderCarrier::bearer("session-token").unwrap()));
    let request = get().header("authorization", "Bearer");
    let response = world.play(request, insert_1).await;
    assert_eq!(set_cookies(&response), [""; 0]);
    let token = response.headers()["session-token"].to_str().unwrap();
    assert_eq!(world.n(&format!("={token}")).await, Some(1));
}

/// SECURITY 45
#[tokio::test]
async fn the_guard_refuses_before_the_handler_if_the_application_wants_that() {
    let world =
        World::with(|layer| layer.with_same_origin(SameOrigin::new().with_unsafe_methods(true)));
    let foreign = Request::post("/").header("sec-fetch-site", "cross-site");
    let response = world
        .play(foreign, |_| async {
            unreachable!("the guard lets it through")
        })
        .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = world.play(post(), insert_1).await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// SECURITY 21, SECURITY 22
#[tokio::test]
async fn signing_in_out_and_in_again_makes_a_new_session_each_time() {
    let world = World::new();
    let planted = world.visitor().await;
    let response = world
        .play(with(post(), &planted), |session| async move {
            // Wiped first, so that a session that is kept would be the planted one.
            session.clear().await.unwrap();
            sign_in(&session, "alice").await;
            StatusCode::OK
        })
        .await;
    let alice = cookie(&response).unwrap();
    assert_ne!(alice, planted);
    assert_eq!(world.subject(&planted).await, None);
    assert_eq!(world.subject(&alice).await.as_deref(), Some("alice"));

    let response = world
        .play(with(post(), &alice), |session| async move {
            session.destroy().await.unwrap();
            StatusCode::OK
        })
        .await;
    assert_eq!(cookie(&response).as_deref(), Some("__Host-id="));
    assert_eq!(world.subject(&alice).await, None);

    let response = world
        .play(with(post(), &alice), |session| async move {
            sign_in(&session, "alice").await;
            StatusCode::OK
        })
        .await;
    assert_ne!(cookie(&response).unwrap(), alice);
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    /// Counts on being polled, and is ready in no clone.
    #[derive(Debug, Default)]
    struct Polled(bool);

    impl Clone for Polled {
        fn clone(&self) -> Self {
            Self::default()
        }
    }

    impl tower::Service<Request<()>> for Polled {
        type Response = Response<String>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(self.0, "called without having been ready");
            std::future::ready(Ok(Response::default()))
        }
    }

    let mut service = World::new().layer.layer(Polled::default());
    for _ in 0..2 {
        let request = get().body(()).unwrap();
        let response = tower::Service::call(service.ready().await.unwrap(), request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn any_body_that_has_a_default_will_do() {
    let service = World::new()
        .layer
        .layer(service_fn(async |request: Request<String>| {
            let session = request.extensions().get::<Session>().unwrap();
            session.insert("n", request.body()).await.unwrap();
            Ok::<_, std::convert::Infallible>(Response::new(Vec::<u8>::new()))
        }));
    let request = get().body("text".to_owned()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert!(cookie(&response).is_some());
}
