//! The handle that an application works with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::error::SessionError;
use super::key::Named;
use super::presented::{Presented, Verdict};
use super::sessions::Sessions;
use super::state::{Base, State};
use crate::id::SessionId;
use crate::limits::{Size, TooLarge};
use crate::name::EntryName;
use crate::record::Record;
use crate::time::Timestamp;
use crate::value::JsonText;

/// The session of one request. Cheap to clone; clones share it, and no type says which store it is in.
///
/// It is loaded on first use: a request that does not use it costs nothing, and one that writes nothing
/// stores nothing and sets no cookie. Edits wait for one commit before the head of the response; what
/// concerns sign-in and sign-out happens at once, on a task that goes on if the caller is dropped.
///
/// ```
/// # use session_core::{Key, Presented, SessionError, Sessions};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// const VISITS: Key<u32> = Key::new("visits");
///
/// let session = Sessions::new(store_memory::MemoryStore::new()).open(Presented::nothing());
/// let visits = session.get(VISITS).await?.unwrap_or(0);
/// session.insert(VISITS, &(visits + 1)).await?;
/// assert_eq!(session.get(VISITS).await?, Some(1));
/// # Ok::<(), SessionError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) sessions: Sessions,
    pub(super) presented: Presented,
    pub(super) arrived_at: Timestamp,
    used: AtomicBool,
    opened: OnceCell<()>,
    state: Mutex<State>,
    /// What happens at once happens one after the other.
    turn: Arc<Semaphore>,
}

impl Session {
    pub(super) fn open(sessions: Sessions, presented: Presented) -> Self {
        let arrived_at = sessions.now();
        let inner = Inner {
            sessions,
            presented,
            arrived_at,
            used: AtomicBool::new(false),
            opened: OnceCell::new(),
            state: Mutex::new(State::new()),
            turn: Arc::new(Semaphore::new(1)),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The value of an entry; nothing if there is no such entry, or no session.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the entry does not hold a `T`; the store's failure to load.
    pub async fn get<T: DeserializeOwned>(
        &self,
        key: impl Named<T>,
    ) -> Result<Option<T>, SessionError> {
        let text = self.text(key.name()).await?;
        text.map(|text| decode(key.name(), &text)).transpose()
    }

    /// The JSON text of an entry, as it was written.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn text(&self, name: &str) -> Result<Option<String>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.text(name)))
    }

    /// The names of all entries, in order.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn names(&self) -> Result<Vec<String>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.names()))
    }

    /// Whether the session has no entries.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn is_empty(&self) -> Result<bool, SessionError> {
        Ok(self.names().await?.is_empty())
    }

    /// Sets an entry, at the commit. Without a session, the commit makes one.
    ///
    /// # Errors
    ///
    /// A value that does not encode or is too large, a name that is none or reserved; a session that is
    /// superseded, ended or committed; the store's failure to load.
    pub async fn insert<T: Serialize>(
        &self,
        key: impl Named<T>,
        value: &T,
    ) -> Result<(), SessionError> {
        let text = encode(key.name(), value)?;
        self.insert_text(key.name(), text).await
    }

    /// Sets an entry to a JSON text, kept byte for byte.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`].
    pub async fn insert_text(&self, name: &str, value: JsonText) -> Result<(), SessionError> {
        let name = writable(name)?;
        self.check_size(&value)?;
        self.edit(|pending| pending.set(name, value)).await
    }

    /// Removes an entry, at the commit, and returns what it held.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`]; [`SessionError::Decode`], with the entry removed all the same.
    pub async fn remove<T: DeserializeOwned>(
        &self,
        key: impl Named<T>,
    ) -> Result<Option<T>, SessionError> {
        let name = writable(key.name())?;
        let before = self.text(name.as_str()).await?;
        if before.is_some() {
            self.edit(|pending| pending.remove(name)).await?;
        }
        before.map(|text| decode(key.name(), &text)).transpose()
    }

    /// Removes all entries, at the commit. The session, and who is signed in, stay.
    ///
    /// # Errors
    ///
    /// A session that is superseded, ended or committed; the store's failure to load.
    pub async fn clear(&self) -> Result<(), SessionError> {
        self.edit(crate::Change::clear).await
    }

    /// The public id; nothing if there is no session.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn id(&self) -> Result<Option<SessionId>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.live().map(|live| live.id)))
    }

    /// The record as the store last gave it, without pending edits; nothing if there is no session.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn record(&self) -> Result<Option<Record>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.live().map(|live| live.record.clone())))
    }

    /// Who is signed in.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn subject(&self) -> Result<Option<String>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| Some(state.live()?.record.subject()?.to_owned())))
    }

    /// When the session ends unless it is used again; nothing if there is none.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn expires_at(&self) -> Result<Option<Timestamp>, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.live().map(|live| live.record.expires_at())))
    }

    /// What the presented token is worth.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn verdict(&self) -> Result<Verdict, SessionError> {
        self.load().await?;
        Ok(self.state(|state| match &state.base {
            Base::Empty { unknown: false } => Verdict::None,
            Base::Empty { unknown: true } => Verdict::Unknown,
            Base::Superseded => Verdict::Superseded,
            Base::Live(_) | Base::Ended => Verdict::Accepted,
        }))
    }

    /// Whether this request has no session yet, or made the one it has.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn is_new(&self) -> Result<bool, SessionError> {
        self.load().await?;
        Ok(self.state(|state| state.is_new || state.live().is_none()))
    }

    /// Whether edits wait for the commit.
    #[must_use]
    pub fn is_modified(&self) -> bool {
        self.state(|state| state.pending.has_edits())
    }

    /// The sessions that this one is one of.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Loads the session if it was not loaded yet. A failure is not remembered: the next use tries again.
    pub(super) async fn load(&self) -> Result<(), SessionError> {
        let inner = &self.inner;
        inner.used.store(true, Ordering::Relaxed);
        let open = || async {
            let opened = inner
                .sessions
                .judge(&inner.presented, inner.arrived_at)
                .await?;
            inner.state.lock().open(opened);
            Ok(())
        };
        inner.opened.get_or_try_init(open).await.copied()
    }

    /// Whether anybody wanted it loaded.
    pub(super) fn was_used(&self) -> bool {
        self.inner.used.load(Ordering::Relaxed)
    }

    pub(super) fn was_loaded(&self) -> bool {
        self.inner.opened.initialized()
    }

    pub(super) fn state<R>(&self, read: impl FnOnce(&mut State) -> R) -> R {
        read(&mut self.inner.state.lock())
    }

    pub(super) async fn edit(
        &self,
        edit: impl FnOnce(crate::Change) -> crate::Change,
    ) -> Result<(), SessionError> {
        self.load().await?;
        self.state(|state| {
            if state.committed {
                return Err(SessionError::Committed);
            }
            match state.base {
                Base::Superseded => Err(SessionError::Superseded),
                Base::Ended => Err(SessionError::Ended),
                Base::Empty { .. } | Base::Live(_) => {
                    state.edit(edit);
                    Ok(())
                }
            }
        })
    }

    pub(super) fn check_size(&self, value: &JsonText) -> Result<(), TooLarge> {
        let max = self.sessions().store().facts().bounds.value_bytes;
        let len = value.as_str().len();
        if len > max {
            Err(TooLarge {
                what: Size::Value,
                len,
                max,
            })
        } else {
            Ok(())
        }
    }

    /// Runs `work` on a task of its own, after what this session does at once already: it goes on if the
    /// caller is dropped.
    pub(super) async fn at_once<T, F>(
        &self,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, SessionError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SessionError>> + Send,
    {
        let session = self.clone();
        let task = tokio::spawn(async move {
            let _turn = session.turn().await;
            work(session.clone()).await
        });
        match task.await {
            Ok(answer) => answer,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            Err(_) => Err(SessionError::from(
                crate::StoreError::new("session", crate::ErrorKind::Unavailable).unknown(),
            )),
        }
    }

    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.turn).acquire_owned().await.ok()
    }
}

/// The name of an entry that an application may write.
pub(super) fn writable(name: &str) -> Result<EntryName, SessionError> {
    let name = EntryName::new(name)?;
    if name.is_reserved() {
        return Err(SessionError::Reserved(name.into()));
    }
    Ok(name)
}

pub(super) fn decode<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, SessionError> {
    serde_json::from_str(text).map_err(|source| SessionError::Decode {
        name: name.to_owned(),
        source: Arc::new(source),
    })
}

pub(super) fn encode<T: Serialize + ?Sized>(
    name: &str,
    value: &T,
) -> Result<JsonText, SessionError> {
    JsonText::encode(value).map_err(|source| SessionError::Encode {
        name: name.to_owned(),
        source: Arc::new(source),
    })
}
