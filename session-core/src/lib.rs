//! One contract for session stores, and the session lifecycle written once above them.

mod admit;
mod change;
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
