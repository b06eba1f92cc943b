//! Frames of every version, byte for byte: what was ever sent can be read for ever.
//!
//! `golden/v1.txt` and so on hold a line per message: its name and its frame in hexadecimal digits. A new
//! version gets a new file, the old ones never change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use session_core::{
    LimitPolicy, Owner, SecretHash, SessionId, SignInLimit, Slot, Standing, Subject, Timestamp,
};

use super::*;
use crate::core::{
    Birth, Dead, Fence, Incarnation, LastChange, Live, Register, Revokes, Secret, Stamp, State,
};

const FILES: [(u8, &str); 2] = [
    (2, include_str!("golden/v2.txt")),
    (3, include_str!("golden/v3.txt")),
];

fn stamp(counter: u64, writer: u16) -> Stamp {
    let time = (2_000_000_000_000 << 16) + counter;
    Stamp { time, writer }
}

const fn instant(second: u64) -> Timestamp {
    Timestamp::from_millis(2_000_000_000_000 + second * 1_000)
}

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

fn secret(issued: Stamp, byte: u8, standing: Standing) -> Secret {
    let accepted_until = match standing {
        Standing::Current => Timestamp::MAX,
        _ => instant(30),
    };
    let slot = Slot {
        hash: SecretHash::from_bytes([byte; 32]),
        issued_at: instant(1),
        accepted_until,
        standing,
    };
    Secret { issued, slot }
}

/// A session in which every register says something.
fn whole() -> State {
    let mut live = Live::bottom(instant(3_600));
    live.birth = Some(Birth {
        stamp: stamp(2, 7),
        created_at: instant(1),
        idle: Some(Duration::from_secs(1_800)),
        renewal: Some(Duration::from_secs(900)),
        owner: Some(Owner {
            subject: Subject::new("älice").unwrap(),
            nonce: 0x0123_4567_89ab_cdef,
            attempt: 2,
        }),
        predecessor: Some(id(9)),
    });
    live.deadline = instant(1_200);
    live.last_seen = instant(60);
    live.is_settled = true;
    live.seen = Revokes::one(Incarnation(77), 5);
    live.cleared = stamp(2, 7);
    let texts = [
        ("cart", Some("[1, 2.0, \"\\u0000\"]")),
        ("gone", None),
        ("session:csrf", Some("\"\u{1f600}\"")),
    ];
    for (counter, (name, value)) in (3..).zip(texts) {
        let stamp = stamp(counter, 7);
        let value = value.map(Into::into);
        live.entries
            .insert(name.parse().unwrap(), Register { stamp, value });
    }
    live.secrets.list = vec![
        secret(stamp(2, 7), 0xaa, Standing::Former),
        secret(stamp(3, 8), 0xbb, Standing::Current),
        secret(stamp(4, 7), 0xcc, Standing::Unpresented),
    ];
    live.secrets.unpresented_floor = stamp(1, 7);
    live.secrets.floor = stamp(0, 8);
    live.change = LastChange {
        stamp: stamp(5, 7),
        revision: 0xfeed_f00d,
        content: 0xdead_beef,
    };
    live.opaque.insert(200, Box::new([1, 2, 3]));
    live.set_limit(SignInLimit {
        max: 3.try_into().unwrap(),
        policy: LimitPolicy::Refuse,
    });
    State::Live(Box::new(live))
}

fn messages(version: u8) -> Vec<(&'static str, Message)> {
    let known: Vector = [(Incarnation(1), 300), (Incarnation(u64::MAX), 1)].into();
    let dead = State::Dead(Dead {
        until: instant(3_600),
    });
    let mut part = Live::bottom(instant(3_600));
    part.last_seen = instant(61);
    let part = State::Live(Box::new(part));
    let fence = Fence {
        revokes: Revokes::one(Incarnation(1), 9),
        until: instant(86_400),
    };
    let fence = Item::Fence(Subject::new("bob").unwrap(), fence);
    let session = |byte, state: &State| Item::Session(id(byte), state.clone());
    let whole = whole();
    vec![
        (
            "push",
            Message::Push {
                first: 299,
                ops: vec![
                    vec![session(1, &whole), session(2, &dead)],
                    vec![session(3, &part), fence.clone()],
                ],
            },
        ),
        (
            "status",
            Message::Status {
                known: known.clone(),
                time: stamp(9, 0).time,
                is_ready: true,
            },
        ),
        (
            "want",
            Message::Want {
                known: known.clone(),
            },
        ),
        (
            "states",
            Message::States {
                items: vec![session(1, &whole), fence],
            },
        ),
        (
            "caught",
            Message::Caught {
                known: known.clone(),
            },
        ),
        ("ask", Message::Ask { ask: 7, id: id(1) }),
        (
            "answer_with",
            Message::Answer {
                ask: 7,
                state: Some((id(1), whole)),
                is_certain: true,
            },
        ),
        (
            "answer_without",
            Message::Answer {
                ask: 7,
                state: None,
                is_certain: false,
            },
        ),
        ("flush", Message::Flush { ask: 8 }),
        ("head", Message::Head { ask: 8, seq: 300 }),
        (
            "audit",
            Message::Audit {
                known,
                after: instant(40),
                first: if version == 2 { 0 } else { 254 },
                sums: vec![1, u64::MAX],
            },
        ),
    ]
}

/// The number of the first message's frame: of those that follow one takes a byte more.
const FIRST: u64 = 120;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn written(version: u8) -> String {
    let mut text = String::new();
    for (number, (name, message)) in (FIRST..).zip(messages(version)) {
        let mut frame = Vec::new();
        message.write(version, number, &mut frame);
        let _ = writeln!(text, "{name} {}", hex(&frame));
    }
    text
}

#[test]
fn frames_of_every_version_are_written_as_ever() {
    for (version, golden) in FILES {
        let written = written(version);
        assert_eq!(written, golden, "version {version}");
    }
}

#[test]
fn frames_of_every_version_are_read_as_ever() {
    for (version, golden) in FILES {
        let messages: BTreeMap<_, _> = messages(version).into_iter().collect();
        assert_eq!(golden.lines().count(), messages.len());
        for (number, line) in (FIRST..).zip(golden.lines()) {
            let (name, digits) = line.split_once(' ').unwrap();
            let (pairs, _) = digits.as_bytes().as_chunks::<2>();
            let digit = |digit: u8| (digit as char).to_digit(16).unwrap();
            let frame: Vec<_> = pairs
                .iter()
                .map(|[high, low]| u8::try_from(digit(*high) << 4 | digit(*low)).unwrap())
                .collect();
            assert_eq!(frame[5], version);
            let read = Message::read(frame[4], frame[5], &frame[6..]);
            let number = (version >= 3).then_some(number);
            let message = messages[name].clone();
            assert_eq!(read, Ok(Some((number, message))), "{name} of {version}");
        }
    }
}

#[test]
fn the_files_are_those_of_the_versions_that_are_spoken() {
    let versions: Vec<_> = FILES.iter().map(|(version, _)| *version).collect();
    assert!(versions.contains(&OLDEST) && versions.last() == Some(&VERSION));
}

#[test]
fn a_register_of_a_later_version_is_kept_joined_and_passed_on() {
    let State::Live(mut known) = whole() else {
        panic!("it lives");
    };
    let mut later = Live::bottom(known.until);
    later.opaque.insert(201, Box::new([5]));
    later.opaque.insert(200, Box::new([1, 3]));
    known.join(&later);
    let message = Message::Answer {
        ask: 1,
        state: Some((id(1), State::Live(known))),
        is_certain: true,
    };
    let mut frame = Vec::new();
    message.write(VERSION, 1, &mut frame);
    let Ok(Some((
        Some(1),
        Message::Answer {
            state: Some((_, State::Live(read))),
            ..
        },
    ))) = Message::read(frame[4], VERSION, &frame[6..])
    else {
        panic!("it is an answer");
    };
    assert_eq!(read.opaque.get(&200).map(|it| &**it), Some(&[1, 3][..]));
    assert_eq!(read.opaque.get(&201).map(|it| &**it), Some(&[5][..]));
}
