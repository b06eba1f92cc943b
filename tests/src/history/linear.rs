//! The search for an order: could the oracle have given these answers one after another?
//!
//! The algorithm of Wing and Gong (1993) with the memory that Lowe (2017) added: of the calls that had
//! begun before any other that is left ended, try each as the next one; never try the same state of the
//! oracle after the same calls twice. A call whose answer is unknown may stand anywhere after it began,
//! or nowhere.

use std::collections::HashSet;
use std::fmt;

use session_core::Record;

use super::answer::Answer;
use super::call::Call;
use super::oracle::Oracle;
use super::plain::Session;
use super::reading::{Reading, told};
use super::state::State;

/// One call of a concurrent history.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) task: usize,
    pub(super) call: Call,
    /// Nothing if the answer is unknown.
    pub(super) answer: Option<(Answer<Record>, Answer<Session>)>,
    /// Where it began and ended in the order of all beginnings and ends.
    pub(super) began: u64,
    pub(super) ended: u64,
}

impl Event {
    /// Whether the two ran at the same time.
    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.began < other.ended && other.began < self.ended
    }

    pub(super) fn said(&self) -> Option<&Answer<Record>> {
        self.answer.as_ref().map(|(answer, _)| answer)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            task, began, ended, ..
        } = self;
        match &self.answer {
            Some((_, plain)) => {
                write!(f, "{began:>3}..{ended:<3} task {task}: {:?}", self.call)?;
                write!(f, "\n      -> {plain:?}")
            }
            None => write!(
                f,
                "{began:>3}..    task {task}: {:?}\n      -> unknown",
                self.call
            ),
        }
    }
}

/// The calls, as numbers of events, in an order that explains their answers.
///
/// # Errors
///
/// The longest order that explains as many as it has, if none explains all.
pub(super) fn order(
    start: &Oracle,
    reading: &Reading,
    events: &[Event],
) -> Result<Vec<usize>, Vec<usize>> {
    assert!(events.len() <= 64, "a history of at most 64 calls");
    let answered = |event: &Event| event.answer.is_some();
    let mut instants: Vec<_> = events
        .iter()
        .filter_map(Event::said)
        .flat_map(told)
        .collect();
    instants.sort_unstable();
    instants.dedup();
    let mut search = Search {
        reading,
        events,
        instants,
        required: bits(events.iter().map(answered)),
        tried: HashSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    if search.extend(start, 0) {
        Ok(search.order)
    } else {
        Err(search.longest)
    }
}

fn bits(flags: impl Iterator<Item = bool>) -> u64 {
    flags
        .enumerate()
        .fold(0, |bits, (at, flag)| bits | u64::from(flag) << at)
}

struct Search<'a> {
    reading: &'a Reading,
    events: &'a [Event],
    /// All instants that any answer told: one of them is that of a call whose answer is unknown.
    instants: Vec<u64>,
    required: u64,
    tried: HashSet<(u64, State)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl Search<'_> {
    fn extend(&mut self, oracle: &Oracle, done: u64) -> bool {
        if done & self.required == self.required {
            return true;
        }
        if !self.tried.insert((done, oracle.state.clone())) {
            return false;
        }
        let left = || (0..self.events.len()).filter(|at| done & (1 << at) == 0);
        let Some(first_end) = left().map(|at| self.events[at].ended).min() else {
            return false;
        };
        let mut next: Vec<_> = left()
            .filter(|at| self.events[*at].began < first_end)
            .collect();
        // Unknown ones last: they are taken in only if the answers need them.
        next.sort_by_key(|at| self.events[*at].answer.is_none());
        for at in next {
            for after in self.after(oracle, &self.events[at]) {
                self.order.push(at);
                if self.order.len() > self.longest.len() {
                    self.longest.clone_from(&self.order);
                }
                if self.extend(&after, done | 1 << at) {
                    return true;
                }
                self.order.pop();
            }
        }
        false
    }

    /// The oracle after `event`, at each instant at which it would give that answer.
    fn after(&self, oracle: &Oracle, event: &Event) -> Vec<Oracle> {
        let instants = match (&event.answer, self.reading) {
            (Some((answer, _)), reading) => reading.instants(oracle.state.now, &event.call, answer),
            (None, Reading::Exact) => vec![oracle.state.now],
            (None, Reading::Running(_)) => self.instants.clone(),
        };
        let mut after = Vec::new();
        for instant in instants {
            let mut next = oracle.clone();
            next.state.now = instant;
            let says = next.step(&event.call, event.said());
            let agrees = event
                .answer
                .as_ref()
                .is_none_or(|(_, plain)| self.reading.same(&says, plain));
            if agrees {
                after.push(next);
            }
        }
        after
    }
}
