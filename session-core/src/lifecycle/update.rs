//! Atomic read-modify-write of one entry.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::SessionError;
use super::key::Named;
use super::session::{Session, decode, encode, writable};
use super::state::{Base, Live};
use crate::change::Change;
use crate::store::{Freshness, Loaded};

/// How often a read-modify-write starts over because another server was faster.
const TRIES: u32 = 64;

impl Session {
    /// Reads an entry, lets `f` make a new value of it, and writes that, as if nothing happened in
    /// between: a hundred concurrent increments make a hundred. Returns what was written.
    ///
    /// In one process, updates of one session take turns, each waiting for at most 30 s; between processes the write is guarded, and
    /// `f` runs again if another was faster, at most 64 times. Pending edits are stored first.
    ///
    /// ```
    /// # use session_core::{Presented, SessionError, Sessions};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let session = Sessions::new(store_memory::MemoryStore::new()).open(Presented::nothing());
    /// let n: u32 = session.update("n", async |n: Option<u32>| n.unwrap_or(0) + 1).await?;
    /// assert_eq!(n, 1);
    /// # Ok::<(), SessionError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Conflict`] when others are faster every time; otherwise as [`Session::insert`] and
    /// [`Session::save`].
    pub async fn update<T, F, V>(&self, key: impl Named<T>, mut f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        // Not `AsyncFnMut`: of a closure that holds a reference, the compiler would not see that its
        // future is `Send`, and no handler could call this.
        F: FnMut(Option<T>) -> V,
        V: Future<Output = T>,
    {
        let name = writable(key.name())?;
        self.save().await?;
        let Some(id) = self.id().await? else {
            return self.update_first(&key, f).await;
        };
        let turn = self.sessions().shared.queues.turn(id).await;
        let _turn = turn.ok_or(SessionError::Conflict)?;
        for attempt in 0..TRIES {
            let live = self.fresh().await?;
            let before = live.record.get(name.as_str());
            let before = before.map(|text| decode(name.as_str(), text)).transpose()?;
            let value = f(before).await;
            let text = encode(name.as_str(), &value)?;
            self.check_size(&text)?;
            let change = Change::new()
                .set(name.clone(), text)
                .guarded_by(live.record.revision());
            let applied = self
                .at_once(move |session| async move {
                    let change = session.with_use(change, &live);
                    session.apply(&live, change).await
                })
                .await;
            match applied {
                Err(SessionError::Conflict) => back_off(attempt).await,
                Err(error) => return Err(self.note_end(error)),
                Ok(_) => return Ok(value),
            }
        }
        Err(SessionError::Conflict)
    }

    /// Without a session nobody else can have one: the first value makes it.
    async fn update_first<T, F, V>(&self, key: &impl Named<T>, mut f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> V,
        V: Future<Output = T>,
    {
        let value = f(None).await;
        self.insert_text(key.name(), encode(key.name(), &value)?)
            .await?;
        self.save().await?;
        Ok(value)
    }

    /// The session as it is now at the source.
    async fn fresh(&self) -> Result<Live, SessionError> {
        let live = match self.state(|state| state.base.clone()) {
            Base::Live(live) => live,
            Base::Superseded => return Err(SessionError::Superseded),
            Base::Empty { .. } | Base::Ended => return Err(SessionError::Ended),
        };
        match self
            .sessions()
            .store()
            .load(live.id, Freshness::Source)
            .await?
        {
            Loaded::Live(record) => {
                self.state(|state| state.refresh(live.id, record));
                self.state(|state| state.live().cloned())
                    .ok_or(SessionError::Ended)
            }
            Loaded::Ended(_) | Loaded::Absent => Err(self.note_end(SessionError::Ended)),
        }
    }
}

/// Lets the faster ones finish: up to 64 ms, a random part of it.
async fn back_off(attempt: u32) {
    let [random] = crate::random::bytes();
    let most = 1_u64 << attempt.min(6);
    tokio::time::sleep(std::time::Duration::from_millis(
        u64::from(random) * most / 256,
    ))
    .await;
}
