//! The record: what a store keeps of a session, in one packed buffer.

mod apply;
mod draft;
mod entries;
mod header;
mod layout;
mod secrets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::apply::Refusal;
pub use self::draft::NewRecord;
pub use self::header::{Header, Owner};
pub use self::layout::{Corrupt, Stamps};
pub use self::secrets::{OVERLAP, REMEMBERED, SecretVerdict, Slot, Standing, UNPRESENTED_GRACE};

use self::entries::{Entries, Run};
use self::layout::at;
use crate::change::Revision;
use crate::id::SessionId;
use crate::time::Timestamp;
use crate::token::SecretHash;

/// What a store keeps of a session: times, limits, subject, secret hashes, entries, revision.
///
/// One immutable, packed, versioned buffer that is cheap to clone: memory holds it, Redis stores it,
/// a cluster sends it, and Postgres keeps its [`Header`] as columns and its entries as one `bytea`.
/// A record never changes; [`Record::apply`] makes the next one.
///
/// `Debug` shows the names of its entries, never a value or a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<[u8]>);

impl Record {
    /// Takes a stored buffer, after a check that it is whole.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if it is of another version, cut short, or contradicts itself.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, Corrupt> {
        let record = Self(bytes.into());
        Header::check(&record.0)?;
        Entries::checked(record.entries_block())?;
        Ok(record)
    }

    /// Puts a record together from its header and the bytes of [`Record::entries_block`].
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if the entries are not whole, or there are more than four secrets.
    pub fn from_parts(header: &Header, entries_block: &[u8]) -> Result<Self, Corrupt> {
        if header.slots.len() > layout::MAX_SLOTS {
            return Err(Corrupt("it has more than four secrets"));
        }
        Entries::checked(entries_block)?;
        Ok(Self(header.followed_by(entries_block)))
    }

    /// Puts a record together from its header and its entries, names and JSON texts, which stand in the
    /// order of their names.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if they do not, if a name is no name, or if there are more than four secrets.
    ///
    /// ```
    /// use session_core::{Header, Record};
    ///
    /// let record = Record::from_entries(&Header::default(), &[("a", "1"), ("b", "[]")])?;
    /// assert_eq!(record.get("b"), Some("[]"));
    /// assert!(Record::from_entries(&Header::default(), &[("b", "1"), ("a", "1")]).is_err());
    /// # Ok::<(), session_core::Corrupt>(())
    /// ```
    pub fn from_entries(header: &Header, entries: &[(&str, &str)]) -> Result<Self, Corrupt> {
        if header.slots.len() > layout::MAX_SLOTS {
            return Err(Corrupt("it has more than four secrets"));
        }
        let record = Self::build(header, entries);
        Entries::checked(record.entries_block())?;
        Ok(record)
    }

    pub(crate) fn build(header: &Header, entries: &[(&str, &str)]) -> Self {
        let header = header.to_bytes();
        let runs = entries.iter().map(|(name, value)| Run::New(name, value));
        let len = header.len() + entries::packed_len(runs.clone());
        Self(layout::packed(len, |rest| {
            layout::put(rest, &header);
            entries::pack_into(runs, rest);
        }))
    }

    /// The packed buffer, as [`Record::from_bytes`] takes it. Integers in it are big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The packed header: the part of the buffer before the entries.
    fn header_block(&self) -> &[u8] {
        self.0
            .get(..layout::entries_at(&self.0))
            .unwrap_or_default()
    }

    /// The packed entries: the part of the buffer after the header.
    #[must_use]
    pub fn entries_block(&self) -> &[u8] {
        self.0
            .get(layout::entries_at(&self.0)..)
            .unwrap_or_default()
    }

    /// The header, unpacked.
    #[must_use]
    pub fn header(&self) -> Header {
        // A `Record` is only made from a checked buffer.
        Header::read(&self.0)
    }

    /// The revision that the last change but a pure touch gave the record.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::from_u64(layout::u64_at(&self.0, at::REVISION))
    }

    /// When the session was created; for a signed-in session, when its subject was authenticated.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        layout::instant_at(&self.0, at::CREATED)
    }

    /// When the session was last used, to within the touch interval.
    #[must_use]
    pub fn last_seen_at(&self) -> Timestamp {
        layout::instant_at(&self.0, at::LAST_SEEN)
    }

    /// The absolute deadline.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        layout::instant_at(&self.0, at::DEADLINE)
    }

    /// When the subject was authenticated: the creation of a session that has one. Nothing about
    /// authentication ever changes on an id.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        layout::has_owner(&self.0).then(|| self.created_at())
    }

    /// How long the session lives unused.
    pub(crate) fn idle(&self) -> Option<Duration> {
        layout::duration_at(&self.0, at::IDLE)
    }

    /// How old a secret grows before a signed-in session is given a new one.
    pub(crate) fn renewal(&self) -> Option<Duration> {
        layout::duration_at(&self.0, at::RENEWAL)
    }

    /// When the session expires unless it is used again: the earlier of the absolute deadline and
    /// the idle timeout after its last use.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.idle().map_or(self.deadline(), |idle| {
            self.deadline().min(self.last_seen_at() + idle)
        })
    }

    /// Whether the session lives at `now`. At the very millisecond of its expiry it does not.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }

    /// Whom the session belongs to, as text; nobody if it is anonymous.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        layout::subject(&self.0)
    }

    /// The session that this one replaces, until its end is confirmed.
    #[must_use]
    pub fn predecessor(&self) -> Option<SessionId> {
        layout::predecessor(&self.0)
    }

    /// The secrets of the session, in the order of their issue: at most four.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        layout::slots(&self.0)
    }

    /// What a presented secret is to this session at `now`.
    #[must_use]
    pub fn judge(&self, secret: &SecretHash, now: Timestamp) -> SecretVerdict {
        secrets::judge(self.slots(), secret, now)
    }

    /// Whether any secret of the session was ever presented. A signed-in session of which none was is
    /// the first to make room for another.
    #[must_use]
    pub fn was_presented(&self) -> bool {
        self.slots()
            .any(|slot| slot.standing != Standing::Unpresented)
    }

    /// The JSON text of one entry.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        Entries::new(self.entries_block()).get(name)
    }

    /// All entries, names and JSON texts, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        Entries::new(self.entries_block()).iter()
    }

    /// Moves the instants named by `stamps` by `delta` milliseconds: what a store does to its copy when
    /// a server stamped the record with a clock that is `delta` ahead of the one assumed.
    #[must_use]
    pub fn shifted(mut self, stamps: Stamps, delta: i64) -> Self {
        if delta != 0 && !stamps.is_empty() {
            let bytes = Arc::make_mut(&mut self.0);
            for offset in stamps.offsets() {
                layout::shift(bytes, offset, delta);
            }
        }
        self
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("header", &self.header())
            .field(
                "entries",
                &self.entries().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .finish()
    }
}
