//! Sizes: what a bound lets pass, to the byte.

use session_core::{Bounds, Change, NewRecord, Record, Refusal, Size, Timeouts};

use super::samples::{START, at, json, name, secret, session};

const SMALL: Bounds = Bounds {
    value_bytes: 10,
    session_bytes: 30,
    entries: 3,
};

/// A JSON number of so many digits.
fn digits(len: usize) -> session_core::JsonText {
    json(&"7".repeat(len))
}

fn record(entries: &[(&str, usize)]) -> Record {
    let entries = entries.iter().map(|(key, len)| (name(key), digits(*len)));
    let new = NewRecord::new(secret(0), Timeouts::default()).with_entries(entries);
    new.anonymous(at(START)).0
}

fn refused(record: &Record, change: &Change) -> Option<Size> {
    match record.apply(change, at(START), &SMALL) {
        Ok(_) => None,
        Err(Refusal::TooLarge(reason)) => Some(reason.what),
        Err(other) => panic!("{other:?}"),
    }
}

/// SECURITY 43: a value, the number of entries and all bytes together, names included.
#[test]
fn a_bound_holds_to_the_byte() {
    let empty = session(Timeouts::default());
    assert_eq!(
        refused(&empty, &Change::new().set(name("a"), digits(10))),
        None
    );
    let over = Change::new().set(name("a"), digits(11));
    assert_eq!(refused(&empty, &over), Some(Size::Value));

    let two = record(&[("a", 9), ("b", 9)]);
    assert_eq!(
        refused(&two, &Change::new().set(name("c"), digits(9))),
        None
    );
    let over = Change::new().set(name("c"), digits(10));
    assert_eq!(refused(&two, &over), Some(Size::Session));
    let over = Change::new().set(name("cc"), digits(9));
    assert_eq!(refused(&two, &over), Some(Size::Session));

    let three = record(&[("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(
        refused(&three, &Change::new().set(name("c"), digits(2))),
        None
    );
    let over = Change::new().set(name("d"), digits(1));
    assert_eq!(refused(&three, &over), Some(Size::Entries));
}

#[test]
fn a_new_record_is_held_to_the_same_bounds() {
    let new = |entries: &[(&str, usize)]| {
        let entries = entries.iter().map(|(key, len)| (name(key), digits(*len)));
        NewRecord::new(secret(0), Timeouts::default()).with_entries(entries)
    };
    let reason = |record: NewRecord| record.check(&SMALL).err().map(|reason| reason.what);
    assert_eq!(reason(new(&[("a", 9), ("b", 9), ("c", 9)])), None);
    assert_eq!(
        reason(new(&[("a", 9), ("b", 9), ("c", 10)])),
        Some(Size::Session)
    );
    assert_eq!(reason(new(&[("a", 11)])), Some(Size::Value));
    let four = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];
    assert_eq!(reason(new(&four)), Some(Size::Entries));
}

/// A bound may have been lowered since.
#[test]
fn a_session_over_its_bound_can_shrink_and_be_used_but_not_grow() {
    let large = record(&[("a", 20), ("b", 20), ("c", 20), ("d", 20)]);
    for harmless in [
        Change::new().remove(name("a")),
        Change::new().clear(),
        Change::new().touch(),
        Change::new().promote(secret(0)),
    ] {
        assert_eq!(refused(&large, &harmless), None);
    }
    assert!(refused(&large, &Change::new().set(name("a"), digits(1))).is_some());
    let enough = Change::new().clear().set(name("a"), digits(1));
    assert_eq!(refused(&large, &enough), None);
}

#[test]
fn what_was_refused_changed_nothing() {
    let before = record(&[("a", 9), ("b", 9)]);
    let kept = before.as_bytes().to_vec();
    let change = Change::new().remove(name("a")).set(name("c"), digits(11));
    assert!(refused(&before, &change).is_some());
    assert_eq!(before.as_bytes(), kept);
}
