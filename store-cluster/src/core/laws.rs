//! The laws of the lattice, on random states.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use session_core::{EntryName, Owner, SecretHash, SessionId, Slot, Standing, Subject, Timestamp};

use super::*;
use crate::wire::Item;

/// Few different values, so that states often meet in a register.
fn stamp() -> impl Strategy<Value = Stamp> {
    (0_u64..6, 0_u16..3).prop_map(|(time, writer)| Stamp { time, writer })
}

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (0_u64..6).prop_map(Timestamp::from_millis),
        Just(Timestamp::MAX)
    ]
}

fn name() -> impl Strategy<Value = EntryName> {
    prop_oneof![Just("a"), Just("b"), Just("ü"), Just("session:csrf")]
        .prop_map(|name| EntryName::new(name).unwrap())
}

fn register() -> impl Strategy<Value = Register> {
    let value = option::of(prop_oneof![Just("1"), Just("\"\u{1f600}\"")]);
    (stamp(), value).prop_map(|(stamp, value)| Register {
        stamp,
        value: value.map(Into::into),
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    (stamp(), 0_u8..4, instant(), 0_u8..3).prop_map(|(issued, hash, until, standing)| {
        let standing =
            [Standing::Unpresented, Standing::Current, Standing::Former][usize::from(standing)];
        let slot = Slot {
            hash: SecretHash::from_bytes([hash; 32]),
            // A secret is issued once, at one instant.
            issued_at: Timestamp::from_millis(issued.time),
            accepted_until: if standing == Standing::Current {
                Timestamp::MAX
            } else {
                until
            },
            standing,
        };
        Secret { issued, slot }
    })
}

fn revokes() -> impl Strategy<Value = Revokes> {
    btree_map((0_u64..3).prop_map(Incarnation), 1_u64..4, 0..3).prop_map(Revokes)
}

fn birth() -> impl Strategy<Value = Birth> {
    (stamp(), 0_u64..3, option::of(0_u8..3), any::<bool>()).prop_map(
        |(stamp, at, owner, is_idle)| Birth {
            stamp,
            created_at: Timestamp::from_millis(at),
            idle: is_idle.then_some(Duration::from_millis(7)),
            renewal: (!is_idle).then_some(Duration::from_millis(9)),
            owner: owner.map(|number| Owner {
                subject: Subject::new(format!("subject {number}")).unwrap(),
                nonce: number.into(),
                attempt: u32::from(number) + 1,
            }),
            predecessor: is_idle.then_some(SessionId::from_bytes([7; 16])),
        },
    )
}

prop_compose! {
    fn live()(
        birth in option::of(birth()),
        until in instant(),
        deadline in instant(),
        last_seen in instant(),
        is_settled in any::<bool>(),
        seen in revokes(),
        cleared in stamp(),
        entries in btree_map(name(), register(), 0..4),
        list in vec(secret(), 0..6),
        floors in (stamp(), stamp()),
        change in (stamp(), 0_u64..3, 0_u64..3),
        opaque in btree_map(64_u8..67, vec(0_u8..4, 0..3).prop_map(Into::into), 0..3),
    ) -> Live {
        let mut live = Live {
            birth, until, deadline, last_seen, is_settled, seen, cleared, entries, opaque,
            ..Live::bottom(until)
        };
        live.secrets.unpresented_floor = floors.0;
        live.secrets.floor = floors.1;
        live.secrets.list = list;
        live.secrets.sort();
        live.change = LastChange { stamp: change.0, revision: change.1, content: change.2 };
        // As a join leaves it: without what its own floors and its clearing took away.
        let mut joined = Live::bottom(until);
        joined.join(&live);
        joined
    }
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        1 => instant().prop_map(|until| State::Dead(Dead { until })),
        9 => live().prop_map(|live| State::Live(Box::new(live))),
    ]
}

fn joined(left: &State, right: &State) -> State {
    let mut joined = left.clone();
    joined.join(right);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn joining_is_commutative_associative_and_idempotent(a in state(), b in state(), c in state()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a.clone());
        prop_assert_eq!(joined(&joined(&a, &b), &b), joined(&a, &b));
    }

    #[test]
    fn the_dead_stay_dead(a in state(), until in instant()) {
        let dead = State::Dead(Dead { until });
        prop_assert!(matches!(joined(&a, &dead), State::Dead(_)));
        prop_assert!(matches!(joined(&dead, &a), State::Dead(_)));
    }

    #[test]
    fn joining_only_ever_adds(a in state(), b in state()) {
        let both = joined(&a, &b);
        prop_assert_eq!(joined(&both, &a), both.clone());
        if let (State::Live(a), State::Live(both)) = (&a, &both) {
            prop_assert!(a.seen.is_within(&both.seen));
            prop_assert!(both.deadline <= a.deadline && both.last_seen >= a.last_seen);
        }
    }

    #[test]
    fn fences_join_in_any_order(a in revokes(), b in revokes(), c in revokes()) {
        let join = |left: &Revokes, right: &Revokes| {
            let mut joined = left.clone();
            joined.join(right);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert!(a.is_within(&join(&a, &b)));
        prop_assert_eq!(Revokes::from_bytes(&a.to_bytes()), Some(a));
    }
}

pub(crate) fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        8 => (any::<[u8; 16]>(), state())
            .prop_map(|(id, state)| Item::Session(SessionId::from_bytes(id), state)),
        1 => (0_u8..3, revokes(), instant()).prop_map(|(subject, revokes, until)| {
            let subject = Subject::new(format!("subject {subject}")).unwrap();
            Item::Fence(subject, Fence { revokes, until })
        }),
    ]
}

pub(crate) fn vector() -> impl Strategy<Value = BTreeMap<Incarnation, u64>> {
    btree_map(any::<u64>().prop_map(Incarnation), any::<u64>(), 0..5)
}
