//! The head of a request, and what its fetch metadata says.

use http::header::{HeaderMap, HeaderName};
use http::{Method, Request, Uri, request};

/// What of a request concerns its session.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target; its authority, if it has one, is the host (HTTP/2).
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }
}

impl<'a> From<&'a request::Parts> for RequestHead<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        }
    }
}

pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_MOZ: HeaderName = HeaderName::from_static("x-moz");

impl RequestHead<'_> {
    /// Whether somebody navigates here, so that this is the newest answer the client asked for.
    pub(crate) fn is_navigation(&self) -> bool {
        self.only(&SEC_FETCH_MODE)
            .is_some_and(|mode| mode == b"navigate")
    }

    /// Whether the answer is asked for in advance, and may be thrown away.
    pub(crate) fn is_prefetch(&self) -> bool {
        [&SEC_PURPOSE, &PURPOSE, &X_MOZ].into_iter().any(|name| {
            self.headers
                .get_all(name)
                .into_iter()
                .flat_map(|value| value.as_bytes().split(|byte| matches!(byte, b';' | b',')))
                .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"prefetch"))
        })
    }

    /// The value of a header that may stand only once.
    pub(crate) fn only(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut values = self.headers.get_all(name).into_iter();
        let first = values.next()?;
        values.next().is_none().then(|| first.as_bytes())
    }
}
