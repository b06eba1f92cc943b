//! Tokens in a header, for clients that keep no cookies.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Carries tokens in a header instead of a cookie: `Authorization: Bearer …`, or one of its own.
///
/// A request that has the header, even without a token in it, is answered by header: the response
/// gives a new token in the response header, and an empty value when the session has ended. Its cookies
/// are not looked at. A browser attaches neither by itself, so such a request needs no further proof
/// that no other site sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCarrier {
    request: HeaderName,
    response: HeaderName,
}

/// A text that names no header, or one that means something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot carry a token")]
pub struct InvalidHeader(String);

impl HeaderCarrier {
    /// `Authorization: Bearer <token>` in requests (RFC 6750, 2.1), and `response` in responses.
    ///
    /// # Errors
    ///
    /// If `response` is no header's name, or that of one with another meaning.
    pub fn bearer(response: &str) -> Result<Self, InvalidHeader> {
        Ok(Self {
            request: AUTHORIZATION,
            response: free_name(response)?,
        })
    }

    /// A header of this name, such as `session-token`, with the bare token, in requests and responses.
    ///
    /// # Errors
    ///
    /// If it is no header's name, or that of one with another meaning.
    pub fn named(name: &str) -> Result<Self, InvalidHeader> {
        let name = free_name(name)?;
        Ok(Self {
            request: name.clone(),
            response: name,
        })
    }

    /// The header's name in requests.
    #[must_use]
    pub const fn request_header(&self) -> &HeaderName {
        &self.request
    }

    /// The header's name in responses.
    #[must_use]
    pub const fn response_header(&self) -> &HeaderName {
        &self.response
    }

    /// The texts that a request presents; `None` if it does not use the header.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<Vec<&'a [u8]>> {
        let values = headers.get_all(&self.request).into_iter();
        let texts: Vec<_> = values
            .filter_map(|value| self.text(value.as_bytes()))
            .collect();
        (!texts.is_empty()).then(|| texts.into_iter().filter(|text| !text.is_empty()).collect())
    }

    fn text<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        const SCHEME: &[u8] = b"bearer";
        let value = value.trim_ascii();
        if self.request != AUTHORIZATION {
            return Some(value);
        }
        let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
        let is_bearer =
            scheme.eq_ignore_ascii_case(SCHEME) && rest.first().is_none_or(|byte| *byte == b' ');
        is_bearer.then(|| rest.trim_ascii())
    }

    /// Gives a token, or with an empty text says that there is none any more.
    pub(crate) fn write(&self, token: &str, headers: &mut HeaderMap) {
        if let Ok(mut value) = HeaderValue::from_str(token) {
            value.set_sensitive(true);
            headers.insert(self.response.clone(), value);
        }
    }
}

/// A header's name that means nothing yet.
fn free_name(name: &str) -> Result<HeaderName, InvalidHeader> {
    const TAKEN: [&str; 12] = [
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "location",
        "origin",
        "set-cookie",
        "transfer-encoding",
        "vary",
    ];
    HeaderName::from_bytes(name.as_bytes())
        .ok()
        .filter(|header| !TAKEN.contains(&header.as_str()) && !header.as_str().starts_with("sec-"))
        .ok_or_else(|| InvalidHeader(name.to_owned()))
}
