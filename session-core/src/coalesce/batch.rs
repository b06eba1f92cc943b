//! Operations that are sent together, and who waits for each.

use tokio::sync::oneshot;

use crate::coalesce::Transport;
use crate::deadline::Deadline;
use crate::error::StoreError;

/// Who waits for an answer, and until when.
pub(super) struct Caller<A> {
    pub(super) deadline: Deadline,
    pub(super) answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<A> Caller<A> {
    /// An answer that comes too late for its caller is dropped.
    fn hears(self, answer: Result<A, StoreError>) {
        let _ = self.answer.send(answer);
    }

    fn waits(&self) -> bool {
        !self.answer.is_closed() && !self.deadline.has_passed()
    }
}

/// Operations, and the callers of each at the same place.
pub(super) struct Batch<T: Transport> {
    operations: Vec<T::Operation>,
    callers: Vec<Caller<T::Answer>>,
}

impl<T: Transport> Batch<T> {
    pub(super) const fn new() -> Self {
        Self {
            operations: Vec::new(),
            callers: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, operation: T::Operation, caller: Caller<T::Answer>) {
        self.operations.push(operation);
        self.callers.push(caller);
    }

    pub(super) fn operations(&self) -> &[T::Operation] {
        &self.operations
    }

    /// The latest deadline of those who wait; nothing if nobody does.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.callers.iter().map(|caller| caller.deadline).max()
    }

    /// Takes out operations whose callers do not wait any more, and tells them that it was too late.
    pub(super) fn dismiss(&mut self, too_late: impl Fn() -> StoreError) {
        if self.callers.iter().all(Caller::waits) {
            return;
        }
        let operations = std::mem::take(&mut self.operations);
        let callers = std::mem::take(&mut self.callers);
        for (operation, caller) in operations.into_iter().zip(callers) {
            if caller.waits() {
                self.push(operation, caller);
            } else {
                caller.hears(Err(too_late()));
            }
        }
    }

    pub(super) fn halves(mut self) -> [Self; 2] {
        let middle = self.operations.len() / 2;
        let second = Self {
            operations: self.operations.split_off(middle),
            callers: self.callers.split_off(middle),
        };
        [second, self]
    }

    /// Hands out the answers in the order of the operations.
    pub(super) fn answer(self, answers: Vec<Result<T::Answer, StoreError>>) {
        for (caller, answer) in self.callers.into_iter().zip(answers) {
            caller.hears(answer);
        }
    }

    pub(super) fn fail(self, error: &StoreError) {
        for caller in self.callers {
            caller.hears(Err(error.clone()));
        }
    }
}
