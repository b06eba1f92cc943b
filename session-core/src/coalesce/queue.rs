//! What waits to be sent, and what is under way.

use std::collections::{HashSet, VecDeque};

use tokio::sync::oneshot;

use crate::coalesce::batch::{Batch, Caller};
use crate::coalesce::{Coalescing, Transport};
use crate::deadline::Deadline;
use crate::error::StoreError;

/// The state behind a coalescer's lock. While something waits, a flight is under way.
pub(super) struct Queue<T: Transport> {
    /// In the order of their numbers.
    waiting: VecDeque<Waiting<T>>,
    waiting_bytes: usize,
    next_number: u64,
    has_lone: bool,
    flights: usize,
}

struct Waiting<T: Transport> {
    number: u64,
    bytes: usize,
    operation: T::Operation,
    caller: Caller<T::Answer>,
}

impl<T: Transport> Queue<T> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_number: 0,
            has_lone: false,
            flights: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is under way, so that an operation may set out alone. It goes beside the flights: a
    /// caller that does not poll what it began holds nobody else up.
    pub(super) fn begin_alone(&mut self) -> bool {
        let is_idle = !self.has_lone && self.flights == 0 && self.waiting.is_empty();
        self.has_lone |= is_idle;
        is_idle
    }

    pub(super) const fn end_alone(&mut self) {
        self.has_lone = false;
    }

    /// Whether one more flight may set out.
    pub(super) fn begin_flight(&mut self, bounds: &Coalescing) -> bool {
        let may_begin = self.flights < bounds.flights.max(1);
        self.flights += usize::from(may_begin);
        may_begin
    }

    pub(super) const fn end_flight(&mut self) {
        self.flights -= 1;
    }

    pub(super) fn has_room(&self, bytes: usize, bounds: &Coalescing) -> bool {
        self.waiting.is_empty()
            || self.waiting.len() < bounds.waiting_operations
                && self.waiting_bytes.saturating_add(bytes) <= bounds.waiting_bytes
    }

    /// Adds an operation, and gives the number by which it can be removed.
    pub(super) fn push(
        &mut self,
        operation: T::Operation,
        bytes: usize,
        deadline: Deadline,
        answer: oneshot::Sender<Result<T::Answer, StoreError>>,
    ) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting {
            number,
            bytes,
            operation,
            caller: Caller { deadline, answer },
        });
        number
    }

    /// Whether the operation of this number was still waiting.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let at = self.waiting.binary_search_by_key(&number, |one| one.number);
        let removed = at.ok().and_then(|at| self.waiting.remove(at));
        if let Some(one) = &removed {
            self.waiting_bytes -= one.bytes;
        }
        removed.is_some()
    }

    /// The latest deadline of what the next batch may hold; nothing if nothing waits.
    pub(super) fn deadline(&self, bounds: &Coalescing) -> Option<Deadline> {
        let next = self.waiting.iter().take(bounds.batch_operations.max(1));
        next.map(|one| one.caller.deadline).max()
    }

    /// The next batch: the oldest operations that may go together. Those that may not keep their places.
    pub(super) fn take(&mut self, transport: &T, bounds: &Coalescing) -> Batch<T> {
        let most = bounds.batch_operations.max(1);
        let (mut batch, mut bytes) = (Batch::new(), 0_usize);
        let mut sessions = HashSet::new();
        let mut passed_over = Vec::new();
        while let Some(next) = self.waiting.pop_front() {
            let is_first = batch.operations().is_empty();
            let fits = batch.operations().len() < most
                && (is_first || bytes.saturating_add(next.bytes) <= bounds.batch_bytes);
            if !fits || passed_over.len() >= most {
                self.waiting.push_front(next);
                break;
            }
            let session = transport.session(&next.operation);
            if session.is_some_and(|session| !sessions.insert(session)) {
                passed_over.push(next);
                continue;
            }
            bytes += next.bytes;
            self.waiting_bytes -= next.bytes;
            batch.push(next.operation, next.caller);
        }
        for one in passed_over.into_iter().rev() {
            self.waiting.push_front(one);
        }
        batch
    }
}
