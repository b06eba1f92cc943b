//! One queue per session for its read-modify-writes, so that a hot session does not turn into a storm
//! of conflicts.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::id::SessionId;

/// The queues of the sessions that are being updated in this process right now, and no others.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<SessionId, Weak<Semaphore>>>);

/// How long an update waits for those before it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A turn in a session's queue; the next caller's begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Queues {
    /// Waits for a turn, at most [`LONGEST_WAIT`]. Turns come in the order of the calls.
    pub(crate) async fn turn(&self, id: SessionId) -> Option<Turn> {
        let queue = self.queue(id);
        let permit = tokio::time::timeout(LONGEST_WAIT, queue.acquire_owned())
            .await
            .ok()?
            .ok()?;
        Some(Turn { _permit: permit })
    }

    fn queue(&self, id: SessionId) -> Arc<Semaphore> {
        let mut queues = self.0.lock();
        if let Some(queue) = queues.get(&id).and_then(Weak::upgrade) {
            return queue;
        }
        // Those that nobody waits in any more go when the map would have to grow.
        if queues.len() == queues.capacity() {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Semaphore::new(1));
        queues.insert(id, Arc::downgrade(&queue));
        queue
    }
}
