//! Choosing a cookie's name and attributes.

use super::{Former, InvalidCookie, SessionCookie};

/// Which requests from other sites carry the cookie (RFC 6265bis, 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Top-level navigations with a safe method.
    #[default]
    Lax,
    /// All. Needs `Secure`.
    None,
}

/// How long a browser keeps the cookie. The server enforces the session's limits in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieLifetime {
    /// `Max-Age` until the session's absolute deadline, at most 400 days.
    #[default]
    UntilDeadline,
    /// `Max-Age` and, for programs that know nothing else, `Expires`, until the same instant.
    UntilDeadlineWithExpires,
    /// Neither: until the browser is closed, if it does not restore its tabs.
    BrowserSession,
}

/// A cookie's name and attributes, checked by [`CookieOptions::build`].
///
/// By default `__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=…`, what the OWASP Session
/// Management Cheat Sheet asks for.
///
/// ```
/// use session_http::{CookieOptions, InvalidCookie, SameSite};
///
/// let cookie = CookieOptions::new()
///     .with_name("__Secure-id")
///     .with_domain("example.com")
///     .with_same_site(SameSite::Strict)
///     .build()?;
/// assert_eq!(cookie.name(), "__Secure-id");
///
/// let refused = CookieOptions::new().with_secure(false).build();
/// assert_eq!(refused, Err(InvalidCookie::PrefixNeedsSecure("__Host-id".into())));
/// # Ok::<(), InvalidCookie>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
    pub(super) partitioned: bool,
    pub(super) lifetime: CookieLifetime,
    pub(super) former: Vec<Former>,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: "__Host-id".into(),
            path: "/".into(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            lifetime: CookieLifetime::UntilDeadline,
            former: Vec::new(),
        }
    }
}

impl CookieOptions {
    /// The default cookie.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name. One that begins with `__Host-`, `__Secure-`, `__Http-` or `__Host-Http-` binds the
    /// attributes.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The path below which the cookie is sent. It separates nothing: `/` is right almost always.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends the cookie to this host and all below it. Without one, to the very host that set it.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether the cookie travels over TLS (and to localhost) only.
    #[must_use]
    pub const fn with_secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether scripts in pages cannot see the cookie.
    #[must_use]
    pub const fn with_http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie.
    #[must_use]
    pub const fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Whether the cookie is kept apart for each site in which the application is embedded (CHIPS).
    #[must_use]
    pub const fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// How long a browser keeps the cookie.
    #[doc(alias = "with_expiry")]
    #[doc(alias = "with_max_age")]
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: CookieLifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A form that the cookie had before: it is read as well, and a response that sets the new form
    /// removes it.
    #[must_use]
    pub fn with_former(mut self, former: Former) -> Self {
        self.former.push(former);
        self
    }

    /// Checks that browsers will accept the cookie, and that it protects what its name says.
    ///
    /// # Errors
    ///
    /// An [`InvalidCookie`] that says what is wrong.
    pub fn build(self) -> Result<SessionCookie, InvalidCookie> {
        SessionCookie::build(self)
    }
}
