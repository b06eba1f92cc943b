//! The sessions of one application: a store, limits, and whoever observes them.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, EventKind, Observer, Observers};
use super::presented::Presented;
use super::queue::Queues;
use super::session::Session;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::limits::{SignInLimit, Timeouts};
use crate::name::Subject;
use crate::store::{SessionStore, SharedStore};
use crate::ticket::Ticket;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::token::{SessionToken, TokenFormat};

/// The sessions of one application. Cheap to clone; clones share everything.
///
/// It turns what a request presents into a [`Session`]. Framework crates do that for you; a program
/// without HTTP can use it directly.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: SharedStore,
    pub(super) clock: Box<dyn Clock>,
    pub(super) timeouts: Timeouts,
    pub(super) touch_interval: Duration,
    pub(super) limit: Option<SignInLimit>,
    pub(super) format: TokenFormat,
    pub(super) on_reuse: ReusePolicy,
    pub(super) on_corrupt: CorruptPolicy,
    pub(super) queues: Queues,
    observers: Observers,
}

/// What happens when a remembered old secret is presented long after a later one followed it. The
/// event [`EventKind::ReuseSuspected`] is told under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReusePolicy {
    /// The request gets an empty session.
    #[default]
    Ignore,
    /// The session is ended as well, for thief and owner alike.
    EndSession,
}

/// What happens when a stored session cannot be read: it was damaged, or written by another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CorruptPolicy {
    /// Using the session is an error, until the record is mended or ends.
    #[default]
    Refuse,
    /// The request gets an empty session, and a write makes a new one.
    StartAnew,
}

impl Sessions {
    /// Sessions in `store`, with everything else as by default.
    #[must_use]
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).build()
    }

    /// Sessions in `store`, to be set up.
    #[must_use]
    pub fn builder(store: impl SessionStore) -> SessionsBuilder {
        Self::shared_builder(Arc::new(store))
    }

    /// Sessions in a store that others hold as well.
    #[must_use]
    pub fn shared_builder(store: SharedStore) -> SessionsBuilder {
        SessionsBuilder {
            shared: Shared {
                store,
                clock: Box::new(SystemClock),
                timeouts: Timeouts::default(),
                touch_interval: Duration::from_secs(60),
                limit: None,
                format: TokenFormat::default(),
                on_reuse: ReusePolicy::default(),
                on_corrupt: CorruptPolicy::default(),
                queues: Queues::default(),
                observers: Observers::default(),
            },
        }
    }

    /// The session of a request that presents these tokens. Touches no store before it is used.
    #[must_use]
    pub fn open(&self, presented: Presented) -> Session {
        Session::open(self.clone(), presented)
    }

    /// Decodes the texts that a request presents, as these sessions spell their tokens.
    #[must_use]
    pub fn read<'a>(&self, texts: impl IntoIterator<Item = &'a [u8]>) -> Presented {
        Presented::read(&self.shared.format, texts)
    }

    /// Reads the subject's fence: the first step of a sign-in, before credentials are checked.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn begin_sign_in(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.shared.store.ticket(subject).await
    }

    /// The text of a token, to stand in a cookie.
    #[must_use]
    pub fn encode(&self, token: &SessionToken) -> String {
        self.shared.format.encode(token)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.shared.store
    }

    /// The present instant, by the clock that judges secrets.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The limits in time that a new session gets.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.shared.timeouts
    }

    pub(super) fn tell(&self, kind: EventKind, id: Option<SessionId>, subject: Option<&str>) {
        let subject = subject.and_then(|subject| Subject::new(subject).ok());
        self.shared.observers.tell(&Event {
            at: self.now(),
            kind,
            session: id,
            subject,
        });
    }
}

/// Sets up [`Sessions`].
#[derive(Debug)]
pub struct SessionsBuilder {
    shared: Shared,
}

impl SessionsBuilder {
    /// The limits in time that a new session gets, unless its sign-in says otherwise.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.shared.timeouts = timeouts;
        self
    }

    /// How often a session's last use is written at most; a tenth of its idle timeout if that is
    /// shorter. A minute by default.
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.shared.touch_interval = interval;
        self
    }

    /// How many sessions a subject may have at once. No limit by default.
    #[must_use]
    pub fn limit(mut self, limit: Option<SignInLimit>) -> Self {
        self.shared.limit = limit;
        self
    }

    /// How tokens are spelled.
    #[must_use]
    pub fn token_format(mut self, format: TokenFormat) -> Self {
        self.shared.format = format;
        self
    }

    /// What happens when an old secret turns up again.
    #[must_use]
    pub fn on_reuse(mut self, policy: ReusePolicy) -> Self {
        self.shared.on_reuse = policy;
        self
    }

    /// What happens when a stored session cannot be read.
    #[must_use]
    pub fn on_corrupt(mut self, policy: CorruptPolicy) -> Self {
        self.shared.on_corrupt = policy;
        self
    }

    /// The clock that judges secrets: the store's, or one close to it.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.shared.clock = Box::new(clock);
        self
    }

    /// Tells `observer` what happens from now on, besides those told already.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.shared.observers.0.push(Arc::new(observer));
        self
    }

    /// The sessions.
    #[must_use]
    pub fn build(self) -> Sessions {
        Sessions {
            shared: Arc::new(self.shared),
        }
    }
}
