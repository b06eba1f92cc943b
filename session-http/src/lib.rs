//! Sessions over HTTP: the cookie, the header, the guard against other sites, and one step for the
//! request and one for the response that any framework's adapter can call.

mod cookie;
mod exchange;
mod fetch;
mod header;
mod origin;
mod problem;
mod transport;

pub use cookie::{CookieLifetime, CookieOptions, Former, InvalidCookie, SameSite, SessionCookie};
pub use exchange::Exchange;
pub use fetch::RequestHead;
pub use header::{HeaderCarrier, InvalidHeader};
pub use origin::{CrossOrigin, InvalidOrigin, OriginVerdict, SameOrigin};
pub use problem::Problem;
pub use transport::{Transport, WhenEnded};
