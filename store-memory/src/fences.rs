//! Fences, and tries that a later one overtook: what makes a ticket no longer good.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use session_core::{Fence, Subject, Ticket, Timestamp};

/// How many fences and tries one stripe remembers. When there are more, the oldest is forgotten early,
/// and the tickets that are older still are refused.
const REMEMBERED_AT_MOST: usize = 1024;

/// The fences of one stripe's subjects, and the latest tries of their sign-ins.
///
/// Whatever is remembered here takes the next number, and a ticket carries a number that was given
/// before it was issued: so numbers say what was first, whatever the clock does. Three steps forget:
///
/// 1. What is as old as a ticket can be is due, and from then on every ticket carries its number or a
///    later one.
/// 2. After the life of a ticket more, no good ticket carries an earlier one: such are refused.
/// 3. So nothing up to that number makes a difference any more, and goes.
///
/// A clock that steps can only keep things longer, or refuse a ticket that would still have been good.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    /// The last number given.
    last: u64,
    /// What a ticket carries at least, and since when it does.
    issued: u64,
    issued_since: Timestamp,
    /// A ticket that carries less is refused.
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
        let number = self.fence(subject).max(self.issued);
        Ticket::new(subject.clone(), Fence::from_u64(number), now)
    }

    /// Raises the fence of `subject`: no ticket issued before is good any more.
    pub(crate) fn raise(&mut self, subject: &Subject, now: Timestamp) {
        let number = self.remember(now, Key::Subject(subject.clone()));
        self.raised.insert(subject.clone(), number);
    }

    /// Whether `ticket` is good at `now`. If it is, no earlier try under it is from now on.
    pub(crate) fn admits(&mut self, ticket: &Ticket, now: Timestamp, life: Duration) -> bool {
        let oldest = self.fence(ticket.subject()).max(self.floor);
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
        let first = self.queue.front()?;
        Some(if first.number <= self.floor {
            Timestamp::MIN
        } else if self.floor < self.issued {
            self.issued_since + life
        } else {
            first.since + life
        })
    }

    /// Takes at most `steps` towards forgetting what no good ticket can be older than.
    pub(crate) fn forget(&mut self, now: Timestamp, life: Duration, steps: usize) {
        for _ in 0..steps {
            if self.first_due(life).is_none_or(|due| now < due) {
                return;
            }
            if self
                .queue
                .front()
                .is_some_and(|first| first.number <= self.floor)
            {
                self.forget_first();
            } else if self.floor < self.issued {
                self.floor = self.issued;
            } else {
                let is_due = |remembered: &&Remembered| now >= remembered.since + life;
                let due = self.queue.iter().take_while(is_due).last();
                self.issued = due.map_or(self.issued, |last| last.number);
                self.issued_since = now;
            }
        }
    }

    fn fence(&self, subject: &Subject) -> u64 {
        self.raised.get(subject).copied().unwrap_or_default()
    }

    fn remember(&mut self, since: Timestamp, key: Key) -> u64 {
        if self.queue.len() == REMEMBERED_AT_MOST {
            self.forget_first();
        }
        self.last += 1;
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
        let is_latest = match &first.key {
            Key::Subject(subject) => self.fence(subject) == first.number,
            Key::Nonce(nonce) => {
                let latest = self.tries.get(nonce);
                latest.is_some_and(|latest| latest.number == first.number)
            }
        };
        if is_latest {
            self.floor = self.floor.max(first.number);
            self.issued = self.issued.max(self.floor);
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
        Timestamp::from_millis(1_000_000_000)
    }

    fn subject(name: &str) -> Subject {
        Subject::new(name).unwrap()
    }

    fn subjects() -> (Fences, Subject, Subject) {
        (Fences::default(), subject("alice"), subject("bob"))
    }

    /// Lets as much be forgotten as can be at `now`.
    fn forget(fences: &mut Fences, now: Timestamp) {
        fences.forget(now, LIFE, 10_000);
    }

    fn is_empty(fences: &Fences) -> bool {
        fences.raised.is_empty() && fences.tries.is_empty() && fences.queue.is_empty()
    }

    #[test]
    fn a_raised_fence_refuses_older_tickets_and_no_younger_one() {
        let (mut fences, alice, bob) = subjects();
        let before = fences.ticket(&alice, start());
        let other = fences.ticket(&bob, start());
        fences.raise(&alice, start());
        let after = fences.ticket(&alice, start());
        assert!(!fences.admits(&before, start(), LIFE));
        assert!(fences.admits(&other, start(), LIFE));
        assert!(fences.admits(&after, start(), LIFE));
    }

    #[test]
    fn a_fence_is_its_subjects_own() {
        let (mut fences, alice, bob) = subjects();
        let before = fences.ticket(&bob, start());
        fences.raise(&alice, start());
        let after = fences.ticket(&bob, start());
        assert_eq!(before.fence(), after.fence());
        assert_ne!(fences.ticket(&alice, start()).fence(), after.fence());
    }

    #[test]
    fn a_fence_is_forgotten_in_time_and_outlives_every_ticket_that_is_older() {
        let (mut fences, alice, _) = subjects();
        let before = fences.ticket(&alice, start());
        fences.raise(&alice, start());
        let last = start() + LIFE - MILLI;
        forget(&mut fences, last);
        assert!(!before.is_stale(last, LIFE));
        assert!(!fences.admits(&before, last, LIFE));
        assert_eq!(fences.first_due(LIFE), Some(start() + LIFE));
        forget(&mut fences, start() + LIFE);
        assert_eq!(fences.first_due(LIFE), Some(start() + LIFE * 2));
        forget(&mut fences, start() + LIFE * 2);
        assert!(is_empty(&fences));
        assert_eq!(fences.first_due(LIFE), None);
    }

    #[test]
    fn forgetting_refuses_no_good_ticket() {
        let (mut fences, alice, bob) = subjects();
        let mut issued = VecDeque::new();
        let mut now = start();
        for minute in 0..200 {
            if minute % 7 == 0 && minute < 150 {
                fences.raise(&subject(&minute.to_string()), now);
            }
            if minute == 30 {
                fences.raise(&alice, now);
                issued.clear();
            }
            issued.push_back(fences.ticket(&alice, now));
            issued.push_back(fences.ticket(&bob, now));
            forget(&mut fences, now);
            issued.retain(|ticket| !ticket.is_stale(now, LIFE));
            for ticket in &issued {
                assert!(fences.admits(ticket, now, LIFE), "in minute {minute}");
            }
            now = now + Duration::from_secs(60);
        }
        assert!(is_empty(&fences));
    }

    #[test]
    fn a_forgotten_fence_that_is_raised_again_refuses_what_came_before() {
        let (mut fences, alice, _) = subjects();
        fences.raise(&alice, start());
        let with_fence = fences.ticket(&alice, start() + LIFE);
        forget(&mut fences, start() + LIFE);
        let now = start() + LIFE * 2;
        forget(&mut fences, now);
        assert!(is_empty(&fences));
        let without_fence = fences.ticket(&alice, now);
        fences.raise(&alice, now);
        assert!(!fences.admits(&with_fence, now, LIFE));
        assert!(!fences.admits(&without_fence, now, LIFE));
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_old_ticket_good_again() {
        let (mut fences, alice, _) = subjects();
        let before = fences.ticket(&alice, start());
        fences.raise(&alice, start());
        forget(&mut fences, start() + LIFE);
        forget(&mut fences, start() + LIFE * 2);
        assert!(is_empty(&fences));
        assert!(!fences.admits(&before, start() + MILLI, LIFE));
        let after = fences.ticket(&alice, start() + MILLI);
        assert!(fences.admits(&after, start() + MILLI, LIFE));
    }

    #[test]
    fn a_ticket_from_a_clock_that_ran_ahead_does_not_outlive_the_fence() {
        let (mut fences, alice, _) = subjects();
        let hour = Duration::from_secs(3_600);
        let ahead = fences.ticket(&alice, start() + hour);
        fences.raise(&alice, start());
        for minute in 0..=60 {
            forget(&mut fences, start() + Duration::from_secs(60 * minute));
        }
        assert!(is_empty(&fences));
        assert!(!ahead.is_stale(start() + hour, LIFE));
        assert!(!fences.admits(&ahead, start() + hour, LIFE));
    }

    #[test]
    fn a_later_try_shuts_out_the_earlier_ones_while_their_ticket_is_good() {
        let (mut fences, alice, _) = subjects();
        let first = fences.ticket(&alice, start());
        let second = first.next_attempt();
        let third = second.next_attempt();
        assert!(fences.admits(&first, start(), LIFE));
        assert!(fences.admits(&third, start(), LIFE));
        let last = start() + LIFE - MILLI;
        forget(&mut fences, last);
        assert!(!fences.admits(&second, last, LIFE));
        assert!(!fences.admits(&first, last, LIFE));
        assert!(fences.admits(&third, last, LIFE));
        forget(&mut fences, start() + LIFE);
        forget(&mut fences, start() + LIFE * 2);
        assert!(is_empty(&fences));
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
    fn one_subject_revoked_often_pushes_no_other_out() {
        let (mut fences, alice, bob) = subjects();
        let ticket = fences.ticket(&bob, start());
        for _ in 0..REMEMBERED_AT_MOST * 2 {
            fences.raise(&alice, start());
        }
        assert_eq!(fences.queue.len(), REMEMBERED_AT_MOST);
        assert_eq!(fences.raised.len(), 1);
        assert!(fences.admits(&ticket, start(), LIFE));
    }

    #[test]
    fn a_ticket_that_this_store_cannot_have_issued_is_refused() {
        let (mut fences, alice, _) = subjects();
        let foreign = Ticket::new(alice.clone(), Fence::from_u64(7), start());
        let strange = Ticket::new(alice, Fence::from_bytes(*b"not a number"), start());
        assert!(!fences.admits(&foreign, start(), LIFE));
        assert!(!fences.admits(&strange, start(), LIFE));
    }
}
