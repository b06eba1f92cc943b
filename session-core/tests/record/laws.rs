//! Laws of [`Record::apply`].

use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use session_core::{
    Bounds, Change, Record, Refusal, Renewal, Revision, Standing, Timeouts, Timestamp,
};

use super::samples::{START, at, json, life, millis, name, secret, session, step, user};

fn bounds() -> Bounds {
    Bounds::default()
}

/// All but the entries and what every change but a pure touch moves.
fn fixed(record: &Record) -> impl PartialEq + std::fmt::Debug + use<> {
    let header = record.header();
    (header.created_at, header.owner, header.idle, header.renewal)
}

fn names_and_values(record: &Record) -> Vec<(String, String)> {
    let entries = record.entries();
    entries
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// SECURITY 24, 28, 29: from the very millisecond of its expiry nothing is applied, whatever it is.
    #[test]
    fn a_dead_session_stays_dead((record, _) in life(0..8), step in step(), late in 0..100_u64) {
        let change = step.change(&record, 90);
        let now = record.expires_at() + millis(late);
        prop_assert!(!record.is_live(now));
        prop_assert_eq!(record.apply(&change, now, &bounds()), Err(Refusal::Absent));
    }

    /// One millisecond earlier it lives.
    #[test]
    fn a_session_lives_until_its_expiry((record, _) in life(0..8)) {
        let last = record.expires_at() - millis(1);
        let touch = Change::new().touch();
        prop_assert!(record.is_live(last));
        prop_assert!(record.apply(&touch, last, &bounds()).is_ok());
    }

    /// SECURITY 23: whatever a change does, a session keeps its creation, its owner and its limits, and its
    /// deadline never moves back out.
    #[test]
    fn what_a_session_began_with_it_keeps((record, now) in life(0..8), step in step()) {
        let change = step.change(&record, 90);
        if let Ok(next) = record.apply(&change, now, &bounds()) {
            prop_assert_eq!(fixed(&next), fixed(&record));
            let asked = change.shortening().map_or(Timestamp::MAX, |life| now + life);
            prop_assert_eq!(next.deadline(), record.deadline().min(asked));
            let predecessor = record.predecessor().filter(|_| !change.settles_predecessor());
            prop_assert_eq!(next.predecessor(), predecessor);
        }
    }

    /// SECURITY 32: the last use moves forward, never back, and only for a touch.
    #[test]
    fn the_last_use_never_moves_back((record, now) in life(0..8), step in step(), back in any::<bool>()) {
        // A step that waited, or a clock that stepped back.
        let now = if back { now - millis(step.later) } else { now + millis(step.later) };
        let change = step.change(&record, 90);
        if let Ok(next) = record.apply(&change, now, &bounds()) {
            let touched = if step.touch { now } else { Timestamp::MIN };
            prop_assert_eq!(next.last_seen_at(), record.last_seen_at().max(touched));
        }
    }

    #[test]
    fn a_pure_touch_changes_nothing_else((record, now) in life(0..8), later in 0..50_000_u64) {
        let now = now + millis(later);
        if let Ok(next) = record.apply(&Change::new().touch(), now, &bounds()) {
            let mut header = next.header();
            header.last_seen_at = record.last_seen_at();
            prop_assert_eq!(header, record.header());
            prop_assert_eq!(next.entries_block(), record.entries_block());
        }
    }

    #[test]
    fn every_change_but_a_pure_touch_sets_its_revision((record, now) in life(0..8), step in step()) {
        let change = step.change(&record, 90);
        if let Ok(next) = record.apply(&change, now, &bounds()) {
            let expected = if change.is_pure_touch() { record.revision() } else { change.revision() };
            prop_assert_eq!(next.revision(), expected);
        }
    }

    #[test]
    fn a_guard_refuses_every_revision_but_its_own((record, now) in life(0..8), step in step()) {
        let change = step.change(&record, 90);
        let guarded = change.clone().guarded_by(record.revision());
        let outcome = record.apply(&change, now, &bounds());
        prop_assert_eq!(&record.apply(&guarded, now, &bounds()), &outcome);
        let other = Revision::from_u64(record.revision().to_u64() ^ 1);
        let refused = record.apply(&change.guarded_by(other), now, &bounds());
        prop_assert_eq!(refused, Err(Refusal::Conflict));
    }

    #[test]
    fn the_same_change_of_the_same_record_gives_the_same((record, now) in life(0..8), step in step()) {
        let (change, before) = (step.change(&record, 90), record.as_bytes().to_vec());
        let once = record.apply(&change, now, &bounds());
        prop_assert_eq!(&record.apply(&change, now, &bounds()), &once);
        prop_assert_eq!(record.as_bytes(), before);
    }

    /// Clause 5: changes to different entries never lose each other.
    #[test]
    fn edits_of_different_entries_have_no_order((record, now) in life(0..8), drop in any::<bool>()) {
        let ours = Change::new().set(name("cart"), json("[9]"));
        let theirs = if drop {
            Change::new().remove(name("z"))
        } else {
            Change::new().set(name("ключ \u{1f388}"), json("9"))
        };
        let both = |first: &Change, second: &Change| {
            let next = record.apply(first, now, &bounds()).unwrap();
            names_and_values(&next.apply(second, now, &bounds()).unwrap())
        };
        prop_assert_eq!(both(&ours, &theirs), both(&theirs, &ours));
    }

    #[test]
    fn one_change_is_its_edits_one_after_another((record, now) in life(0..8), order in (0..4_usize, 0..4_usize)) {
        let edits: [fn(Change) -> Change; 4] = [
            Change::clear,
            |change| change.set(name("cart"), json("7")),
            |change| change.remove(name("cart")),
            |change| change.set(name("session:csrf"), json("8")),
        ];
        let (first, second) = (edits[order.0], edits[order.1]);
        let together = record.apply(&second(first(Change::new())), now, &bounds()).unwrap();
        let next = record.apply(&first(Change::new()), now, &bounds()).unwrap();
        let apart = next.apply(&second(Change::new()), now, &bounds()).unwrap();
        prop_assert_eq!(names_and_values(&together), names_and_values(&apart));
    }

    /// What a store does whose server reads the clock: the record made with an assumed "now", and the
    /// instants that it names moved, is the record made with the right one.
    #[test]
    fn stamps_name_every_instant_that_now_set(
        (record, now) in life(0..12),
        step in step(),
        delta in -5_000..5_000_i64,
    ) {
        let change = step.change(&record, 90);
        let assumed = now + millis(step.later);
        let right = assumed.shifted(delta);
        let made = record.apply_stamped(&change, assumed, &bounds());
        let expected = record.apply_stamped(&change, right, &bounds());
        if let (Ok((made, stamps)), Ok((expected, same))) = (made, expected) {
            let shape = |record: &Record| {
                let slots = record.slots().map(|slot| (*slot.hash.as_bytes(), slot.standing));
                slots.collect::<Vec<_>>()
            };
            // Else the two instants lie on two sides of a turn, and the store judges again.
            if stamps == same && shape(&made) == shape(&expected) {
                prop_assert_eq!(made.shifted(stamps, delta), expected);
            }
        }
    }

    #[test]
    fn a_new_record_names_every_instant_that_now_set(delta in -5_000..5_000_i64) {
        let new = session_core::NewRecord::new(secret(0), Timeouts::default());
        let (made, stamps) = new.anonymous(at(START));
        let (expected, _) = new.anonymous(at(START).shifted(delta));
        prop_assert_eq!(made.shifted(stamps, delta), expected);
    }

    /// Clause 2.
    #[test]
    fn a_record_comes_back_as_it_was_stored((record, _) in life(0..12)) {
        let read = Record::from_bytes(record.as_bytes()).unwrap();
        prop_assert_eq!(&read, &record);
        let put_together = Record::from_parts(&record.header(), record.entries_block()).unwrap();
        prop_assert_eq!(&put_together, &record);
        for (name, value) in record.entries() {
            prop_assert_eq!(read.get(name), Some(value));
        }
    }

    /// SECURITY 33: timeouts of any size, at any time: no panic, and no session outlives 400 days.
    #[test]
    fn no_timeout_makes_an_endless_life(
        now in prop_instant(),
        absolute in prop_millis(),
        idle in proptest::option::of(prop_millis()),
        shorten in proptest::option::of(prop_millis()),
        step_of_the_clock in prop_instant(),
    ) {
        let timeouts = Timeouts::new(millis(absolute));
        let timeouts = idle.map_or(timeouts.without_idle(), |idle| timeouts.with_idle(millis(idle)));
        let new = session_core::NewRecord::new(secret(0), timeouts);
        let (record, _) = new.anonymous(now);
        let last = now + Timeouts::MAX_ABSOLUTE;
        prop_assert!(record.expires_at() <= last);
        prop_assert!(!record.is_live(last));
        let mut change = Change::new().touch();
        if let Some(life) = shorten {
            change = change.shorten(millis(life));
        }
        if let Ok(next) = record.apply(&change, step_of_the_clock, &bounds()) {
            prop_assert!(next.expires_at() <= record.deadline());
            prop_assert!(!next.is_live(last));
        }
    }
}

fn prop_millis() -> impl Strategy<Value = u64> {
    proptest::prop_oneof![
        proptest::prelude::Just(0),
        proptest::prelude::Just(1),
        proptest::prelude::Just(u64::MAX),
        proptest::prelude::Just((1 << 53) - 1),
        any::<u64>(),
        0..100_000_u64,
    ]
}

fn prop_instant() -> impl Strategy<Value = Timestamp> {
    prop_millis().prop_map(Timestamp::from_millis)
}

/// Of several reasons to refuse the first is given: Absent, Conflict, `TooLarge`.
#[test]
fn refusals_come_in_their_order() {
    let record = session(Timeouts::new(millis(1_000)).without_idle());
    let small = Bounds {
        value_bytes: 4,
        ..bounds()
    };
    let large = Change::new().set(name("a"), json("12345"));
    let alone = record.apply(&large, at(START), &small);
    assert!(matches!(alone, Err(Refusal::TooLarge(_))));
    let guarded = large
        .clone()
        .guarded_by(Revision::from_u64(!record.revision().to_u64()));
    assert_eq!(
        record.apply(&guarded, at(START), &small),
        Err(Refusal::Conflict)
    );
    let renewal = Renewal {
        issue: secret(1),
        replaces: secret(9),
        soft: false,
    };
    let renewing = large.renew(renewal);
    assert_eq!(
        record.apply(&renewing, at(START), &small),
        Err(Refusal::Conflict)
    );
    let late = at(START + 1_000);
    assert_eq!(record.apply(&guarded, late, &small), Err(Refusal::Absent));
}

#[test]
fn a_clear_leaves_what_the_lifecycle_keeps() {
    let start = at(START);
    let entries = [
        ("a", "1"),
        ("session:csrf", "2"),
        ("session", "3"),
        ("z", "4"),
    ];
    let entries = entries.map(|(key, value)| (name(key), json(value)));
    let new = session_core::NewRecord::new(secret(0), Timeouts::default()).with_entries(entries);
    let (record, _) = new.anonymous(start);
    let change = Change::new()
        .set(name("late"), json("5"))
        .clear()
        .set(name("b"), json("6"));
    let next = record.apply(&change, start, &bounds()).unwrap();
    let entries: Vec<_> = next.entries().collect();
    assert_eq!(entries, [("b", "6"), ("session:csrf", "2")]);
}

#[test]
fn a_signed_in_session_is_authenticated_when_it_is_created() {
    let record = user(Timeouts::default());
    assert_eq!(record.subject(), Some("alice"));
    assert_eq!(record.authenticated_at(), Some(at(START)));
    assert_eq!(
        record.slots().next().map(|slot| slot.standing),
        Some(Standing::Unpresented)
    );
    assert_ne!(record, session(Timeouts::default()));
}
