//! Fences, and tries that a later one overtook: what makes a ticket no longer good.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use session_core::{Fence, Subject, Ticket, Timestamp};

/// How many fences and tries one stripe remembers. When there are more, the oldest is forgotten early,
/// and the tickets that are older still are refused.
const REMEMBERED_AT_MOST: usize = 1024;

/// The fences of one stripe's subjects, and the latest tries of their sign-ins.
///
/// Everything remembered here takes the next number, and a ticket carries the last one given before it
/// was issued. So a number says what was first, whatever the clock does. What no good ticket can be
/// older than is forgotten; should one turn up all the same, because the clock stepped or because there
/// was too much to remember, it is below `floor` and refused.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    last: u64,
    /// The highest number that was forgotten.
    floor: u64,
    raised: HashMap<Subject, u64>,
    /// By the nonce of their ticket.
    tries: HashMap<u64, Try>,
    /// In the order of their numbers.
    queue: VecDeque<Remembered>,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    number: u64,
    attempt: u32,
}

#[derive(Debug)]
struct Remembered {
    number: u64,
    since: Timestamp,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Subject(Subject),
    Nonce(u64),
}

impl Fences {
    /// A ticket for `subject`, issued at `now`.
    pub(crate) fn ticket(&self, subject: &Subject, now: Timestamp) -> Ticket {
        Ticket::new(subject.clone(), Fence::from_u64(self.last), now)
    }

    /// Raises the fence of `subject`: no ticket issued before is good any more.
    pub(crate) fn raise(&mut self, subject: &Subject, now: Timestamp) {
        let number = self.remember(now, Key::Subject(subject.clone()));
        self.raised.insert(subject.clone(), number);
    }

    /// Whether `ticket` is good at `now`. If it is, no earlier try under it is from now on.
    pub(crate) fn admits(&mut self, ticket: &Ticket, now: Timestamp, life: Duration) -> bool {
        let fence = self.raised.get(ticket.subject()).copied();
        let oldest = self.floor.max(fence.unwrap_or_default());
        let is_current = ticket
            .fence()
            .to_u64()
            .is_some_and(|number| (oldest..=self.last).contains(&number));
        let latest = self.tries.get(&ticket.nonce()).map_or(1, |it| it.attempt);
        if !is_current || ticket.is_stale(now, life) || ticket.attempt() < latest {
            return false;
        }
        if ticket.attempt() > latest {
            let number = self.remember(now, Key::Nonce(ticket.nonce()));
            let attempt = ticket.attempt();
            self.tries.insert(ticket.nonce(), Try { number, attempt });
        }
        true
    }

    /// When something may be forgotten.
    pub(crate) fn first_due(&self, life: Duration) -> Option<Timestamp> {
        self.queue.front().map(|first| first.since + life)
    }

    /// Forgets at most `steps` of what no good ticket can be older than at `now`.
    pub(crate) fn forget(&mut self, now: Timestamp, life: Duration, steps: usize) {
        for _ in 0..steps {
            if self.first_due(life).is_none_or(|due| now < due) {
                return;
            }
            self.forget_first();
        }
    }

    fn remember(&mut self, since: Timestamp, key: Key) -> u64 {
        self.last += 1;
        if self.queue.len() == REMEMBERED_AT_MOST {
            self.forget_first();
        }
        self.queue.push_back(Remembered {
            number: self.last,
            since,
            key,
        });
        self.last
    }

    fn forget_first(&mut self) {
        let Some(first) = self.queue.pop_front() else {
            return;
        };
        // What was remembered again since stays, under its later number.
        let is_it = match &first.key {
            Key::Subject(subject) => self.raised.get(subject) == Some(&first.number),
            Key::Nonce(nonce) => {
                self.tries.get(nonce).map(|latest| latest.number) == Some(first.number)
            }
        };
        if is_it {
            self.floor = first.number;
            match first.key {
                Key::Subject(subject) => self.raised.remove(&subject).is_some(),
                Key::Nonce(nonce) => self.tries.remove(&nonce).is_some(),
            };
        }
        if self.queue.is_empty() {
            // Not only empty: without the room that a flood of them took.
            self.queue = VecDeque::new();
            self.raised = HashMap::new();
            self.tries = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(600);
    const MILLI: Duration = Duration::from_millis(1);

    fn start() -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn subject(name: &str) -> Subject {
        Subject::new(name).unwrap()
    }

    #[test]
    fn a_raised_fence_refuses_older_tickets_and_no_younger_one() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        let before = fences.ticket(&alice, start());
        let other = fences.ticket(&subject("bob"), start());
        fences.raise(&alice, start());
        let after = fences.ticket(&alice, start());
        assert!(!fences.admits(&before, start(), LIFE));
        assert!(fences.admits(&other, start(), LIFE));
        assert!(fences.admits(&after, start(), LIFE));
    }

    #[test]
    fn a_fence_outlives_every_ticket_that_is_older() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        let before = fences.ticket(&alice, start());
        fences.raise(&alice, start());
        let last = start() + LIFE - MILLI;
        fences.forget(last, LIFE, 10);
        assert!(!before.is_stale(last, LIFE));
        assert!(!fences.admits(&before, last, LIFE));
        fences.forget(start() + LIFE, LIFE, 10);
        assert!(fences.raised.is_empty());
    }

    #[test]
    fn a_forgotten_fence_leaves_younger_tickets_good_until_it_is_raised_again() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        fences.raise(&alice, start());
        let younger = fences.ticket(&alice, start() + LIFE - MILLI);
        let now = start() + LIFE;
        fences.forget(now, LIFE, 10);
        assert!(fences.admits(&younger, now, LIFE));
        let without_fence = fences.ticket(&alice, now);
        fences.raise(&alice, now);
        assert!(!fences.admits(&younger, now, LIFE));
        assert!(!fences.admits(&without_fence, now, LIFE));
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_old_ticket_good_again() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        let before = fences.ticket(&alice, start());
        fences.raise(&alice, start());
        fences.forget(start() + LIFE, LIFE, 10);
        assert!(!fences.admits(&before, start() + MILLI, LIFE));
    }

    #[test]
    fn a_ticket_from_a_clock_that_ran_ahead_does_not_outlive_the_fence() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        let hour = Duration::from_secs(3_600);
        let ahead = fences.ticket(&alice, start() + hour);
        fences.raise(&alice, start());
        let now = start() + hour;
        fences.forget(now, LIFE, 10);
        assert!(!ahead.is_stale(now, LIFE));
        assert!(!fences.admits(&ahead, now, LIFE));
    }

    #[test]
    fn a_later_try_shuts_out_the_earlier_ones_while_their_ticket_is_good() {
        let mut fences = Fences::default();
        let first = fences.ticket(&subject("alice"), start());
        let (second, third) = (first.next_attempt(), first.next_attempt().next_attempt());
        assert!(fences.admits(&first, start(), LIFE));
        assert!(fences.admits(&third, start(), LIFE));
        let last = start() + LIFE - MILLI;
        fences.forget(last, LIFE, 10);
        assert!(!fences.admits(&second, last, LIFE));
        assert!(!fences.admits(&first, last, LIFE));
        assert!(fences.admits(&third, last, LIFE));
        fences.forget(last + LIFE, LIFE, 10);
        assert!(fences.tries.is_empty() && fences.queue.is_empty());
    }

    #[test]
    fn what_is_forgotten_early_for_want_of_room_refuses_rather_than_admits() {
        let mut fences = Fences::default();
        let tickets: Vec<_> = (0..REMEMBERED_AT_MOST + 10)
            .map(|number| fences.ticket(&subject(&number.to_string()), start()))
            .collect();
        let tried = tickets[0].next_attempt();
        assert!(fences.admits(&tried, start(), LIFE));
        for ticket in &tickets {
            fences.raise(ticket.subject(), start());
        }
        assert_eq!(fences.queue.len(), REMEMBERED_AT_MOST);
        assert!(fences.raised.len() + fences.tries.len() <= REMEMBERED_AT_MOST);
        for ticket in tickets.iter().chain([&tried]) {
            assert!(!fences.admits(ticket, start(), LIFE));
        }
        let later = fences.ticket(tickets[0].subject(), start());
        assert!(fences.admits(&later, start(), LIFE));
    }

    #[test]
    fn one_fence_raised_often_is_remembered_once_it_was_last_raised() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        for _ in 0..REMEMBERED_AT_MOST * 2 {
            fences.raise(&alice, start());
        }
        let other = fences.ticket(&subject("bob"), start());
        fences.raise(&alice, start() + MILLI);
        fences.forget(start() + LIFE, LIFE, REMEMBERED_AT_MOST);
        assert_eq!((fences.raised.len(), fences.queue.len()), (1, 1));
        assert!(
            fences.admits(&other, start(), LIFE),
            "only alice was revoked"
        );
    }

    #[test]
    fn a_ticket_of_another_store_with_a_higher_fence_is_refused() {
        let (mut fences, alice) = (Fences::default(), subject("alice"));
        let foreign = Ticket::new(alice.clone(), Fence::from_u64(7), start());
        let strange = Ticket::new(alice, Fence::from_bytes(*b"not a number"), start());
        assert!(!fences.admits(&foreign, start(), LIFE));
        assert!(!fences.admits(&strange, start(), LIFE));
    }
}
