//! Version 1 of the stored format, byte by byte: what an earlier release wrote must stay readable.

use std::time::Duration;

use session_core::{
    Header, NewRecord, Owner, Record, Revision, SecretHash, SessionId, Sharding, Slot, Standing,
    Subject, Timeouts, Timestamp, TokenFormat,
};

use super::samples::{at, json, name, secret};

/// A signed-in session with all that a record can have.
const FULL: &str = include_str!("version_1_full.hex");
/// An anonymous session with nothing that a record need not have.
const BARE: &str = include_str!("version_1_bare.hex");

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::bytes)
        .filter(u8::is_ascii_hexdigit)
        .collect();
    let digit = |byte: u8| u8::try_from((byte as char).to_digit(16).unwrap()).unwrap();
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn full() -> (Header, Vec<(&'static str, &'static str)>) {
    let slot = |number, issued_at, accepted_until, standing| Slot {
        hash: secret(number),
        issued_at: at(issued_at),
        accepted_until,
        standing,
    };
    let header = Header {
        revision: Revision::from_u64(0x0123_4567_89ab_cdef),
        created_at: at(2_000_000_000_000),
        last_seen_at: at(2_000_000_060_000),
        deadline: at(2_000_043_200_000),
        idle: Some(Duration::from_secs(1_800)),
        renewal: Some(Duration::from_secs(900)),
        slots: vec![
            slot(
                0x11,
                2_000_000_000_000,
                at(2_000_000_050_000),
                Standing::Former,
            ),
            slot(0x22, 2_000_000_010_000, Timestamp::MAX, Standing::Current),
            slot(
                0x33,
                2_000_000_055_000,
                Timestamp::MAX,
                Standing::Unpresented,
            ),
        ],
        owner: Some(Owner {
            subject: Subject::new("алиса").unwrap(),
            nonce: 0xfedc_ba98_7654_3210,
            attempt: 2,
        }),
        predecessor: Some(SessionId::from_bytes([0x44; 16])),
    };
    (
        header,
        vec![("cart", "[1, 2]"), ("\u{1f388}", r#""\u0000""#)],
    )
}

fn bare() -> Header {
    Header {
        revision: Revision::from_u64(1),
        created_at: at(1),
        last_seen_at: at(2),
        deadline: at(3),
        idle: None,
        renewal: None,
        slots: vec![Slot {
            hash: secret(0xff),
            issued_at: at(1),
            accepted_until: Timestamp::MAX,
            standing: Standing::Current,
        }],
        owner: None,
        predecessor: None,
    }
}

fn entries_block(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries.iter().map(|(key, value)| (name(key), json(value)));
    let new = NewRecord::new(secret(0), Timeouts::default()).with_entries(entries);
    new.anonymous(at(1)).0.entries_block().to_vec()
}

#[test]
fn a_full_record_of_version_1_is_read_and_written() {
    let (header, entries) = full();
    let read = Record::from_bytes(bytes(FULL)).unwrap();
    assert_eq!(read.header(), header);
    assert_eq!(read.entries().collect::<Vec<_>>(), entries);
    let written = Record::from_parts(&header, &entries_block(&entries)).unwrap();
    assert_eq!(written.as_bytes(), bytes(FULL));
}

#[test]
fn a_bare_record_of_version_1_is_read_and_written() {
    let read = Record::from_bytes(bytes(BARE)).unwrap();
    assert_eq!(read.header(), bare());
    assert_eq!(read.entries().count(), 0);
    let written = Record::from_parts(&bare(), &entries_block(&[])).unwrap();
    assert_eq!(written.as_bytes(), bytes(BARE));
}

/// SECURITY 44.
#[test]
fn another_version_is_corrupt() {
    for version in (0..=255).filter(|version| *version != 1) {
        let mut bytes = bytes(FULL);
        bytes[0] = version;
        assert!(Record::from_bytes(bytes).is_err(), "version {version}");
    }
}

/// Other servers, and releases, must place a subject alike and read each other's cookies.
#[test]
fn shards_and_tokens_are_what_they_were() {
    let alice = Subject::new("alice").unwrap();
    assert_eq!(Sharding::default().shard_of(&alice).number(), 0x7d13);
    assert_eq!(Sharding::keyed(&[7; 32]).shard_of(&alice).number(), 0x831e);
    let text = "AAECAwQFBgcICQoLDA0OD_Dx8vP09fb3-Pn6-_z9_v8";
    let token = TokenFormat::default().decode(text.as_bytes()).unwrap();
    assert_eq!(token.id.to_string(), "000102030405060708090a0b0c0d0e0f");
    let hash: &SecretHash = &token.secret.hash();
    assert_eq!(hash.as_bytes()[..4], [0x96, 0x05, 0x3d, 0x1a]);
    assert_eq!(TokenFormat::default().encode(&token), text);
    let with_mac = "AAECAwQFBgcICQoLDA0OD_Dx8vP09fb3-Pn6-_z9_v8cwFLDoGc_2A";
    assert_eq!(TokenFormat::with_mac(&[7; 32]).encode(&token), with_mac);
}
