//! What a caller sends to make a session: durations, not instants.

use super::Record;
use super::header::{Header, Owner};
use super::layout::Stamps;
use super::secrets::{Slot, Standing};
use crate::change::Revision;
use crate::id::SessionId;
use crate::limits::{Bounds, Timeouts, TooLarge};
use crate::name::EntryName;
use crate::ticket::Ticket;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::value::JsonText;

/// A session before a store stamps it: a secret, limits and entries, no subject and no instant.
#[derive(Clone, Debug)]
pub struct NewRecord {
    secret: SecretHash,
    timeouts: Timeouts,
    revision: Revision,
    predecessor: Option<SessionId>,
    entries: Vec<(EntryName, JsonText)>,
}

impl NewRecord {
    /// A session with one secret and no entries.
    #[must_use]
    pub fn new(secret: SecretHash, timeouts: Timeouts) -> Self {
        let revision = Revision::random();
        Self {
            secret,
            timeouts,
            revision,
            predecessor: None,
            entries: Vec::new(),
        }
    }

    /// With these entries; of two with one name, the later.
    #[must_use]
    pub fn with_entries(
        mut self,
        entries: impl IntoIterator<Item = (EntryName, JsonText)>,
    ) -> Self {
        let by_name: std::collections::BTreeMap<_, _> =
            self.entries.drain(..).chain(entries).collect();
        self.entries = by_name.into_iter().collect();
        self
    }

    /// As the one that replaces `predecessor`.
    #[must_use]
    pub fn with_predecessor(self, predecessor: Option<SessionId>) -> Self {
        Self {
            predecessor,
            ..self
        }
    }

    /// The session that this one replaces.
    #[must_use]
    pub const fn predecessor(&self) -> Option<SessionId> {
        self.predecessor
    }

    /// The same session under another revision, with no entries but these.
    pub(crate) fn waiting(&self, entries: Vec<(EntryName, JsonText)>) -> Self {
        Self {
            revision: Revision::random(),
            entries,
            ..self.clone()
        }
    }

    /// What it begins with.
    pub(crate) fn entries(&self) -> &[(EntryName, JsonText)] {
        &self.entries
    }

    /// The revision that the record will start with.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Checks the entries against a store's bounds.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] with the first bound that they go over.
    pub fn check(&self, bounds: &Bounds) -> Result<(), TooLarge> {
        bounds.check_all(&self.entries)
    }

    /// The record of an anonymous session that begins at `now`, and which of its instants `now` set.
    ///
    /// Its secret counts as presented: there is no other that a client could hold.
    #[must_use]
    pub fn anonymous(&self, now: Timestamp) -> (Record, Stamps) {
        self.record(now, None, Standing::Current)
    }

    /// The record of a session that `ticket`'s subject signs in to at `now`, and which of its instants
    /// `now` set.
    #[must_use]
    pub fn signed_in(&self, ticket: &Ticket, now: Timestamp) -> (Record, Stamps) {
        let owner = Owner {
            subject: ticket.subject.clone(),
            nonce: ticket.nonce,
            attempt: ticket.attempt,
        };
        self.record(now, Some(owner), Standing::Unpresented)
    }

    fn record(&self, now: Timestamp, owner: Option<Owner>, standing: Standing) -> (Record, Stamps) {
        let header = Header {
            revision: self.revision,
            created_at: now,
            last_seen_at: now,
            deadline: now + self.timeouts.absolute(),
            idle: self.timeouts.idle(),
            renewal: self.timeouts.renewal(),
            slots: vec![Slot::issued(self.secret, now, standing)],
            owner,
            predecessor: self.predecessor,
        };
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut stamps = Stamps::CREATED;
        stamps.add(Stamps::LAST_SEEN);
        stamps.add(Stamps::DEADLINE);
        stamps.add(Stamps::issued(0));
        (Record::build(&header, &entries), stamps)
    }
}
