//! Changes: what is done to one live record, whole or not at all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::EntryName;
use crate::random;
use crate::token::SecretHash;
use crate::value::JsonText;

/// 64 random bits that every applied change but a pure touch gives its record. Compared for equality
/// only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// A new revision, from the operating system.
    #[must_use]
    pub fn random() -> Self {
        Self(random::number())
    }

    /// The revision of these bits.
    #[must_use]
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// The revision's bits.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

/// A new secret for a session.
#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    /// The new secret.
    pub issue: SecretHash,
    /// The secret that it replaces: the current one, or one not yet presented.
    pub replaces: SecretHash,
    /// Whether to issue none, rather than conflict, when the secret may not be replaced or one issued
    /// less than [`UNPRESENTED_GRACE`](crate::UNPRESENTED_GRACE) ago still waits to be presented.
    pub soft: bool,
}

/// Edits applied atomically to one live record, normalised: clear, then removes, then sets; a touch; a
/// step of renewal; optionally guarded by a [`Revision`].
///
/// ```
/// use session_core::{Change, EntryName, JsonText};
///
/// let change = Change::new()
///     .set(EntryName::new("cart")?, JsonText::parse("[1, 2]")?)
///     .remove(EntryName::new("coupon")?)
///     .touch();
/// assert!(!change.is_pure_touch());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    revision: Revision,
    guard: Option<Revision>,
    clear: bool,
    edits: BTreeMap<EntryName, Option<JsonText>>,
    touch: bool,
    promotion: Option<SecretHash>,
    renewal: Option<Renewal>,
    shortening: Option<Duration>,
    settles_predecessor: bool,
}

impl Change {
    /// A change that does nothing yet, with a fresh revision.
    #[must_use]
    pub fn new() -> Self {
        Self {
            revision: Revision::random(),
            guard: None,
            clear: false,
            edits: BTreeMap::new(),
            touch: false,
            promotion: None,
            renewal: None,
            shortening: None,
            settles_predecessor: false,
        }
    }

    /// Sets an entry.
    #[must_use]
    pub fn set(mut self, name: EntryName, value: JsonText) -> Self {
        self.edits.insert(name, Some(value));
        self
    }

    /// Removes an entry. One that is not there is no error.
    #[must_use]
    pub fn remove(mut self, name: EntryName) -> Self {
        self.edits.insert(name, None);
        self
    }

    /// Removes every entry whose name is not reserved, and forgets the edits of such made so far.
    #[must_use]
    pub fn clear(mut self) -> Self {
        self.clear = true;
        self.edits.retain(|name, _| name.is_reserved());
        self
    }

    /// Applies only to a record of this revision.
    #[must_use]
    pub fn guarded_by(self, revision: Revision) -> Self {
        Self {
            guard: Some(revision),
            ..self
        }
    }

    /// Says that the session is used: moves its last use forward, never back.
    #[must_use]
    pub fn touch(self) -> Self {
        Self {
            touch: true,
            ..self
        }
    }

    /// Says that a secret was presented. The first time it is, it becomes the current one.
    #[must_use]
    pub fn promote(self, secret: SecretHash) -> Self {
        Self {
            promotion: Some(secret),
            ..self
        }
    }

    /// Adds a secret, after the promotion of this change if it has one.
    #[must_use]
    pub fn renew(self, renewal: Renewal) -> Self {
        Self {
            renewal: Some(renewal),
            ..self
        }
    }

    /// Ends the session no later than `life` from now. A deadline never moves back out.
    #[must_use]
    pub fn shorten(self, life: Duration) -> Self {
        Self {
            shortening: Some(life),
            ..self
        }
    }

    /// Says that the session that this one replaces has ended.
    #[must_use]
    pub fn settle_predecessor(self) -> Self {
        Self {
            settles_predecessor: true,
            ..self
        }
    }

    /// The same change under a fresh revision.
    #[must_use]
    pub fn with_new_revision(self) -> Self {
        Self {
            revision: Revision::random(),
            ..self
        }
    }

    /// The same change, giving the record `revision`.
    #[must_use]
    pub(crate) fn with_revision(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }

    /// The revision that the record will have.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision that the record must have.
    #[must_use]
    pub const fn guard(&self) -> Option<Revision> {
        self.guard
    }

    /// Whether entries are cleared before the edits.
    #[must_use]
    pub const fn clears(&self) -> bool {
        self.clear
    }

    /// What becomes of each named entry: set, or, without a value, removed.
    #[must_use]
    pub const fn edits(&self) -> &BTreeMap<EntryName, Option<JsonText>> {
        &self.edits
    }

    /// Whether entries change.
    #[must_use]
    pub fn has_edits(&self) -> bool {
        self.clear || !self.edits.is_empty()
    }

    /// Whether the change says that the session is used.
    #[must_use]
    pub const fn touches(&self) -> bool {
        self.touch
    }

    /// The secret that was presented.
    #[must_use]
    pub const fn promotion(&self) -> Option<&SecretHash> {
        self.promotion.as_ref()
    }

    /// The secret to add.
    #[must_use]
    pub const fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }

    /// How long the session may live from now.
    #[must_use]
    pub const fn shortening(&self) -> Option<Duration> {
        self.shortening
    }

    /// Whether the session that this one replaces has ended.
    #[must_use]
    pub const fn settles_predecessor(&self) -> bool {
        self.settles_predecessor
    }

    /// Whether the change touches and does nothing else: it then keeps the record's revision.
    #[must_use]
    pub fn is_pure_touch(&self) -> bool {
        self.touch && !self.does_more_than_touch()
    }

    /// Whether the change does nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.touch && !self.does_more_than_touch()
    }

    fn does_more_than_touch(&self) -> bool {
        self.has_edits()
            || self.promotion.is_some()
            || self.renewal.is_some()
            || self.shortening.is_some()
            || self.settles_predecessor
    }
}

impl Default for Change {
    fn default() -> Self {
        Self::new()
    }
}
