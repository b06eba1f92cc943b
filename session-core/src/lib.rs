//! One contract for session stores, and the session lifecycle written once above them.
//!
//! A session is **one record with a stable id**, changed only by **small atomic changes**, and it lives
//! with its subject: its user is set when it is made and never later. A backend implements
//! [`SessionStore`], eight verbs under one numbered contract; everything else is here, once: ids and
//! secrets, timeouts, verdicts on what a client presents, sign-in with a limit on concurrent sessions,
//! renewal, sign-out, unknown outcomes.
//!
//! # For applications
//!
//! [`Sessions`] is what an application sets up; a framework crate turns each request into a [`Session`].
//!
//! ```
//! use session_core::{HandlerOutcome, Key, Presented, Sessions, SignIn, Subject};
//! use store_memory::MemoryStore;
//!
//! const CART: Key<Vec<String>> = Key::new("cart");
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let sessions = Sessions::new(MemoryStore::new());
//! let session = sessions.open(Presented::nothing());
//! session.update(CART, async |cart| {
//!     let mut cart = cart.unwrap_or_default();
//!     cart.push("a book".to_owned());
//!     cart
//! }).await?;
//!
//! let ticket = sessions.begin_sign_in(&Subject::new("alice")?).await?;
//! // ... check the password, then:
//! session.sign_in(SignIn::new(ticket)).await?;
//! assert_eq!(session.subject().await?.as_deref(), Some("alice"));
//! assert_eq!(session.get(CART).await?.map(|cart| cart.len()), Some(1));
//!
//! session.sign_out_everywhere().await?;
//! session.commit(HandlerOutcome::Answered).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # For stores
//!
//! A store is little more than load and compare-and-swap, because what changes a record and who makes
//! room for a sign-in are pure functions: [`Record::apply`] and [`admit`]. Prove it with the crate
//! `session-conformance`.
//!
//! # Randomness and time
//!
//! Ids, secrets and revisions come from the operating system, time from a [`Clock`]. `Debug`, errors
//! and [events](Event) never show a secret, a hash or a token.

mod admit;
mod change;
mod coalesce;
mod deadline;
pub mod draining;
mod error;
mod feed;
mod id;
mod lifecycle;
mod limits;
mod name;
mod random;
mod record;
mod store;
mod ticket;
mod time;
mod token;
mod value;

pub use admit::admit;
pub use change::{Change, Renewal, Revision};
pub use coalesce::{BatchFailure, Coalescer, Coalescing, Transport};
pub use deadline::Deadline;
pub use draining::Draining;
pub use error::{Applied, ErrorKind, StoreError};
pub use feed::{Feed, FeedItem, FeedSource};
pub use id::{InvalidSessionId, SessionId, Shard, Sharding};
pub use lifecycle::{
    Commit, CommitOutcome, CookieAction, CorruptPolicy, Device, EndCause, Event, EventKind,
    HandlerOutcome, Keep, Key, MAX_PRESENTED, Named, Observer, Presented, Provenance, ReusePolicy,
    Session, SessionError, Sessions, SessionsBuilder, SignIn, Verdict,
};
pub use limits::{Bounds, LimitPolicy, SignInLimit, Size, Timeouts, TooLarge};
pub use name::{EntryName, InvalidName, MAX_NAME_BYTES, RESERVED_PREFIX, Subject};
pub use record::{
    Corrupt, Header, NewRecord, OVERLAP, Owner, REMEMBERED, Record, Refusal, SecretVerdict, Slot,
    Stamps, Standing, UNPRESENTED_GRACE,
};
pub use store::{
    Abilities, Admission, Application, ClockSource, Consistency, Creation, Ended, Freshness,
    Loaded, PurgeExpired, Scan, SessionStore, SharedStore, StoreFacts, Watch,
};
pub use ticket::{Fence, TICKET_LIFE, Ticket};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use token::{SecretHash, SessionSecret, SessionToken, TokenFormat};
pub use value::JsonText;
