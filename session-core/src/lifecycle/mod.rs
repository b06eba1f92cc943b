//! The lifecycle of a session, once, above every store.

mod commit;
mod device;
mod end;
mod error;
mod event;
mod key;
mod presented;
pub(crate) mod queue;
mod reserved;
mod session;
mod sessions;
mod settle;
mod sign_in;
mod state;
mod update;
mod upkeep;

pub use commit::{Commit, CommitOutcome, CookieAction, HandlerOutcome};
pub use device::Device;
pub use error::SessionError;
pub use event::{EndCause, Event, EventKind, Observer};
pub use key::{Key, Named};
pub use presented::{MAX_PRESENTED, Presented, Provenance, Verdict};
pub use session::Session;
pub use sessions::{CorruptPolicy, ReusePolicy, Sessions, SessionsBuilder};
pub use sign_in::{Keep, SignIn};
