//! Who waits for a load of which session.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use session_core::{Loaded, SessionId, StoreError};
use tokio::sync::oneshot::{self, Receiver, Sender};

pub(crate) type Answer = Result<Loaded, StoreError>;

/// Loads under way. One at a time runs for an id; whoever asks meanwhile waits for the next, which serves
/// all of them: so every answer is of a load that began after its question.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// By the ids for which one runs: who waits for the next.
    waiting: Mutex<HashMap<SessionId, Vec<Sender<Answer>>>>,
}

impl Loads {
    /// Waits for the next load of `id`. If none runs, the caller must see to it that one does: that
    /// is what the turn is for.
    pub(crate) fn ask(self: &Arc<Self>, id: SessionId) -> (Receiver<Answer>, Option<Turn>) {
        let (tell, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let runs = waiting.contains_key(&id);
        waiting.entry(id).or_default().push(tell);
        let turn = (!runs).then(|| Turn {
            loads: Arc::clone(self),
            id,
            is_over: false,
        });
        (answer, turn)
    }
}

/// The right, and the duty, to load a session for those who wait.
#[derive(Debug)]
pub(crate) struct Turn {
    loads: Arc<Loads>,
    id: SessionId,
    is_over: bool,
}

impl Turn {
    /// Takes those who wait, to load for them; none if nobody does, and then the turn is over.
    pub(crate) fn next(&mut self) -> Option<Vec<Sender<Answer>>> {
        let mut waiting = self.loads.waiting.lock();
        let mut next = std::mem::take(waiting.get_mut(&self.id)?);
        next.retain(|tell| !tell.is_closed());
        if next.is_empty() {
            waiting.remove(&self.id);
            self.is_over = true;
            return None;
        }
        Some(next)
    }
}

impl Drop for Turn {
    /// One that ends early leaves nobody behind who waits for it: they are told that no answer comes.
    fn drop(&mut self) {
        if !self.is_over {
            self.loads.waiting.lock().remove(&self.id);
        }
    }
}

/// Gives one answer to all who waited for it.
pub(crate) fn tell_all(waited: Vec<Sender<Answer>>, answer: &Answer) {
    for tell in waited {
        // Who went away needs no answer.
        let _ = tell.send(answer.clone());
    }
}
