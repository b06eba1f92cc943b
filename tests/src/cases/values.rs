//! Clause 14: values and names come back byte for byte.

use session_core::{Change, MAX_NAME_BYTES, Subject};

use crate::case::Case;
use crate::context::{Context, fresh_id};
use crate::expect::{ExpectCreation, ExpectLoaded};
use crate::sample::{json, name, new_record, set};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_14_every_json_text_comes_back_byte_for_byte,
        clause_14_every_name_comes_back_byte_for_byte,
        clause_14_names_that_look_alike_are_different,
        clause_14_every_subject_is_kept_apart,
    ]
}

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "null",
        "true",
        "0",
        "-0",
        "1.0",
        "1e2",
        "1E+2",
        "1e-7",
        "0.1",
        "-0.0",
        "100000000000000000000000000000000000001",
        "0.10000000000000000000000000000000001",
        "1e400",
        "\"\"",
        "\"\\u0000\"",
        "\"\\u0000\\u0001\\u001f\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\u00e9\"",
        "\"é\"",
        "\"e\u{301}\"",
        "\"\u{1F600}\"",
        "\"\u{10FFFF}\"",
        "\"\u{FEFF}\"",
        "\"\u{2028}\u{2029}\"",
        "\"\u{7f}\"",
        "\"\\/\"",
        "\"/\"",
        "\"\\b\\f\\n\\r\\t\\\"\\\\\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " 1 ",
        "\t[1,\r\n 2]\n",
        "{\"b\": 1, \"a\": 2}",
        "{\"a\": 1, \"a\": 2}",
        "{\"\": null}",
        "{\"\\u0000\": 1}",
        "[null,[],{}]",
        "\"'; DROP TABLE sessions; --\"",
        "\"$1 %s {} :name ?\"",
        "\"a:b|c,d;e\"",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("{}{}", "[".repeat(127), "]".repeat(127)));
    texts.push(format!("\"{}\"", "\u{1F600}".repeat(1000)));
    texts
}

async fn clause_14_every_json_text_comes_back_byte_for_byte(given: Context) {
    let texts = texts();
    let entries: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (name(format!("text-{at:03}")), json(text)))
        .collect();
    let is_exact = async |id| {
        let record = given.load(id).await.live();
        for ((_, value), text) in record.entries().zip(&texts) {
            assert_eq!(value.as_bytes(), text.as_bytes());
        }
        assert_eq!(record.entries().count(), texts.len());
    };
    let created = fresh_id();
    let new = new_record().with_entries(entries.clone());
    given.store().create(created, &new).await.created();
    is_exact(created).await;

    let applied = given.visitor().await.id;
    for (entry, value) in entries {
        let text = value.as_str().to_owned();
        let record = given
            .change(applied, Change::new().set(entry.clone(), value))
            .await;
        assert_eq!(record.get(entry.as_str()), Some(&*text));
    }
    is_exact(applied).await;
}

/// Names with every byte that UTF-8 can have but NUL, and of every length up to the longest.
fn names() -> Vec<String> {
    let chars = ('\u{1}'..='\u{17f}').chain(['\u{800}', '\u{FFFD}', '\u{FEFF}', '\u{1F600}']);
    let lead_bytes = (0x10..0x110).map(|high: u32| high * 0x1000 + 1);
    let mut names: Vec<_> = chars
        .chain(lead_bytes.filter_map(char::from_u32).step_by(16))
        .map(String::from)
        .collect();
    names.extend((2..=MAX_NAME_BYTES).step_by(11).map(|len| "n".repeat(len)));
    names.push("\u{1F600}".repeat(63));
    names.push(" leading and trailing ".to_owned());
    names.push("session:reserved".to_owned());
    names.push("../../etc/passwd".to_owned());
    names.push("{tag}:*?[a-z]\r\n$1".to_owned());
    names.push("\u{ff}".repeat(127));
    names
}

async fn clause_14_every_name_comes_back_byte_for_byte(given: Context) {
    let names = names();
    let id = given.visitor().await.id;
    for half in names.chunks(names.len().div_ceil(2)) {
        let change = half
            .iter()
            .enumerate()
            .fold(Change::new(), |change, (at, text)| {
                change.set(name(text), json(at.to_string()))
            });
        given.change(id, change).await;
        let record = given.load(id).await.live();
        for (at, text) in half.iter().enumerate() {
            assert_eq!(record.get(text), Some(&*at.to_string()), "{text:?}");
        }
        let clear = half
            .iter()
            .fold(Change::new(), |change, text| change.remove(name(text)));
        assert_eq!(given.change(id, clear).await.entries().count(), 0);
    }
}

async fn clause_14_names_that_look_alike_are_different(given: Context) {
    let alike = [
        "cart",
        "Cart",
        "CART",
        "cart ",
        " cart",
        "ca\u{200b}rt",
        "\u{e9}",
        "e\u{301}",
        "E\u{301}",
        "1",
        "01",
        "1.0",
        "null",
        "NULL",
        "%",
        "_",
        "a.b",
        "a:b",
        "a/b",
        "a\\b",
        "ß",
        "ss",
        "ﬁ",
        "fi",
    ];
    let id = given.visitor().await.id;
    for (at, text) in alike.iter().enumerate() {
        given.change(id, set(text, at.to_string())).await;
    }
    let record = given.load(id).await.live();
    assert_eq!(record.entries().count(), alike.len());
    for (at, text) in alike.iter().enumerate() {
        assert_eq!(record.get(text), Some(&*at.to_string()), "{text:?}");
    }
}

async fn clause_14_every_subject_is_kept_apart(given: Context) {
    // Fresh on every run, so that a shared server may hold those of other runs.
    let tail = fresh_id().to_string();
    let odd = [
        "",
        " ",
        "%",
        "_",
        "*",
        "?",
        "{a}",
        "[a-z]",
        "'",
        "\"",
        "\\",
        "\r\n",
        "\t",
        ":",
        "|",
        "é",
        "e\u{301}",
        "\u{1F600}",
        "\u{FEFF}",
        "\u{7f}",
        "\u{1}",
        "A",
        "a",
        "A ",
        "null",
        "$1",
        "..",
    ];
    let mut subjects: Vec<_> = odd.iter().map(|odd| format!("{odd}{tail}{odd}")).collect();
    subjects.push(tail.repeat(7));
    subjects.push(format!("{tail}{}", "\u{1F600}".repeat(55)));
    subjects.push(format!("{tail}{}", "x".repeat(MAX_NAME_BYTES - tail.len())));
    subjects.push(format!(
        "{tail}{}",
        "x".repeat(MAX_NAME_BYTES - tail.len() - 1)
    ));
    let mut users = Vec::new();
    for text in &subjects {
        let subject = Subject::new(text).unwrap();
        users.push((given.user(&subject).await.id, subject));
    }
    for (id, subject) in &users {
        assert_eq!(given.listed(subject).await, [*id], "{subject:?}");
        assert_eq!(
            given.load(*id).await.live().subject(),
            Some(subject.as_str())
        );
    }
    for (id, subject) in &users {
        let ended = given.store().revoke(subject, None).await.unwrap();
        assert_eq!(ended, [*id], "{subject:?}");
    }
}
