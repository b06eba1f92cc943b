//! How sessions travel over HTTP.

use http::Method;
use session_core::{CommitOutcome, Provenance, Sessions};

use crate::cookie::SessionCookie;
use crate::exchange::{Carrier, Exchange};
use crate::fetch::RequestHead;
use crate::header::HeaderCarrier;
use crate::origin::{OriginVerdict, SameOrigin};
use crate::problem::Problem;

/// What the client is told when its session ended while its request was under way, and the request's
/// writes were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenEnded {
    /// 409 in the place of the handler's answer, if the method is an unsafe one.
    #[default]
    RefuseUnsafe,
    /// The handler's answer.
    Pass,
}

impl WhenEnded {
    /// What the client is told in the place of the handler's answer to a request with this method, after
    /// a commit that went like this: of a store's failure always, whose edits are not stored, or may not
    /// be.
    #[must_use]
    pub fn problem(self, method: &Method, outcome: &CommitOutcome) -> Option<Problem> {
        match outcome {
            CommitOutcome::Ended if self == Self::RefuseUnsafe && !method.is_safe() => {
                Some(Problem::ENDED)
            }
            CommitOutcome::Failed(error) => Some(Problem::from(&**error)),
            _ => None,
        }
    }
}

/// How sessions travel over HTTP: in which cookie or header, behind which guard, with which answers.
///
/// It holds no state: an adapter calls [`Transport::read`] for each request and the [`Exchange`] that
/// comes of it for its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    pub(crate) cookie: SessionCookie,
    pub(crate) header: Option<HeaderCarrier>,
    pub(crate) same_origin: SameOrigin,
    pub(crate) when_ended: WhenEnded,
    pub(crate) clear_site_data: bool,
}

impl Transport {
    /// The default cookie, no header, the guard on for sign-in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The cookie.
    #[must_use]
    pub fn with_cookie(self, cookie: SessionCookie) -> Self {
        Self { cookie, ..self }
    }

    /// A header beside the cookie, for clients that keep none.
    #[must_use]
    pub fn with_header(self, header: HeaderCarrier) -> Self {
        Self {
            header: Some(header),
            ..self
        }
    }

    /// The guard against requests from other sites.
    #[must_use]
    pub fn with_same_origin(self, same_origin: SameOrigin) -> Self {
        Self {
            same_origin,
            ..self
        }
    }

    /// What happens when the session ended while the request was under way.
    #[must_use]
    pub fn with_when_ended(self, when_ended: WhenEnded) -> Self {
        Self { when_ended, ..self }
    }

    /// Whether a response that signs out also asks the browser to forget what it cached and stored of
    /// this origin (`Clear-Site-Data: "cache", "storage"`). Off by default.
    #[must_use]
    pub fn with_clear_site_data(self, clear_site_data: bool) -> Self {
        Self {
            clear_site_data,
            ..self
        }
    }

    /// The cookie.
    #[must_use]
    pub const fn cookie(&self) -> &SessionCookie {
        &self.cookie
    }

    /// The step of the request: which tokens it presents, how it wants them answered, and who sent it.
    /// Touches no store.
    #[must_use]
    pub fn read(&self, sessions: &Sessions, head: RequestHead<'_>) -> Exchange<'_> {
        let by_header = self.header.as_ref().and_then(|header| {
            let texts = header.read(head.headers)?;
            Some((Carrier::Header(header), sessions.read(texts)))
        });
        let (carrier, presented) = by_header.unwrap_or_else(|| {
            let presented = sessions.read(self.cookie.values(head.headers));
            (Carrier::Cookie, presented)
        });
        let verdict = match carrier {
            Carrier::Header(_) => OriginVerdict::Allowed,
            Carrier::Cookie => self.same_origin.judge(head),
        };
        let provenance = match verdict {
            OriginVerdict::Allowed => Provenance::Own,
            OriginVerdict::NeedsCsrfToken => Provenance::Unproven,
            OriginVerdict::Refused(_) => Provenance::Foreign,
        };
        let is_prefetch = head.is_prefetch();
        let presented = presented
            .as_prefetch(is_prefetch)
            .with_provenance(provenance);
        Exchange::new(self, carrier, presented, verdict, head)
    }
}
