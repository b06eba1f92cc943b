//! Forms that a cookie had before.

/// A name, path and domain that the session's cookie had before, and that browsers may still hold.
///
/// ```
/// use session_http::{CookieOptions, Former};
///
/// let cookie = CookieOptions::new()
///     .with_former(Former::new("sid").with_path("/app").with_domain("example.com"))
///     .build()?;
/// # Ok::<(), session_http::InvalidCookie>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
    pub(super) partitioned: bool,
}

impl Former {
    /// A cookie of this name, with `Path=/; Secure` and no domain.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            secure: true,
            partitioned: false,
        }
    }

    /// Its path.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Its domain.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether it was `Secure`.
    #[must_use]
    pub const fn with_secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether it was `Partitioned`.
    #[must_use]
    pub const fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }
}
