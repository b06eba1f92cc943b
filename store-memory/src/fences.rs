//! Fences, and tries that a later one overtook: what makes a ticket no longer good.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use session_core::{Fence, Subject, Ticket, Timestamp};

/// How many fences and overtaken tries one stripe remembers. When there are more, the oldest is
/// forgotten early and the tickets that it could concern are refused instead.
const REMEMBERED_AT_MOST: usize = 1024;

/// The fences of one stripe's subjects, and the latest tries of their sign-ins.
///
/// Both are remembered while a ticket can be good that they speak against. No ticket outlives them,
/// whatever the clock does: what is forgotten moves `horizon`, and a ticket issued until then is no
/// longer good.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    /// The number of the last fence raised. Never used twice, so a fence that was forgotten and
    /// raised again differs from what it was.
    last: u64,
    /// The latest instant of any ticket issued and any fence raised. Never moves back.
    latest: Timestamp,
    horizon: Option<Timestamp>,
    raised: HashMap<Subject, Remembered<u64>>,
    /// By the nonce of their ticket.
    tries: HashMap<u64, Remembered<u32>>,
    /// In the order of their instants.
    queue: VecDeque<(Timestamp, Key)>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered<N> {
    number: N,
    since: Timestamp,
}

#[derive(Debug)]
enum Key {
    Subject(Subject),
    Nonce(u64),
}

impl Fences {
    /// A ticket for `subject`, issued at `now`.
    pub(crate) fn ticket(&mut self, subject: &Subject, now: Timestamp) -> Ticket {
        self.latest = self.latest.max(now);
        let number = self.raised.get(subject).map_or(0, |fence| fence.number);
        Ticket::new(subject.clone(), Fence::from_u64(number), now)
    }

    /// Raises the fence of `subject`: no ticket issued before is good any more.
    pub(crate) fn raise(&mut self, subject: &Subject, now: Timestamp) {
        self.last += 1;
        let fence = Remembered {
            number: self.last,
            since: self.next_instant(now),
        };
        self.raised.insert(subject.clone(), fence);
        self.remember(fence.since, Key::Subject(subject.clone()));
    }

    /// Whether `ticket` is good at `now`. If it is, no earlier try under it is from now on.
    pub(crate) fn admits(&mut self, ticket: &Ticket, now: Timestamp, life: Duration) -> bool {
        let fence = self.raised.get(ticket.subject()).map(|fence| fence.number);
        let is_current = ticket
            .fence()
            .to_u64()
            .is_some_and(|number| number <= self.last && fence.is_none_or(|fence| fence == number));
        let is_forgotten = self
            .horizon
            .is_some_and(|until| ticket.issued_at() <= until);
        let latest = self.tries.get(&ticket.nonce()).map(|latest| latest.number);
        let is_overtaken = latest.is_some_and(|latest| latest > ticket.attempt());
        if ticket.is_stale(now, life) || is_forgotten || is_overtaken || !is_current {
            return false;
        }
        if ticket.attempt() > 1 && latest != Some(ticket.attempt()) {
            let latest = Remembered {
                number: ticket.attempt(),
                since: self.next_instant(now),
            };
            self.tries.insert(ticket.nonce(), latest);
            self.remember(latest.since, Key::Nonce(ticket.nonce()));
        }
        true
    }

    /// When something may be forgotten.
    pub(crate) fn first_due(&self, life: Duration) -> Option<Timestamp> {
        self.queue.front().map(|(since, _)| *since + life)
    }

    /// Forgets at most `steps` of what no ticket can be older than at `now`.
    pub(crate) fn forget(&mut self, now: Timestamp, life: Duration, steps: usize) {
        for _ in 0..steps {
            if self.first_due(life).is_none_or(|due| now < due) {
                return;
            }
            self.forget_first();
        }
    }

    fn next_instant(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn remember(&mut self, since: Timestamp, key: Key) {
        self.queue.push_back((since, key));
        if self.queue.len() > REMEMBERED_AT_MOST {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((since, key)) = self.queue.pop_front() else {
            return;
        };
        // What was raised again since stands in the queue again.
        let is_last = match &key {
            Key::Subject(subject) => forget_if(&mut self.raised, subject, since),
            Key::Nonce(nonce) => forget_if(&mut self.tries, nonce, since),
        };
        if is_last {
            self.horizon = self.horizon.max(Some(since));
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
            self.raised = HashMap::new();
            self.tries = HashMap::new();
        }
    }
}

fn forget_if<K: Eq + std::hash::Hash, N>(
    remembered: &mut HashMap<K, Remembered<N>>,
    key: &K,
    since: Timestamp,
) -> bool {
    let is_last = remembered
        .get(key)
        .is_some_and(|found| found.since == since);
    if is_last {
        remembered.remove(key);
    }
    is_last
}
