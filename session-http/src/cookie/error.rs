//! Why a cookie cannot be built.

/// Why browsers would refuse the cookie, or why it would not protect what its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCookie {
    /// The name is empty, or has a character that no cookie name may have (RFC 6265bis, 4.1.1).
    #[error("{0:?} is no cookie name")]
    Name(String),
    /// The prefix of the name demands `Secure` (RFC 6265bis, 4.1.3).
    #[error("a cookie named {0:?} must be Secure")]
    PrefixNeedsSecure(String),
    /// The prefix of the name demands `HttpOnly` (draft-ietf-httpbis-layered-cookies).
    #[error("a cookie named {0:?} must be HttpOnly")]
    PrefixNeedsHttpOnly(String),
    /// The prefix of the name forbids a `Domain` (RFC 6265bis, 4.1.3.2).
    #[error("a cookie named {0:?} must have no Domain")]
    PrefixForbidsDomain(String),
    /// The prefix of the name demands `Path=/` (RFC 6265bis, 4.1.3.2).
    #[error("a cookie named {0:?} must have Path=/")]
    PrefixNeedsRootPath(String),
    /// `SameSite=None` demands `Secure` (RFC 6265bis, 5.7).
    #[error("a cookie with SameSite=None must be Secure")]
    SameSiteNoneNeedsSecure,
    /// `Partitioned` demands `Secure` (CHIPS).
    #[error("a Partitioned cookie must be Secure")]
    PartitionedNeedsSecure,
    /// The path does not begin with `/`, or has a control character or a semicolon.
    #[error("{0:?} is no cookie path")]
    Path(String),
    /// The domain is no host name, such as `example.com`, without a dot before it.
    #[error("{0:?} is no cookie domain")]
    Domain(String),
    /// Name and value would be longer than 4096 bytes, or an attribute's value longer than 1024: a
    /// browser would drop the cookie, or the attribute (RFC 6265bis, 5.6).
    #[error("the cookie's {what} is longer than {max} bytes")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it may be.
        max: usize,
    },
    /// A former form is the present one.
    #[error("a former form of the cookie is its present form")]
    FormerIsPresent,
}
