//! The entries that the lifecycle keeps for itself: a CSRF token, a ticket between the steps of a
//! sign-in, labels.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::error::SessionError;
use super::presented::Provenance;
use super::session::{Session, decode, encode};
use crate::name::EntryName;
use crate::random;
use crate::record::Record;
use crate::ticket::Ticket;
use crate::value::JsonText;

const CSRF: &str = "session:csrf";
const TICKET: &str = "session:ticket";
const LABELS: &str = "session:labels";

/// The reserved entries of a session that begins with a sign-in.
pub(super) fn of_sign_in(
    labels: &BTreeMap<String, String>,
) -> Result<Vec<(EntryName, JsonText)>, SessionError> {
    let mut entries = vec![(EntryName::new(CSRF)?, encode(CSRF, &new_csrf_token())?)];
    if !labels.is_empty() {
        entries.push((EntryName::new(LABELS)?, encode(LABELS, labels)?));
    }
    Ok(entries)
}

/// The labels that a sign-in gave.
pub(super) fn labels(record: &Record) -> BTreeMap<String, String> {
    record
        .get(LABELS)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn new_csrf_token() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<24>())
}

impl Session {
    /// The session's CSRF token, made at the first call: random, kept in the record, and new with each
    /// sign-in (OWASP Cross-Site Request Forgery Prevention, "Synchronizer Token Pattern").
    ///
    /// # Errors
    ///
    /// As [`Session::insert`].
    pub async fn csrf_token(&self) -> Result<String, SessionError> {
        if let Some(text) = self.text(CSRF).await? {
            return decode(CSRF, &text);
        }
        let token = new_csrf_token();
        let (name, text) = (EntryName::new(CSRF)?, encode(CSRF, &token)?);
        self.edit(|pending| pending.set(name, text)).await?;
        Ok(token)
    }

    /// Whether `token`, which the request brought in a header or a form, is the session's CSRF token;
    /// compared in constant time. If it is, a request of [`Provenance::Unproven`] is proven.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn is_csrf_token(&self, token: &str) -> Result<bool, SessionError> {
        let Some(text) = self.text(CSRF).await? else {
            return Ok(false);
        };
        let expected: String = decode(CSRF, &text)?;
        let is_token = expected.as_bytes().ct_eq(token.as_bytes()).into();
        self.state(|state| state.showed_csrf_token |= is_token);
        Ok(is_token)
    }

    /// Where the request comes from, as far as is known by now.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match self.inner.presented.provenance {
            Provenance::Unproven if self.state(|state| state.showed_csrf_token) => Provenance::Own,
            provenance => provenance,
        }
    }

    /// Keeps a ticket between the steps of one sign-in.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`].
    pub async fn keep_ticket(&self, ticket: &Ticket) -> Result<(), SessionError> {
        let (name, text) = (EntryName::new(TICKET)?, encode(TICKET, ticket)?);
        self.edit(|pending| pending.set(name, text)).await
    }

    /// The ticket that an earlier step kept.
    ///
    /// # Errors
    ///
    /// The store's failure to load.
    pub async fn kept_ticket(&self) -> Result<Option<Ticket>, SessionError> {
        self.text(TICKET)
            .await?
            .map(|text| decode(TICKET, &text))
            .transpose()
    }
}
