//! What a text may say: tokens, ids, names and values each in exactly the ways that are stated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::sample::{Index, select};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use session_core::{
    EntryName, InvalidName, JsonText, SessionId, SessionSecret, SessionToken, Shard, Subject,
    TokenFormat,
};

const PLAIN: usize = 43;
const WITH_MAC: usize = 54;

fn formats() -> [(TokenFormat, usize); 2] {
    [
        (TokenFormat::default(), PLAIN),
        (TokenFormat::with_mac(&[7; 32]), WITH_MAC),
    ]
}

fn token() -> SessionToken {
    SessionToken {
        id: SessionId::generate(Shard::random()),
        secret: SessionSecret::generate(),
    }
}

/// Bytes of a cookie that look like a token, or do not.
fn cookie() -> impl Strategy<Value = Vec<u8>> {
    let alphabet: Vec<u8> = (0..=127)
        .filter(|byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        .collect();
    let lengths = prop_oneof![4 => select(vec![PLAIN, WITH_MAC]), 1 => 0..80_usize];
    prop_oneof![
        4 => lengths.prop_flat_map(move |len| vec(select(alphabet.clone()), len)),
        1 => vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// SECURITY 5: one spelling for each token: nothing else is taken for it.
    #[test]
    fn what_is_read_as_a_token_is_how_it_is_written(text in cookie()) {
        for (format, len) in formats() {
            if let Some(token) = format.decode(&text) {
                prop_assert_eq!(text.len(), len);
                prop_assert_eq!(format.encode(&token).into_bytes(), text.clone());
            }
        }
    }

    /// SECURITY 5: NUL, line ends, padding, the other alphabet: at any place.
    #[test]
    fn a_byte_outside_the_alphabet_makes_no_token(at in any::<Index>(), byte in any::<u8>()) {
        for (format, len) in formats() {
            let mut text = format.encode(&token()).into_bytes();
            text[at.index(len)] = byte;
            let spelled = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            prop_assert!(spelled || format.decode(&text).is_none());
        }
    }

    #[test]
    fn a_token_with_a_mac_bears_no_change(at in 0..WITH_MAC, with in any::<Index>()) {
        let (format, _) = &formats()[1];
        let mut text = format.encode(&token()).into_bytes();
        let others: Vec<_> = (b'A'..=b'Z').filter(|byte| *byte != text[at]).collect();
        text[at] = others[with.index(others.len())];
        prop_assert!(format.decode(&text).is_none());
    }

    #[test]
    fn an_id_is_read_only_as_it_is_written(text in "[0-9a-fA-F ]{0,40}|\\PC{32}") {
        if let Ok(id) = text.parse::<SessionId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_name_is_one_to_255_bytes_without_nul(text in "\\PC{0,90}|[a\\x00]{0,4}|x{250,260}") {
        let expected = match text.len() {
            0 => Err(InvalidName::Empty),
            len @ 256.. => Err(InvalidName::TooLong(len)),
            _ if text.contains('\0') => Err(InvalidName::Nul),
            _ => Ok(text.clone()),
        };
        prop_assert_eq!(EntryName::new(&text).map(String::from), expected.clone());
        prop_assert_eq!(Subject::new(&text).map(String::from), expected);
    }

    /// Clause 14: white space, duplicate members and all.
    #[test]
    fn a_value_is_kept_byte_for_byte(text in "[ \\[\\]{}:,\"a0-9.eE+\\-tfn]{0,12}|\"\\PC{0,8}\"") {
        if let Ok(value) = JsonText::parse(&text) {
            prop_assert_eq!(value.as_str(), text);
        }
    }
}

/// SECURITY 5.
#[test]
fn no_text_of_another_length_or_form_is_a_token() {
    for (format, len) in formats() {
        let text = format.encode(&token());
        assert_eq!(text.len(), len);
        let long = "A".repeat(10_240);
        let others = [
            "",
            " ",
            "\0",
            "*",
            "'",
            "{}",
            "\r\n",
            "%00",
            "ключ",
            "AAAA====",
            &long,
            &text[..len - 1],
            &format!("{text}="),
            &format!("{text} "),
            &format!(" {text}"),
            &format!("{text}\0"),
            &text.replace(|_: char| true, "+"),
            &text.replace(|_: char| true, "/"),
        ];
        for other in others {
            assert!(format.decode(other.as_bytes()).is_none(), "{other:?}");
        }
        assert!(format.decode(&vec![0xff; len]).is_none());
    }
}

/// SECURITY 5: the last of 43 characters carries four bits: two of its six must be zero.
#[test]
fn bits_left_over_make_no_second_spelling() {
    let format = TokenFormat::default();
    let text = format.encode(&token());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let read = alphabet.iter().filter(|last| {
        let mut text = text.clone().into_bytes();
        text[PLAIN - 1] = **last;
        format.decode(&text).is_some()
    });
    assert_eq!(read.count(), 16);
}

/// A server that asks for a MAC takes no token without one, nor one under another key.
#[test]
fn a_mac_is_of_one_key() {
    let token = token();
    let [(plain, _), (ours, _)] = formats();
    let theirs = TokenFormat::with_mac(&[8; 32]);
    assert!(ours.decode(plain.encode(&token).as_bytes()).is_none());
    assert!(ours.decode(theirs.encode(&token).as_bytes()).is_none());
    assert!(plain.decode(ours.encode(&token).as_bytes()).is_none());
    assert!(ours.decode(ours.encode(&token).as_bytes()).is_some());
}

#[test]
fn what_is_no_json_is_no_value() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "01",
        "1.",
        "'a'",
        "\"\n\"",
        "nul",
        "1 2",
        "\u{feff}1",
        "NaN",
    ] {
        assert!(JsonText::parse(text).is_err(), "{text:?}");
    }
}

/// What is kept can be decoded: deeper texts cannot.
#[test]
fn a_value_is_nested_at_most_127_deep() {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| format!("{}1{}", r#"{"[\"[":"#.repeat(depth), "}".repeat(depth));
    for text in [lists(127), maps(127)] {
        let value = JsonText::parse(text).unwrap();
        assert!(value.decode::<serde_json::Value>().is_ok());
    }
    for depth in [128, 100_000] {
        for text in [lists(depth), maps(depth)] {
            assert!(JsonText::parse(text).is_err(), "{depth} deep");
        }
    }
    // Brackets in a text are no nesting.
    assert!(JsonText::parse(format!("\"{}\"", "[{".repeat(1_000))).is_ok());
}
