//! Responses that the layer gives in the place of the inner service's.

use http::Response;
use session_http::Problem;

/// A response with the problem's status and headers, and its document if the body is axum's. Of other
/// bodies no more is known than that they can be empty.
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

/// The document as a body, if `B` is axum's.
#[cfg(feature = "axum")]
fn document<B: 'static>(problem: &Problem) -> Option<B> {
    let mut body = Some(axum_core::body::Body::from(problem.to_json()));
    let body: &mut dyn std::any::Any = &mut body;
    body.downcast_mut::<Option<B>>().and_then(Option::take)
}

#[cfg(not(feature = "axum"))]
const fn document<B>(_: &Problem) -> Option<B> {
    None
}
