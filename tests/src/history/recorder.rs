//! The recorder: when each call began and ended, and what it was answered.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use session_core::{Applied, ManualClock, Record, SessionStore};

use super::answer::Answer;
use super::call::Call;
use super::linear::Event;

/// A history while it happens.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// Counts beginnings and ends: the order in which they happen.
    ticks: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// Performs a call and records it. One that is dropped on the way stays on record without an
    /// answer.
    pub(super) async fn perform(
        &self,
        task: usize,
        call: Call,
        store: &dyn SessionStore,
        clock: Option<&ManualClock>,
    ) -> Answer<Record> {
        let at = {
            let mut events = self.events.lock();
            events.push(Event {
                task,
                call: call.clone(),
                answer: None,
                began: self.tick(),
                ended: u64::MAX,
            });
            events.len() - 1
        };
        let answer = call.perform(store, clock).await;
        if !matches!(answer, Answer::Failed(_, Applied::Unknown)) {
            let plain = answer.plain();
            let event = &mut self.events.lock()[at];
            event.ended = self.tick();
            event.answer = Some((answer.clone(), plain));
        }
        answer
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// All calls, in the order of their beginnings.
    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }
}
