//! Messages come back as they went, and nothing that comes in can break a reader.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use session_core::{SessionId, Timestamp};

use super::*;
use crate::core::laws::{item, vector};

fn message() -> impl Strategy<Value = Message> {
    let id = || any::<[u8; 16]>().prop_map(SessionId::from_bytes);
    let ops = vec(vec(item(), 0..3), 0..4);
    prop_oneof![
        (any::<u64>(), ops).prop_map(|(first, ops)| Message::Push { first, ops }),
        (vector(), any::<u64>(), any::<bool>()).prop_map(|(known, time, is_ready)| {
            Message::Status {
                known,
                time,
                is_ready,
            }
        }),
        any::<u64>().prop_map(|ask| Message::Flush { ask }),
        any::<(u64, u64)>().prop_map(|(ask, seq)| Message::Head { ask, seq }),
        vector().prop_map(|known| Message::Want { known }),
        vec(item(), 0..4).prop_map(|items| Message::States { items }),
        vector().prop_map(|known| Message::Caught { known }),
        (any::<u64>(), id()).prop_map(|(ask, id)| Message::Ask { ask, id }),
        (any::<u64>(), option::of(item()), any::<bool>()).prop_map(|(ask, item, is_certain)| {
            let state = match item {
                Some(Item::Session(id, state)) => Some((id, state)),
                _ => None,
            };
            Message::Answer {
                ask,
                state,
                is_certain,
            }
        }),
        (
            vector(),
            0_u64..1 << 50,
            any::<u8>(),
            vec(any::<u64>(), 0..5)
        )
            .prop_map(|(known, after, first, sums)| Message::Audit {
                known,
                after: Timestamp::from_millis(after),
                first,
                sums,
            }),
    ]
}

const NUMBER: u64 = 1 << 40;

fn frame(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.write(VERSION, NUMBER, &mut frame);
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn what_is_written_is_read(message in message()) {
        let frame = frame(&message);
        let (len, rest) = frame.split_first_chunk::<4>().unwrap();
        prop_assert_eq!(u32::from_be_bytes(*len) as usize, rest.len());
        prop_assert_eq!(Message::read(rest[0], rest[1], &rest[2..]), Ok(Some((Some(NUMBER), message))));
    }

    #[test]
    fn arbitrary_bytes_break_nothing(kind in 14_u8..28, body in vec(any::<u8>(), 0..200)) {
        let _ = Message::read(kind, VERSION, &body);
    }

    #[test]
    fn a_damaged_frame_breaks_nothing(message in message(), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
        let mut frame = frame(&message);
        let len = frame.len();
        frame[4 + at % (len - 4)] = byte;
        frame.truncate(6 + cut % (len - 5));
        let _ = Message::read(frame[4], frame[5].min(VERSION), &frame[6..]);
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_unread() {
    let body = vec![0; MAX_FRAME + 1];
    assert_eq!(
        Message::read(19, VERSION, &body),
        Err(WireError::TooLong(MAX_FRAME + 1))
    );
}

#[test]
fn a_kind_of_a_later_version_is_skipped() {
    assert_eq!(Message::read(200, VERSION, b"anything"), Ok(None));
}

#[test]
fn a_count_that_is_not_there_takes_no_memory() {
    let mut body = Writer::default();
    body.number(NUMBER);
    body.number(u64::MAX >> 1);
    assert_eq!(
        Message::read(18, VERSION, &body.into_bytes()),
        Err(WireError::Truncated)
    );
}
