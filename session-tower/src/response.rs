//! Responses that the layer gives in the place of the inner service's.

use std::any::Any;

use http::Response;
use session_http::Problem;

/// A response with the problem's status and headers, and its document if the body can be told one: that
/// of axum can, of others only that they can be empty is known.
pub(crate) fn problem<B: Default + 'static>(problem: &Problem) -> Response<B> {
    let body = document(problem);
    let has_document = body.is_some();
    let mut response = Response::new(body.unwrap_or_default());
    *response.status_mut() = problem.status();
    *response.headers_mut() = problem.headers();
    if !has_document {
        response.headers_mut().remove(http::header::CONTENT_TYPE);
    }
    response.extensions_mut().insert(*problem);
    response
}

#[cfg(feature = "axum")]
fn document<B: 'static>(problem: &Problem) -> Option<B> {
    downcast(axum_core::body::Body::from(problem.to_json()))
}

#[cfg(not(feature = "axum"))]
fn document<B: 'static>(_: &Problem) -> Option<B> {
    downcast(())
}

fn downcast<A: 'static, B: 'static>(body: A) -> Option<B> {
    let mut body = Some(body);
    let body: &mut dyn Any = &mut body;
    body.downcast_mut::<Option<B>>().and_then(Option::take)
}
