//! Bytes that no store wrote.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use session_core::{Bounds, Change, Header, Record, Slot, Standing, Timeouts, Timestamp};

use super::samples::{life, secret, session};

/// Reads everything there is to read, and says whether it makes one whole record.
fn is_whole(bytes: &[u8]) -> bool {
    let Ok(record) = Record::from_bytes(bytes) else {
        return false;
    };
    let header = record.header();
    let _ = format!("{record:?}");
    let _ = (
        record.subject(),
        record.predecessor(),
        record.was_presented(),
    );
    let _ = record.judge(&secret(0), Timestamp::MAX);
    let _ = record.apply(
        &Change::new().touch().clear(),
        record.created_at(),
        &Bounds::default(),
    );
    assert_eq!(
        record.subject(),
        header.owner.as_ref().map(|owner| owner.subject.as_str())
    );
    assert_eq!(record.slots().collect::<Vec<_>>(), header.slots);
    for (name, value) in record.entries() {
        assert_eq!(record.get(name), Some(value));
    }
    // What was read is what is written: nothing was dropped or changed on the way.
    let written = Record::from_parts(&header, record.entries_block());
    assert_eq!(written.as_ref().map(Record::as_bytes), Ok(bytes));
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// SECURITY 44.
    #[test]
    fn any_bytes_are_corrupt_or_one_whole_record(bytes in vec(any::<u8>(), 0..400)) {
        is_whole(&bytes);
        // With a version that is known, so that more than the first byte is looked at.
        let mut bytes = bytes;
        if let [version, slots, flags, zero, ..] = bytes.as_mut_slice() {
            (*version, *zero) = (1, 0);
            *slots %= 6;
            *flags %= 4;
            is_whole(&bytes);
        }
    }

    /// SECURITY 44: a changed byte is found, or makes another whole record; never a part of one.
    #[test]
    fn a_changed_byte_is_corrupt_or_one_whole_record(
        (record, _) in life(0..12),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = record.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        is_whole(&bytes);
    }

    /// SECURITY 44.
    #[test]
    fn a_record_that_is_cut_short_is_corrupt((record, _) in life(0..6)) {
        for len in 0..record.as_bytes().len() {
            prop_assert!(Record::from_bytes(&record.as_bytes()[..len]).is_err(), "{} bytes", len);
        }
        let mut longer = record.as_bytes().to_vec();
        longer.push(0);
        prop_assert!(Record::from_bytes(longer).is_err());
    }

    #[test]
    fn entries_from_elsewhere_are_checked((record, _) in life(0..6), bytes in vec(any::<u8>(), 0..80)) {
        if let Ok(made) = Record::from_parts(&record.header(), &bytes) {
            prop_assert_eq!(made.entries_block(), &bytes[..]);
            prop_assert!(is_whole(made.as_bytes()));
        }
    }
}

/// Every value of every byte of a header, one at a time.
#[test]
fn every_byte_of_a_header_is_looked_at() {
    let record = session(Timeouts::default());
    let header = record.as_bytes().len() - record.entries_block().len();
    for at in 0..header {
        for byte in 0..=255 {
            let mut bytes = record.as_bytes().to_vec();
            bytes[at] = byte;
            is_whole(&bytes);
        }
    }
}

/// SECURITY 44: a header that says "two secrets" and has room for none.
#[test]
fn secrets_that_are_missing_make_no_record_without_secrets() {
    let record = session(Timeouts::default());
    let mut bytes = record.as_bytes()[..56].to_vec();
    bytes[1] = 2;
    bytes[4..8].copy_from_slice(&56_u32.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    assert!(Record::from_bytes(bytes).is_err());
}

#[test]
fn a_header_of_more_than_four_secrets_makes_no_record() {
    let record = session(Timeouts::default());
    let slot = |number| Slot {
        hash: secret(number),
        issued_at: Timestamp::MIN,
        accepted_until: Timestamp::MAX,
        standing: Standing::Unpresented,
    };
    for count in 0..=4 {
        let header = Header {
            slots: (0..count).map(slot).collect(),
            ..record.header()
        };
        let made = Record::from_parts(&header, record.entries_block()).unwrap();
        assert_eq!(made.header(), header);
    }
    let header = Header {
        slots: (0..5).map(slot).collect(),
        ..record.header()
    };
    assert!(Record::from_parts(&header, record.entries_block()).is_err());
}
