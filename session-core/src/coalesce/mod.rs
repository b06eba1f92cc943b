//! Coalescing: operations that arrive while others are under way are sent together.

mod batch;
mod queue;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::error::{Applied, ErrorKind, StoreError};
use crate::id::SessionId;
use batch::Batch;
use queue::Queue;

/// How a batch of operations reaches a server: what a store gives a [`Coalescer`].
pub trait Transport: Send + Sync + 'static {
    /// What is sent.
    type Operation: Send + Sync + 'static;
    /// What comes back for it.
    type Answer: Send + 'static;
    /// What one batch goes by: a connection, say. Dropped unused, it goes back to where it came from.
    type Line: Send;

    /// The store's name, for errors.
    fn store(&self) -> &'static str;

    /// What is known of an operation that was sent and never answered: `No` if it changes nothing.
    fn in_doubt(&self) -> Applied;

    /// About how many bytes `operation` adds to a batch.
    fn bytes(&self, operation: &Self::Operation) -> usize;

    /// The session that `operation` must have to itself in its batch, if any.
    fn session(&self, operation: &Self::Operation) -> Option<SessionId>;

    /// Waits for something to send by. No operation is committed to a batch before it is there. Dropped at
    /// `deadline`.
    fn line(
        &self,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Line, StoreError>> + Send;

    /// Sends operations, at least one, and gives the answer to each in their order. Dropped at the latest
    /// deadline of their callers, and if a lone operation's caller goes away.
    fn send(
        &self,
        line: Self::Line,
        operations: &[Self::Operation],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, BatchFailure>> + Send;
}

/// Why a whole batch failed.
#[derive(Debug)]
pub enum BatchFailure {
    /// Each operation would have failed in this way: each caller hears of it.
    All(StoreError),
    /// One of them may be to blame, and nothing of the batch was applied: each half is sent again, until
    /// that one is alone. As [`All`](Self::All) if the error does not say that nothing was
    /// [applied](Applied::No).
    OneOfThem(StoreError),
}

/// How much is sent together, and how much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalescing {
    /// How many batches are under way at most, 2 by default, besides an operation that found the store
    /// idle. More of them pay if each waits for a disk; fewer make larger batches.
    pub flights: usize,
    /// How many operations a batch holds at most, 64 by default. Twice as many are hardly faster, and a
    /// failure that one of them causes costs the others more.
    pub batch_operations: usize,
    /// How many bytes a batch holds at most, 1 MiB by default. A larger operation goes alone.
    pub batch_bytes: usize,
    /// How many operations wait at most, 16,384 by default: more than a server answers within the time
    /// limit need no place. Those beyond are refused at once.
    pub waiting_operations: usize,
    /// How many bytes wait at most, 64 MiB by default: what a store may cost in memory while its server is
    /// slow. An operation that finds nothing waiting is taken whatever its size.
    pub waiting_bytes: usize,
}

impl Default for Coalescing {
    fn default() -> Self {
        Self {
            flights: 2,
            batch_operations: 64,
            batch_bytes: 1 << 20,
            waiting_operations: 1 << 14,
            waiting_bytes: 1 << 26,
        }
    }
}

/// Sends operations to a server, those that arrive while others are under way together.
///
/// No timer holds anything back. An operation that finds the store idle is sent at once, on its caller's
/// own task. Others wait for one of a few [flights](Coalescing::flights), tasks that take what has
/// gathered, send it, hand out the answers, and end when nothing waits.
///
/// - Each caller gets its own answer or error, by its own deadline. An operation whose deadline passed
///   before it was sent is never sent, and the error says so.
/// - A caller that goes away disturbs nobody: its operation is sent whole, or, if it was still waiting,
///   not at all.
/// - A batch that failed is split and sent again only after a failure that is certain to have changed
///   nothing. So an operation that the server cannot bear fails alone.
/// - What waits is bounded. Beyond the bound, `Unavailable` at once.
///
/// Operations at the same time have no order among themselves.
///
/// ```
/// use std::time::Duration;
/// use session_core::{
///     Applied, BatchFailure, Coalescer, Coalescing, Deadline, SessionId, StoreError, Transport,
/// };
///
/// /// A server that squares numbers.
/// struct Squares;
///
/// impl Transport for Squares {
///     type Operation = u64;
///     type Answer = u64;
///     type Line = ();
///
///     fn store(&self) -> &'static str {
///         "squares"
///     }
///     fn in_doubt(&self) -> Applied {
///         Applied::No
///     }
///     fn bytes(&self, _: &u64) -> usize {
///         8
///     }
///     fn session(&self, _: &u64) -> Option<SessionId> {
///         None
///     }
///     async fn line(&self, _: Deadline) -> Result<(), StoreError> {
///         Ok(())
///     }
///     async fn send(
///         &self,
///         (): (),
///         numbers: &[u64],
///     ) -> Result<Vec<Result<u64, StoreError>>, BatchFailure> {
///         Ok(numbers.iter().map(|number| Ok(number * number)).collect())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let squares = Coalescer::new(Squares, Coalescing::default());
/// let deadline = Deadline::after(Duration::from_secs(1));
/// assert_eq!(squares.call(7, deadline).await?, 49);
/// # Ok::<(), StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Coalescer<T: Transport>(Arc<Shared<T>>);

struct Shared<T: Transport> {
    transport: T,
    bounds: Coalescing,
    queue: Mutex<Queue<T>>,
}

impl<T: Transport> Coalescer<T> {
    /// Sends by `transport`, within `bounds`.
    #[must_use]
    pub fn new(transport: T, bounds: Coalescing) -> Self {
        Self(Arc::new(Shared {
            transport,
            bounds,
            queue: Mutex::new(Queue::new()),
        }))
    }

    /// What it sends by.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.0.transport
    }

    /// Sends an operation, and waits for its answer until `deadline` at most.
    ///
    /// # Errors
    ///
    /// What the transport gives for this operation; `Unavailable` at the deadline, or at once if as much
    /// waits as may.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn call(
        &self,
        operation: T::Operation,
        deadline: Deadline,
    ) -> Result<T::Answer, StoreError> {
        let shared = &self.0;
        let place = match shared.enter(operation, deadline)? {
            Entrance::Idle(operation) => {
                let _flight = Flight::alone(shared);
                // Boxed, or all that go together would carry room for what only this one does.
                return Box::pin(shared.send_alone(operation, deadline)).await;
            }
            Entrance::Waiting {
                place,
                needs_flight,
            } => {
                if needs_flight {
                    tokio::spawn(Arc::clone(shared).fly());
                }
                place
            }
        };
        place.answer(deadline).await
    }
}

/// How an operation comes in.
enum Entrance<'a, T: Transport> {
    /// Nothing is under way: it is sent at once.
    Idle(T::Operation),
    Waiting {
        place: Place<'a, T>,
        needs_flight: bool,
    },
}

impl<T: Transport> Shared<T> {
    fn enter(
        &self,
        operation: T::Operation,
        deadline: Deadline,
    ) -> Result<Entrance<'_, T>, StoreError> {
        let bytes = self.transport.bytes(&operation);
        let mut queue = self.queue.lock();
        if queue.begin_alone() {
            return Ok(Entrance::Idle(operation));
        }
        if !queue.has_room(bytes, &self.bounds) {
            return Err(self.unavailable(Applied::No, "as many operations wait as may"));
        }
        let (sender, answer) = oneshot::channel();
        let number = queue.push(operation, bytes, deadline, sender);
        let needs_flight = queue.begin_flight(&self.bounds);
        drop(queue);
        let place = Place {
            shared: self,
            number,
            answer,
            is_over: false,
        };
        Ok(Entrance::Waiting {
            place,
            needs_flight,
        })
    }

    /// An operation that nobody else's goes with: whatever becomes of its caller concerns it alone.
    async fn send_alone(
        &self,
        operation: T::Operation,
        deadline: Deadline,
    ) -> Result<T::Answer, StoreError> {
        let line = self.line(deadline).await?;
        if deadline.has_passed() {
            return Err(self.overdue(Applied::No));
        }
        let operations = std::slice::from_ref(&operation);
        let sent = deadline.within(self.transport.send(line, operations)).await;
        match sent {
            Some(Ok(answers)) => answers
                .into_iter()
                .next()
                .unwrap_or_else(|| Err(self.unanswered())),
            Some(Err(BatchFailure::All(error) | BatchFailure::OneOfThem(error))) => Err(error),
            None => Err(self.overdue(self.transport.in_doubt())),
        }
    }

    /// Sends what waits, batch after batch, until nothing does.
    async fn fly(self: Arc<Self>) {
        let mut flight = Flight::among(&self);
        while let Some(deadline) = flight.goes_on() {
            let line = self.line(deadline).await;
            let batch = self.queue.lock().take(&self.transport, &self.bounds);
            self.send(line, batch).await;
            // Whoever has just been answered comes with the next operation before the next batch is made:
            // else batches of one would follow batches of many.
            tokio::task::yield_now().await;
        }
    }

    /// Sends a batch; and its halves, for as long as that may tell who is to blame.
    async fn send(&self, line: Result<T::Line, StoreError>, batch: Batch<T>) {
        let mut later = Vec::new();
        later.extend(self.send_once(line, batch).await.into_iter().flatten());
        while let Some(half) = later.pop() {
            if let Some(deadline) = half.deadline() {
                let line = self.line(deadline).await;
                later.extend(self.send_once(line, half).await.into_iter().flatten());
            }
        }
    }

    /// Sends a batch once, and gives back the halves of one that is worth sending again.
    async fn send_once(
        &self,
        line: Result<T::Line, StoreError>,
        mut batch: Batch<T>,
    ) -> Option<[Batch<T>; 2]> {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                batch.fail(&error);
                return None;
            }
        };
        batch.dismiss(|| self.overdue(Applied::No));
        let deadline = batch.deadline()?;
        let sending = self.transport.send(line, batch.operations());
        match deadline.within(sending).await {
            Some(Ok(answers)) => batch.answer(answers),
            Some(Err(BatchFailure::OneOfThem(error)))
                if error.applied() == Applied::No && batch.operations().len() > 1 =>
            {
                return Some(batch.halves());
            }
            Some(Err(BatchFailure::All(error) | BatchFailure::OneOfThem(error))) => {
                batch.fail(&error);
            }
            None => batch.fail(&self.overdue(self.transport.in_doubt())),
        }
        None
    }

    async fn line(&self, deadline: Deadline) -> Result<T::Line, StoreError> {
        let line = deadline.within(self.transport.line(deadline)).await;
        line.unwrap_or_else(|| Err(self.overdue(Applied::No)))
    }

    fn overdue(&self, applied: Applied) -> StoreError {
        self.unavailable(applied, "no answer within the time limit")
    }

    fn unanswered(&self) -> StoreError {
        self.unavailable(self.transport.in_doubt(), "it was sent and not answered")
    }

    fn unavailable(&self, applied: Applied, why: &'static str) -> StoreError {
        let error = StoreError::new(self.transport.store(), ErrorKind::Unavailable).because(why);
        match applied {
            Applied::No => error,
            Applied::Unknown => error.unknown(),
        }
    }
}

impl<T: Transport> fmt::Debug for Coalescer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer")
            .field("bounds", &self.0.bounds)
            .field("waiting", &self.0.queue.lock().len())
            .finish_non_exhaustive()
    }
}

/// Something on its way to the server. However it ends, others can then set out.
struct Flight<'a, T: Transport> {
    shared: &'a Shared<T>,
    kind: Kind,
}

enum Kind {
    /// The operation that found nothing under way.
    Alone,
    /// One of those that take what waits.
    Among,
    Over,
}

impl<'a, T: Transport> Flight<'a, T> {
    const fn alone(shared: &'a Shared<T>) -> Self {
        Self {
            shared,
            kind: Kind::Alone,
        }
    }

    const fn among(shared: &'a Shared<T>) -> Self {
        Self {
            shared,
            kind: Kind::Among,
        }
    }

    /// Until when the next batch is worth sending; nothing, and the flight is over, if nothing waits.
    fn goes_on(&mut self) -> Option<Deadline> {
        let mut queue = self.shared.queue.lock();
        let deadline = queue.deadline(&self.shared.bounds);
        if deadline.is_none() {
            queue.end_flight();
            self.kind = Kind::Over;
        }
        deadline
    }
}

impl<T: Transport> Drop for Flight<'_, T> {
    fn drop(&mut self) {
        match self.kind {
            Kind::Alone => self.shared.queue.lock().end_alone(),
            Kind::Among => self.shared.queue.lock().end_flight(),
            Kind::Over => {}
        }
    }
}

/// A caller's place in the queue, given up when it goes away.
struct Place<'a, T: Transport> {
    shared: &'a Shared<T>,
    number: u64,
    answer: oneshot::Receiver<Result<T::Answer, StoreError>>,
    is_over: bool,
}

impl<T: Transport> Place<'_, T> {
    async fn answer(mut self, deadline: Deadline) -> Result<T::Answer, StoreError> {
        let answer = deadline.within(&mut self.answer).await;
        self.is_over = answer.is_some();
        match answer {
            Some(Ok(answer)) => answer,
            // The flight was dropped, or gave too few answers.
            Some(Err(_)) => Err(self.shared.unanswered()),
            None if self.leave() => Err(self.shared.overdue(Applied::No)),
            None => match self.answer.try_recv() {
                Ok(answer) => answer,
                Err(_) => Err(self.shared.overdue(self.shared.transport.in_doubt())),
            },
        }
    }

    /// Whether the operation was still waiting, and now will not be sent.
    fn leave(&mut self) -> bool {
        self.is_over = true;
        self.shared.queue.lock().remove(self.number)
    }
}

impl<T: Transport> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.leave();
        }
    }
}
