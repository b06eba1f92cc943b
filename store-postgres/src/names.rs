//! Names of schemas, tables and functions, and the statements that are written with them.

use std::sync::Arc;

use session_core::{REMEMBERED, UNPRESENTED_GRACE};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The longest name of a schema. With a prefix it names a channel, which holds 63 bytes.
const MAX_SCHEMA: usize = 40;
/// The longest prefix of a table's name.
const MAX_PREFIX: usize = 20;

/// The columns of a record's header, in the order in which [`crate::row`] reads them.
const COLUMNS: &str = "created_at, last_seen_at, deadline, revision, idle, renewal, nonce, attempt, \
                       ended_at, predecessor, secrets, subject";

/// When a live session expires unless it is used again. `LEAST` passes over an idle timeout of NULL.
const EXPIRY: &str = "LEAST(deadline, last_seen_at + idle)";

/// Where a store's tables stand, and what their names begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    schema: String,
    prefix: String,
}

/// A name that would need more than quotes to be safe in a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {name:?} is not 1 to {max} lowercase letters, digits and underscores that begin with a \
     letter or an underscore"
)]
pub(crate) struct InvalidIdentifier {
    what: &'static str,
    name: String,
    max: usize,
}

impl Names {
    pub(crate) fn new(schema: &str, prefix: &str) -> Result<Self, InvalidIdentifier> {
        check("the schema", schema, MAX_SCHEMA)?;
        check("the table prefix", prefix, MAX_PREFIX)?;
        Ok(Self {
            schema: schema.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The channel by which the stores of these tables tell one another of their sessions.
    pub(crate) fn channel(&self) -> String {
        format!("{}.{}", self.schema, self.prefix)
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The statement that `template` stands for.
    pub(crate) fn statement(&self, template: &str) -> SqlStr {
        AssertSqlSafe(Arc::<str>::from(self.text(template))).into_sql_str()
    }

    /// `template` with its names in braces replaced. Only checked names and constants come in.
    pub(crate) fn text(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (name, meaning) in [
            ("lock_owner", include_str!("sql/lock_owner.sql").to_owned()),
            ("columns", COLUMNS.to_owned()),
            (
                "until",
                format!(
                    "CASE WHEN ended_at IS NULL THEN {EXPIRY} ELSE ended_at + {} END",
                    REMEMBERED.as_millis()
                ),
            ),
            ("expiry", EXPIRY.to_owned()),
            (
                "end",
                format!(
                    "ended_at = instant, entries = '', due_at = instant + {}",
                    REMEMBERED.as_millis()
                ),
            ),
            (
                "unpresented_grace",
                UNPRESENTED_GRACE.as_millis().to_string(),
            ),
            ("schema", format!("\"{}\"", self.schema)),
        ] {
            text = text.replace(&format!("{{{name}}}"), &meaning);
        }
        for name in [
            "records", "fences", "tries", "meta", "list", "now", "begin", "revoke", "purge",
        ] {
            let qualified = format!("\"{}\".\"{}{name}\"", self.schema, self.prefix);
            text = text.replace(&format!("{{{name}}}"), &qualified);
        }
        text
    }
}

fn check(what: &'static str, name: &str, max: usize) -> Result<(), InvalidIdentifier> {
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if begins_well && name.len() <= max && name.chars().all(is_plain) {
        Ok(())
    } else {
        Err(InvalidIdentifier {
            what,
            name: name.to_owned(),
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_taken() {
        assert!(Names::new("public", "session_").is_ok());
        let long = "x".repeat(41);
        for bad in [
            "", "Public", "a b", "a\"b", "a;b", "a.b", "1a", "a\0", "é", &long,
        ] {
            assert!(Names::new(bad, "session_").is_err(), "{bad:?}");
            assert!(Names::new("public", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_channel_fits_in_an_identifier() {
        let names = Names::new(&"s".repeat(40), &"p".repeat(20)).unwrap();
        assert!(names.channel().len() < 64);
    }

    #[test]
    fn every_name_in_a_template_is_replaced() {
        let names = Names::new("web", "app_").unwrap();
        for template in crate::statements::TEMPLATES {
            let text = names.text(template);
            assert!(!text.contains('{') || template.contains("'{}'"), "{text}");
        }
        assert_eq!(
            names.text("TABLE {records}"),
            "TABLE \"web\".\"app_records\""
        );
    }
}
