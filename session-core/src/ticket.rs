//! Tickets and fences: how a sign-in is refused when its subject was revoked while it was under way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Subject;
use crate::random;
use crate::time::Timestamp;

/// How long a ticket is good for, unless a store is told otherwise.
pub const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// What a store keeps per subject and raises with every revoke, as that store spells it.
///
/// It outlives every ticket that could be older than it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(Box<[u8]>);

impl Fence {
    /// A fence of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The fence's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A fence that is a number.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Self(Box::new(number.to_be_bytes()))
    }

    /// The number, if the fence is one.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.0.as_ref().try_into().ok()?))
    }
}

/// What a sign-in carries from before the credentials were checked: the subject, the fence it began
/// under, the store's time, a nonce and the number of the try.
///
/// It can be serialised, to be kept in an anonymous session between the steps of one sign-in
/// (password, then one-time code). It proves nothing by itself: keep it on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub(crate) subject: Subject,
    pub(crate) fence: Fence,
    pub(crate) issued_at: Timestamp,
    pub(crate) nonce: u64,
    pub(crate) attempt: u32,
}

impl Ticket {
    /// A ticket of a subject that stands at `fence`, issued at `now` by the store's clock.
    #[must_use]
    pub fn new(subject: Subject, fence: Fence, now: Timestamp) -> Self {
        let nonce = u64::from_be_bytes(random::bytes());
        Self {
            subject,
            fence,
            issued_at: now,
            nonce,
            attempt: 1,
        }
    }

    /// The subject that may sign in.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The fence under which the sign-in began.
    #[must_use]
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// When the ticket was issued.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// What tells this ticket from every other.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Which try under this ticket it is, counted from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The ticket of the next try, after one whose outcome stayed unknown. It ends what that one made.
    #[must_use]
    pub fn next_attempt(&self) -> Self {
        Self {
            attempt: self.attempt.saturating_add(1),
            ..self.clone()
        }
    }

    /// Whether the ticket is too old at `now` to sign anybody in.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp, life: Duration) -> bool {
        now >= self.issued_at + life
    }
}
