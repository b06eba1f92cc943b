//! The guard against requests that another site makes a visitor's browser send.

use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN, UPGRADE};
use session_core::{Provenance, Session};

use crate::fetch::{RequestHead, SEC_FETCH_SITE};
use crate::problem::Problem;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a request's own headers say about who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginVerdict {
    /// The application's own pages, the user directly, or a program that no browser imitates.
    Allowed,
    /// Nothing; the session's CSRF token would.
    NeedsCsrfToken,
    /// Somebody else.
    Refused(CrossOrigin),
}

/// What gave a request from elsewhere away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossOrigin {
    /// `Sec-Fetch-Site` names another site, or another origin of the same site.
    #[error("Sec-Fetch-Site names another origin")]
    FetchSite,
    /// `Origin` is not one of the application's.
    #[error("Origin is another one")]
    Origin,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin such as https://example.com")]
pub struct InvalidOrigin(String);

/// Tells the application's own requests from those of other sites: by `Sec-Fetch-Site`, else by
/// `Origin`, else by the session's CSRF token (OWASP Cross-Site Request Forgery Prevention, "Fetch
/// Metadata").
///
/// It is on for every sign-in. [`SameOrigin::with_unsafe_methods`] puts it on for all of `POST`, `PUT`,
/// `DELETE` and so on, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SameOrigin {
    unsafe_methods: bool,
    origins: Vec<String>,
    behind_proxy: bool,
    json_programs: bool,
}

impl SameOrigin {
    /// On for sign-in; the application's own origin is the request's `Host`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a request with an unsafe method, or for a WebSocket, that is not shown to come from the application is
    /// refused with 403 before any handler sees it. What cannot be told by headers needs the CSRF token
    /// in the header `X-CSRF-Token`.
    #[must_use]
    pub const fn with_unsafe_methods(mut self, unsafe_methods: bool) -> Self {
        self.unsafe_methods = unsafe_methods;
        self
    }

    /// The application's origins, such as `https://example.com`: `Origin` is compared with these
    /// instead of `Host`, and one of these may come from another site.
    ///
    /// # Errors
    ///
    /// If a text is no origin: a scheme and a host, perhaps a port, nothing else.
    pub fn with_origins<T: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidOrigin> {
        for origin in origins {
            let origin = origin.into();
            match normal(origin.as_bytes()) {
                Some(normal) => self.origins.push(normal),
                None => return Err(InvalidOrigin(origin)),
            }
        }
        Ok(self)
    }

    /// Whether a proxy stands in front that sets `X-Forwarded-Host` and `X-Forwarded-Proto`, and that
    /// strips those that a client sends. Only then are they believed.
    #[must_use]
    pub const fn with_forwarded(mut self, behind_proxy: bool) -> Self {
        self.behind_proxy = behind_proxy;
        self
    }

    /// Whether a program that sends neither `Sec-Fetch-Site` nor `Origin` may go without a CSRF token
    /// if its `Content-Type` is `application/json`: a page of another site cannot send that without
    /// asking first (Fetch, "CORS-safelisted request-header"). Only for applications that answer such
    /// questions (CORS preflights) to no other origins.
    #[must_use]
    pub const fn with_json_programs(mut self, json_programs: bool) -> Self {
        self.json_programs = json_programs;
        self
    }

    /// Whether this request has to be shown to come from the application before any handler sees it:
    /// its method is an unsafe one, or it opens a WebSocket.
    #[must_use]
    pub fn guards(&self, head: RequestHead<'_>) -> bool {
        let opens_socket = || {
            head.headers
                .get_all(UPGRADE)
                .into_iter()
                .any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        };
        self.unsafe_methods && (!head.method.is_safe() || opens_socket())
    }

    /// Judges a request by its headers.
    #[must_use]
    pub fn judge(&self, head: RequestHead<'_>) -> OriginVerdict {
        if head.headers.contains_key(SEC_FETCH_SITE) {
            return match head.only(&SEC_FETCH_SITE) {
                Some(b"same-origin" | b"none") => OriginVerdict::Allowed,
                _ if self.is_listed(head) => OriginVerdict::Allowed,
                _ => OriginVerdict::Refused(CrossOrigin::FetchSite),
            };
        }
        match (head.headers.contains_key(ORIGIN), head.only(&ORIGIN)) {
            (true, Some(b"null")) => OriginVerdict::NeedsCsrfToken,
            (true, _) if self.is_own(head) => OriginVerdict::Allowed,
            (true, _) => OriginVerdict::Refused(CrossOrigin::Origin),
            (false, _) if self.json_programs && is_json(head) => OriginVerdict::Allowed,
            (false, _) => OriginVerdict::NeedsCsrfToken,
        }
    }

    fn is_listed(&self, head: RequestHead<'_>) -> bool {
        head.only(&ORIGIN)
            .and_then(normal)
            .is_some_and(|origin| self.origins.contains(&origin))
    }

    fn is_own(&self, head: RequestHead<'_>) -> bool {
        if !self.origins.is_empty() {
            return self.is_listed(head);
        }
        let Some(origin) = head.only(&ORIGIN).and_then(normal) else {
            return false;
        };
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        if self.behind_proxy
            && let Some(proto) = head.only(&X_FORWARDED_PROTO)
            && !proto.eq_ignore_ascii_case(scheme.as_bytes())
        {
            return false;
        }
        self.host(head)
            .and_then(|host| normal_authority(scheme, host))
            .is_some_and(|host| host == authority)
    }

    /// The host that the client asked for.
    fn host<'a>(&self, head: RequestHead<'a>) -> Option<&'a str> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        if self.behind_proxy && head.headers.contains_key(X_FORWARDED_HOST) {
            let mut values = head.headers.get_all(X_FORWARDED_HOST).into_iter();
            let first = values.next()?;
            return text(first.as_bytes()).filter(|_| values.next().is_none());
        }
        match head.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => {
                let mut values = head.headers.get_all(HOST).into_iter();
                let first = values.next()?;
                text(first.as_bytes()).filter(|_| values.next().is_none())
            }
        }
    }
}

/// Demands that a request comes from the application itself: for handlers of forms, whose CSRF token no
/// header carries.
///
/// # Errors
///
/// [`Problem::CROSS_ORIGIN`] if it does not, or if nothing shows that it does and `csrf_token` is not
/// the session's; the problem of loading the session.
pub async fn require_own(session: &Session, csrf_token: Option<&str>) -> Result<(), Problem> {
    if let (Provenance::Unproven, Some(token)) = (session.provenance(), csrf_token) {
        // What it finds is remembered in the session.
        session
            .is_csrf_token(token)
            .await
            .map_err(|error| Problem::from(&error))?;
    }
    match session.provenance() {
        Provenance::Own => Ok(()),
        Provenance::Unproven | Provenance::Foreign => Err(Problem::CROSS_ORIGIN),
    }
}

fn is_json(head: RequestHead<'_>) -> bool {
    head.only(&CONTENT_TYPE).is_some_and(|value| {
        value
            .split(|byte| *byte == b';')
            .next()
            .is_some_and(|essence| {
                essence
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"application/json")
            })
    })
}

/// The one spelling of an origin (RFC 6454, 6.2): lower case, without its scheme's own port.
fn normal(origin: &[u8]) -> Option<String> {
    let origin = std::str::from_utf8(origin).ok()?.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let authority = normal_authority(scheme, authority)?;
    is_scheme.then(|| format!("{scheme}://{authority}"))
}

fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    let is_legal = !authority.is_empty()
        && authority.bytes().all(|byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b',')
        });
    if !is_legal {
        return None;
    }
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Some(authority),
    };
    Some(
        authority
            .strip_suffix(port)
            .unwrap_or(&authority)
            .to_owned(),
    )
}
