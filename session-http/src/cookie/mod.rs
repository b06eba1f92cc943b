//! The session's cookie: read from requests, set and removed by responses.

mod error;
mod former;
mod options;
mod read;
mod rules;

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use session_core::{Timeouts, Timestamp};

pub use error::InvalidCookie;
pub use former::Former;
pub use options::{CookieLifetime, CookieOptions, SameSite};

/// A cookie whose name and attributes were checked, as [`CookieOptions::build`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    options: CookieOptions,
    /// What follows the name and value in every `Set-Cookie` of it.
    attributes: String,
    /// The `Set-Cookie` that removes it.
    removal: HeaderValue,
    /// Those that remove its former forms.
    former_removals: Vec<HeaderValue>,
}

/// An instant that every client takes for the past.
const PAST: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

impl SessionCookie {
    fn build(options: CookieOptions) -> Result<Self, InvalidCookie> {
        let options = rules::check(options)?;
        let attributes = attributes(&options);
        let removal = removal(&options.name, &attributes)?;
        let former_removals = options
            .former
            .iter()
            .map(|former| removal_of_former(&options, former))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            options,
            attributes,
            removal,
            former_removals,
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The name and attributes, to build another from, or to show them.
    #[must_use]
    pub const fn options(&self) -> &CookieOptions {
        &self.options
    }

    /// The attributes of every `Set-Cookie`, as `Path=/; Secure; HttpOnly; SameSite=Lax`. Of the
    /// lifetime they say nothing: it depends on the session.
    #[must_use]
    pub fn attributes(&self) -> &str {
        &self.attributes
    }

    /// The values of all cookies of this name, or of a former one, in a request's `Cookie` headers.
    pub(crate) fn values<'a>(
        &'a self,
        headers: &'a http::HeaderMap,
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        headers
            .get_all(http::header::COOKIE)
            .into_iter()
            .flat_map(|header| read::pairs(header.as_bytes()))
            .filter(|(name, _)| self.is_name(name))
            .map(|(_, value)| value)
    }

    fn is_name(&self, name: &[u8]) -> bool {
        name == self.options.name.as_bytes()
            || self
                .options
                .former
                .iter()
                .any(|former| name == former.name.as_bytes())
    }

    /// The `Set-Cookie` headers that set `token`: its own, and the removal of each former form.
    pub(crate) fn set(&self, token: &str, max_age: Duration, now: Timestamp) -> Vec<HeaderValue> {
        let mut text = format!("{}={token}; {}", self.options.name, self.attributes);
        let max_age = max_age.min(Timeouts::MAX_ABSOLUTE).as_secs();
        if self.options.lifetime != CookieLifetime::BrowserSession {
            // Writing to a `String` does not fail.
            let _ = write!(text, "; Max-Age={max_age}");
        }
        if self.options.lifetime == CookieLifetime::UntilDeadlineWithExpires {
            let at = now + Duration::from_secs(max_age);
            let at = UNIX_EPOCH + Duration::from_millis(at.as_millis());
            let _ = write!(text, "; Expires={}", httpdate::fmt_http_date(at));
        }
        let mut headers = Vec::with_capacity(1 + self.former_removals.len());
        // The token is base64url and the rest was checked, so this is a header value.
        headers.extend(HeaderValue::try_from(text).ok().map(sensitive));
        headers.extend(self.former_removals.iter().cloned());
        headers
    }

    /// The `Set-Cookie` header that removes the cookie.
    pub(crate) fn removal(&self) -> HeaderValue {
        self.removal.clone()
    }
}

/// Keeps the value out of `Debug` output and of HPACK's table.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

impl Default for SessionCookie {
    /// `__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=…`
    fn default() -> Self {
        let options = CookieOptions::default();
        let attributes = attributes(&options);
        Self {
            removal: HeaderValue::from_static(
                "__Host-id=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
                 Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            options,
            attributes,
            former_removals: Vec::new(),
        }
    }
}

fn attributes(options: &CookieOptions) -> String {
    let mut text = format!("Path={}", options.path);
    if let Some(domain) = &options.domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if options.secure {
        text.push_str("; Secure");
    }
    if options.http_only {
        text.push_str("; HttpOnly");
    }
    text.push_str(match options.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
    });
    if options.partitioned {
        text.push_str("; Partitioned");
    }
    text
}

fn removal(name: &str, attributes: &str) -> Result<HeaderValue, InvalidCookie> {
    HeaderValue::try_from(format!("{name}=; {attributes}; Max-Age=0; Expires={PAST}"))
        .map_err(|_| InvalidCookie::Name(name.to_owned()))
}

fn removal_of_former(
    options: &CookieOptions,
    former: &Former,
) -> Result<HeaderValue, InvalidCookie> {
    let form = rules::check(CookieOptions {
        name: former.name.clone(),
        path: former.path.clone(),
        domain: former.domain.clone(),
        secure: former.secure,
        partitioned: former.partitioned,
        same_site: if former.secure {
            options.same_site
        } else {
            SameSite::Lax
        },
        former: Vec::new(),
        ..options.clone()
    })?;
    let place = |options: &CookieOptions| {
        (
            options.name.clone(),
            options.path.clone(),
            options.domain.clone(),
            options.partitioned,
        )
    };
    if place(&form) == place(options) {
        return Err(InvalidCookie::FormerIsPresent);
    }
    removal(&form.name, &attributes(&form))
}

impl From<SessionCookie> for CookieOptions {
    fn from(cookie: SessionCookie) -> Self {
        cookie.options
    }
}
