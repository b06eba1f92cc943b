//! The layer that gives each request its session.

use std::sync::Arc;

use session_core::Sessions;
use session_http::{
    CookieLifetime, CookieOptions, Former, HeaderCarrier, InvalidCookie, SameOrigin, SameSite,
    SessionCookie, Transport, WhenEnded,
};
use tower_layer::Layer;

use crate::service::SessionService;

/// Gives each request its [`Session`](session_core::Session), and commits it before the head of the
/// response.
///
/// `SessionLayer::new(sessions)` is ready to use. Once one of the cookie's attributes is chosen, the
/// layer has to be [built](SessionLayer::build), which checks that they go together.
///
/// ```
/// use session_core::Sessions;
/// use session_http::SameSite;
/// use session_tower::SessionLayer;
/// use store_memory::MemoryStore;
///
/// let layer = SessionLayer::new(Sessions::new(MemoryStore::new()))
///     .with_name("id")
///     .with_secure(false)
///     .with_same_site(SameSite::Strict)
///     .build()?;
/// # Ok::<(), session_http::InvalidCookie>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer<C = SessionCookie> {
    sessions: Sessions,
    // Shared: axum applies a layer to every route anew for each connection.
    transport: Arc<Transport>,
    cookie: Arc<C>,
}

impl SessionLayer {
    /// A layer with the default cookie, `__Host-id=…; Path=/; Secure; HttpOnly; SameSite=Lax`.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            transport: Arc::new(Transport::new()),
            cookie: Arc::default(),
        }
    }
}

impl SessionLayer<CookieOptions> {
    /// Checks the cookie.
    ///
    /// # Errors
    ///
    /// An [`InvalidCookie`] that says what does not go together.
    pub fn build(self) -> Result<SessionLayer, InvalidCookie> {
        let cookie = Arc::unwrap_or_clone(self.cookie).build()?;
        let transport = Arc::unwrap_or_clone(self.transport).with_cookie(cookie.clone());
        Ok(SessionLayer {
            sessions: self.sessions,
            transport: Arc::new(transport),
            cookie: Arc::new(cookie),
        })
    }
}

/// The cookie's name and attributes: see [`CookieOptions`].
impl<C: Clone + Into<CookieOptions>> SessionLayer<C> {
    fn with(
        self,
        choose: impl FnOnce(CookieOptions) -> CookieOptions,
    ) -> SessionLayer<CookieOptions> {
        SessionLayer {
            sessions: self.sessions,
            transport: self.transport,
            cookie: Arc::new(choose(Arc::unwrap_or_clone(self.cookie).into())),
        }
    }

    /// All of the cookie's options at once.
    #[must_use]
    pub fn with_cookie(self, cookie: CookieOptions) -> SessionLayer<CookieOptions> {
        self.with(|_| cookie)
    }

    /// See [`CookieOptions::with_name`].
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_name(name))
    }

    /// See [`CookieOptions::with_path`].
    #[must_use]
    pub fn with_path(self, path: impl Into<String>) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_path(path))
    }

    /// See [`CookieOptions::with_domain`].
    #[must_use]
    pub fn with_domain(self, domain: impl Into<String>) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_domain(domain))
    }

    /// See [`CookieOptions::with_secure`].
    #[must_use]
    pub fn with_secure(self, secure: bool) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_secure(secure))
    }

    /// See [`CookieOptions::with_http_only`].
    #[must_use]
    pub fn with_http_only(self, http_only: bool) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_http_only(http_only))
    }

    /// See [`CookieOptions::with_same_site`].
    #[must_use]
    pub fn with_same_site(self, same_site: SameSite) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_same_site(same_site))
    }

    /// See [`CookieOptions::with_partitioned`].
    #[must_use]
    pub fn with_partitioned(self, partitioned: bool) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_partitioned(partitioned))
    }

    /// See [`CookieOptions::with_lifetime`].
    #[doc(alias = "with_expiry")]
    #[must_use]
    pub fn with_lifetime(self, lifetime: CookieLifetime) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_lifetime(lifetime))
    }

    /// See [`CookieOptions::with_former`].
    #[must_use]
    pub fn with_former(self, former: Former) -> SessionLayer<CookieOptions> {
        self.with(|cookie| cookie.with_former(former))
    }
}

impl<C> SessionLayer<C> {
    fn through(self, choose: impl FnOnce(Transport) -> Transport) -> Self {
        Self {
            transport: Arc::new(choose(Arc::unwrap_or_clone(self.transport))),
            ..self
        }
    }

    /// See [`Transport::with_header`].
    #[must_use]
    pub fn with_header(self, header: HeaderCarrier) -> Self {
        self.through(|transport| transport.with_header(header))
    }

    /// See [`Transport::with_same_origin`].
    #[must_use]
    pub fn with_same_origin(self, same_origin: SameOrigin) -> Self {
        self.through(|transport| transport.with_same_origin(same_origin))
    }

    /// See [`Transport::with_when_ended`].
    #[must_use]
    pub fn with_when_ended(self, when_ended: WhenEnded) -> Self {
        self.through(|transport| transport.with_when_ended(when_ended))
    }

    /// See [`Transport::with_clear_site_data`].
    #[must_use]
    pub fn with_clear_site_data(self, clear_site_data: bool) -> Self {
        self.through(|transport| transport.with_clear_site_data(clear_site_data))
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.sessions.clone(), Arc::clone(&self.transport))
    }
}
