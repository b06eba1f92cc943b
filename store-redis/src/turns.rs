//! One after the other: changes to one session that have met others.

use session_core::SessionId;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Queues for changes that were overtaken more than once, so that a hot session does not turn into a
/// storm of changes that overtake each other. Sessions share them.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Semaphore>);

const QUEUES: usize = 64;

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..QUEUES).map(|_| Semaphore::new(1)).collect())
    }

    /// Waits for a turn. The next one's begins when it is dropped.
    pub(crate) async fn turn(&self, id: SessionId) -> Option<SemaphorePermit<'_>> {
        let [.., last] = id.as_bytes();
        let queue = self.0.get(usize::from(*last) % QUEUES)?;
        queue.acquire().await.ok()
    }
}
