//! Sessions over HTTP, for any framework: the cookie, the header, the guard against other sites, and one
//! step for the request and one for the response. What a session *is* stands in [`session_core`];
//! this crate knows what travels.
//!
//! ```
//! use http::{HeaderMap, Request};
//! use session_core::{HandlerOutcome, Sessions};
//! use session_http::{RequestHead, Transport};
//! use store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let sessions = Sessions::new(MemoryStore::new());
//! let transport = Transport::new();
//!
//! let request = Request::get("https://example.com/").body(())?;
//! let exchange = transport.read(&sessions, RequestHead::from(&request));
//! let session = exchange.open(&sessions);
//! session.insert("visits", &1).await?;
//!
//! let commit = session.commit(HandlerOutcome::Answered).await;
//! let mut headers = HeaderMap::new();
//! exchange.write(&sessions, &commit, &mut headers);
//! assert!(headers["set-cookie"].to_str()?.starts_with("__Host-id="));
//! assert_eq!(headers["cache-control"], "no-store");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a response carries
//!
//! | the request | its response |
//! |---|---|
//! | does not use the session | nothing |
//! | reads it | `Vary: Cookie`; `Cache-Control: private`, or `no-store` if somebody is signed in, unless the application chose another |
//! | makes one, signs in, renews | `Set-Cookie` with the new token; `Cache-Control: no-store` |
//! | destroys it | `Set-Cookie` that removes it; `no-store`; `Clear-Site-Data` if asked for |
//! | presents an unknown token and uses it | no `Set-Cookie`, but one that removes it if the request is a navigation and no prefetch |
//! | presents a superseded token | no `Set-Cookie`, unless it signs in |
//! | writes to a session that ended meanwhile | 409 if its method is unsafe, and no `Set-Cookie` |
//! | uses the session and the store is out of reach | 503, and no `Set-Cookie` but that of a completed sign-in |

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
pub use origin::{CrossOrigin, InvalidOrigin, OriginVerdict, SameOrigin, require_own};
pub use problem::Problem;
pub use transport::{Transport, WhenEnded};
