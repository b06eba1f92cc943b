//! Where the layer stands among others.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use session_core::Session;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::world::{World, cookie, get};

async fn handle(request: Request<()>) -> Result<Response<String>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap();
    session.insert("n", &1).await.unwrap();
    Ok(Response::new(String::new()))
}

#[tokio::test]
async fn the_layer_goes_into_a_stack_of_layers_and_its_service_into_a_box() {
    let world = World::new();
    let service = ServiceBuilder::new()
        .map_err(BoxError::from)
        .timeout(Duration::from_secs(60))
        .layer(world.layer.clone())
        .service_fn(handle)
        .boxed_clone();
    let response = service.oneshot(get().body(()).unwrap()).await.unwrap();
    assert!(cookie(&response).is_some());
}

#[tokio::test]
async fn one_service_answers_many_requests_at_once() {
    let world = World::new();
    let service = world.layer.layer(service_fn(handle));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut service = service.clone();
        requests.spawn(async move {
            let request = get().body(()).unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            cookie(&response).unwrap()
        });
    }
    let cookies: std::collections::HashSet<_> = requests.join_all().await.into_iter().collect();
    assert_eq!(cookies.len(), 50);
}
