//! What the measured sessions hold.

use serde_json::{Value, json};

use crate::numbers::Numbers;

/// The entry that a write changes, a small number beside the rest.
pub const COUNTER: &str = "visits";

/// The entries of one session: what a web shop would keep, as JSON texts. All sessions of a run hold the
/// same.
#[derive(Clone, Debug)]
pub struct Payload {
    /// What the sizes of the entries add up to, names included.
    pub bytes: usize,
    /// Names and JSON texts, [`COUNTER`] among them.
    pub entries: Vec<(String, String)>,
}

impl Payload {
    /// Entries of `bytes` bytes in all.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let mut entries: Vec<(String, Value)> = vec![
            (COUNTER.to_owned(), json!(1)),
            ("locale".to_owned(), json!("en-GB")),
            ("theme".to_owned(), json!("dark")),
            ("last_page".to_owned(), json!("/products/trail-shoes")),
        ];
        let mut numbers = Numbers::from_seed(bytes as u64);
        // What is large in real sessions are lists of things.
        for name in ["cart", "seen", "filters", "form:checkout"] {
            let mut items = Vec::new();
            let share = bytes.saturating_sub(200) / 4;
            while share > 120 && text(&json!(items)).len() + 120 < share {
                items.push(item(&mut numbers));
            }
            if !items.is_empty() {
                entries.push((name.to_owned(), json!(items)));
            }
        }
        let mut entries: Vec<(String, String)> = entries
            .into_iter()
            .map(|(name, value)| (name, text(&value)))
            .collect();
        let size = |entries: &[(String, String)]| -> usize {
            entries
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum()
        };
        let filled = size(&entries) + "note".len() + 2;
        let note = "The gate code is on the door. "
            .chars()
            .cycle()
            .take(bytes.saturating_sub(filled))
            .collect::<String>();
        entries.push(("note".to_owned(), text(&json!(note))));
        Self {
            bytes: size(&entries),
            entries,
        }
    }

    /// All entries as one JSON object, as a floor that knows no entries keeps them.
    ///
    /// # Panics
    ///
    /// Never: the entries are JSON.
    #[must_use]
    pub fn to_object(&self) -> Value {
        self.entries
            .iter()
            .map(|(name, value)| {
                let value: Value = serde_json::from_str(value).unwrap();
                (name.clone(), value)
            })
            .collect()
    }

    /// The sizes as the tables name them.
    #[must_use]
    pub fn label(&self) -> String {
        if self.bytes < 1024 {
            format!("{} B", self.bytes)
        } else {
            format!("{} KB", self.bytes / 1024)
        }
    }
}

fn item(numbers: &mut Numbers) -> Value {
    json!({
        "sku": format!("TS-{:05}", numbers.below(100_000)),
        "name": "Trail shoe, grey",
        "quantity": numbers.below(4) + 1,
        "price": numbers.below(20_000),
        "gift": numbers.below(8) == 0,
    })
}

fn text(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_json_and_add_up_to_the_size_asked_for() {
        for bytes in [200, 2 << 10, 16 << 10] {
            let payload = Payload::of(bytes);
            assert_eq!(payload.bytes, bytes);
            assert!(payload.to_object()[COUNTER].is_number());
        }
    }
}
