//! An in-process session store that never drops a live session silently, and a cache for slower ones.
//!
//! [`Cached`] is a tier in front of any other store: it answers from memory that a session lives, and
//! refuses what was ended elsewhere within a bound that the application states.
//!
//! [`MemoryStore`] is the store for one server, for tests and for trying things out: the whole contract
//! of [`SessionStore`](session_core::SessionStore), linearizable, by an injected clock. Sessions end
//! with the process; nothing is written anywhere.
//!
//! ```
//! use session_core::{Freshness, Loaded, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Timeouts};
//! use store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = MemoryStore::builder().max_sessions(100_000).build();
//!
//! let id = SessionId::generate(Shard::random());
//! let secret = SessionSecret::generate();
//! let record = NewRecord::new(secret.hash(), Timeouts::default());
//! store.create(id, &record).await?;
//! assert!(matches!(store.load(id, Freshness::Any).await?, Loaded::Live(_)));
//!
//! // Clones share the sessions.
//! assert!(store.clone().delete(id).await?);
//! assert!(matches!(store.load(id, Freshness::Any).await?, Loaded::Ended(_)));
//! # Ok::<(), session_core::StoreError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Full is an answer
//!
//! Without bounds the store holds what memory holds. With
//! [`max_sessions`](MemoryStoreBuilder::max_sessions) or [`max_bytes`](MemoryStoreBuilder::max_bytes) it
//! refuses what does not fit with [`ErrorKind::Full`](session_core::ErrorKind::Full), and changes
//! nothing: visitors at four fifths of a bound, users at all of it. Bounds are exact, also under
//! concurrency. No live session ever makes room for another, and no expired one takes it: what expired is
//! removed before anything is refused. [`MemoryStore::usage`] tells how much is held.
//!
//! # Expired sessions
//!
//! Whether a session lives is decided when it is read, to the millisecond. What expired leaves memory
//! without being read: sessions stand in a queue by the instant of their expiry, and each write removes a
//! few that are due, first in its own part of the store, then in another. A touch leaves the queue
//! alone; the session's instant is corrected when its turn comes. A store that nobody writes to keeps
//! what it holds until
//! [`purge_expired`](session_core::PurgeExpired::purge_expired) is called, as the lifecycle's upkeep does.
//!
//! # How it is built
//!
//! The shards are spread over 512 stripes. A session is in the shard of its subject, so one lock holds
//! all that a step concerns: the session, its subject's other sessions, its fence, the queue. The step
//! reads the clock under that lock, judges, takes what room it needs, and only then changes anything. No
//! call waits for anything else, and none is cut in half by a dropped future.
//!
//! A session's record stands in a slot of 32 bytes; the indices by id and by subject hold the numbers of
//! slots and compare with the records themselves. What was measured, and why the records are held by
//! striped maps and not by moka, stands in the crate's `README.md`.

mod abilities;
mod cached;
mod capacity;
mod expiry;
mod feed;
mod fences;
mod options;
mod store;
mod stripe;
mod stripes;
mod table;

pub use cached::{Cached, CachedBuilder, CachedUsage};
pub use capacity::Usage;
pub use options::MemoryStoreBuilder;
pub use store::MemoryStore;
