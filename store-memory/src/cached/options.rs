//! How a tier is set up.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, ErrorKind, SessionStore, StoreError, SystemClock};
use tokio::runtime::Handle;

use super::copies::Copies;
use super::feed::Tasks;
use super::lease::Lease;
use super::moment::Clocks;
use super::store::Cached;
use super::tier::Tier;

/// Sets up a [`Cached`].
///
/// ```
/// use std::time::Duration;
///
/// use store_memory::{Cached, MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = MemoryStore::new();
/// let store = Cached::builder(source, Duration::from_secs(10))
///     .max_copies(100_000)
///     .max_bytes(256 << 20)
///     .start()?;
/// # Ok::<(), session_core::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct CachedBuilder<S> {
    source: S,
    bound: Duration,
    max_age: Duration,
    max_copies: usize,
    max_bytes: usize,
    clock: Arc<dyn Clock>,
}

/// The shortest bound there is.
const SHORTEST: Duration = Duration::from_millis(30);

impl<S: SessionStore> CachedBuilder<S> {
    pub(crate) fn new(source: S, bound: Duration) -> Self {
        let bound = bound.max(SHORTEST);
        Self {
            source,
            bound,
            max_age: bound,
            max_copies: 100_000,
            max_bytes: 256 << 20,
            clock: Arc::new(SystemClock),
        }
    }

    /// Answers from no copy that is older than `max_age`, counted from when its load began. Without this,
    /// than the bound.
    ///
    /// It is how long entries that another server changed may be missed, and last uses that it recorded.
    /// Ends and renewals are not its matter: they are heard. Longer than the bound is for sources that tell
    /// of changed entries as well, or for applications that do not mind.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Holds at most `max` copies; without this, 100,000. Choose the number of sessions that are in use
    /// within the bound. One too many makes room for another, which costs a load.
    pub fn max_copies(self, max: usize) -> Self {
        Self {
            max_copies: max,
            ..self
        }
    }

    /// Holds copies of at most `max` bytes, rounded up for each; without this, 256 MiB.
    pub fn max_bytes(self, max: usize) -> Self {
        Self {
            max_bytes: max,
            ..self
        }
    }

    /// Judges by `clock` whether a copy has expired, instead of by the operating system's. Give it the
    /// clock of a source that goes by an injected one.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Starts the tier, on the runtime that it is called in. It answers from memory once the first nonce
    /// has come back.
    ///
    /// # Errors
    ///
    /// `Config` if the source has no [`Watch`](session_core::Watch), or outside of a runtime.
    pub fn start(self) -> Result<Cached<S>, StoreError> {
        let refused = |why: &'static str| {
            StoreError::new(self.source.facts().name, ErrorKind::Config).because(why)
        };
        let runtime = Handle::try_current()
            .map_err(|_| refused("a cache needs the runtime that it is started in"))?;
        // Before anything is copied.
        let feed = match self.source.abilities().watch {
            Some(watch) => watch.watch(),
            None => return Err(refused("a cache needs a store that tells what ends: Watch")),
        };
        let tier = Arc::new(Tier::new(
            self.source,
            Clocks::new(self.clock),
            Lease::new(self.bound),
            Copies::new(self.max_copies, self.max_bytes, self.max_age),
            runtime.clone(),
        ));
        let tasks = Tasks::start(&tier, feed, &runtime);
        Ok(Cached::over(tier, tasks))
    }
}
