//! Records as a life makes them, and changes of every kind.

use std::ops::Range;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use session_core::{
    Bounds, Change, EntryName, Fence, JsonText, NewRecord, Record, Renewal, SecretHash, SessionId,
    Subject, Ticket, Timeouts, Timestamp,
};

pub(crate) const START: u64 = 2_000_000_000_000;

/// A made-up secret's hash.
pub(crate) fn secret(number: u8) -> SecretHash {
    SecretHash::from_bytes([number; 32])
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn name(text: &str) -> EntryName {
    EntryName::new(text).unwrap()
}

pub(crate) fn json(text: &str) -> JsonText {
    JsonText::parse(text).unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A session that began at [`START`].
pub(crate) fn session(timeouts: Timeouts) -> Record {
    let new = NewRecord::new(secret(0), timeouts);
    new.anonymous(at(START)).0
}

/// A signed-in session that began at [`START`].
pub(crate) fn user(timeouts: Timeouts) -> Record {
    let subject = Subject::new("alice").unwrap();
    let ticket = Ticket::new(subject, Fence::default(), at(START));
    NewRecord::new(secret(0), timeouts)
        .signed_in(&ticket, at(START))
        .0
}

/// One change of a life.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// After the step before.
    pub(crate) later: u64,
    edits: Vec<(usize, Option<usize>)>,
    clear: bool,
    pub(crate) touch: bool,
    /// Which of the record's secrets; one of nobody's beyond them.
    promote: Option<usize>,
    renew: Option<(usize, bool)>,
    shorten: Option<u64>,
    settle: bool,
}

const NAMES: [&str; 5] = ["a", "cart", "session:csrf", "ключ \u{1f388}", "z"];
const VALUES: [&str; 5] = ["1", "1.0", r#""\u0000""#, "[ ]", "\"\u{1f388}\""];

impl Step {
    /// The change of `record` that this step is; `number` tells its secret from others.
    pub(crate) fn change(&self, record: &Record, number: u8) -> Change {
        let known: Vec<_> = record.slots().map(|slot| slot.hash).collect();
        let one = |at: usize| {
            let at = at % (known.len() + 1);
            known.get(at).copied().unwrap_or_else(|| secret(200))
        };
        let mut change = Change::new();
        if self.clear {
            change = change.clear();
        }
        for (at, value) in &self.edits {
            let name = name(NAMES[at % NAMES.len()]);
            change = match value {
                Some(at) => change.set(name, json(VALUES[at % VALUES.len()])),
                None => change.remove(name),
            };
        }
        if self.touch {
            change = change.touch();
        }
        if let Some(at) = self.promote {
            change = change.promote(one(at));
        }
        if let Some((at, soft)) = self.renew {
            change = change.renew(Renewal {
                issue: secret(number),
                replaces: one(at),
                soft,
            });
        }
        if let Some(life) = self.shorten {
            change = change.shorten(millis(life));
        }
        if self.settle {
            change = change.settle_predecessor();
        }
        change
    }
}

/// Milliseconds between two changes, often those at which something turns.
fn later() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..5_000_u64,
        2 => 25_000..35_000_u64,
        1 => prop_oneof![Just(29_999_u64), Just(30_000), Just(59_999), Just(60_000), Just(60_001)],
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let edits = vec((0..5_usize, option::of(0..5_usize)), 0..4);
    let shorten = option::weighted(0.1, prop_oneof![0..4_u64, 10_000..10_000_000_u64]);
    let promote = option::weighted(0.4, 0..6_usize);
    let renew = option::weighted(0.4, (0..6_usize, any::<bool>()));
    let flags = (
        proptest::bool::weighted(0.1),
        any::<bool>(),
        proptest::bool::weighted(0.1),
    );
    (later(), edits, flags, promote, renew, shorten).prop_map(
        |(later, edits, (clear, touch, settle), promote, renew, shorten)| Step {
            later,
            edits,
            clear,
            touch,
            promote,
            renew,
            shorten,
            settle,
        },
    )
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    let idle = option::of(prop_oneof![
        Just(90_000_u64),
        Just(1_800_000),
        Just(u64::MAX)
    ]);
    let absolute = prop_oneof![Just(200_000_u64), Just(43_200_000), Just(u64::MAX)];
    (absolute, idle).prop_map(|(absolute, idle)| {
        let timeouts = Timeouts::new(millis(absolute));
        match idle {
            Some(idle) => timeouts.with_idle(millis(idle)),
            None => timeouts.without_idle(),
        }
    })
}

/// A live record at the end of a life of up to so many changes, and the instant.
pub(crate) fn life(steps: Range<usize>) -> impl Strategy<Value = (Record, Timestamp)> {
    let predecessor = option::of(any::<[u8; 16]>());
    (any::<bool>(), timeouts(), predecessor, vec(step(), steps)).prop_map(
        |(is_user, timeouts, predecessor, steps)| {
            let subject = Subject::new("алиса").unwrap();
            let ticket = Ticket::new(subject, Fence::from_u64(3), at(START)).next_attempt();
            let new = NewRecord::new(secret(0), timeouts)
                .with_entries([
                    (name("cart"), json("[1]")),
                    (name("session:csrf"), json("2")),
                ])
                .with_predecessor(predecessor.map(SessionId::from_bytes));
            let mut now = at(START);
            let mut record = if is_user {
                new.signed_in(&ticket, now).0
            } else {
                new.anonymous(now).0
            };
            for (number, step) in (1..).zip(&steps) {
                let change = step.change(&record, number);
                let then = now + millis(step.later);
                if let Ok(next) = record.apply(&change, then, &Bounds::default())
                    && next.is_live(then)
                {
                    (record, now) = (next, then);
                }
            }
            (record, now)
        },
    )
}
