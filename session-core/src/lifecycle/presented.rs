//! What a request presents, and the verdict on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::error::SessionError;
use super::event::{EndCause, EventKind};
use super::sessions::{CorruptPolicy, ReusePolicy, Sessions};
use super::state::Live;
use crate::error::{ErrorKind, StoreError};
use crate::id::SessionId;
use crate::record::{REMEMBERED, Record, SecretVerdict};
use crate::store::{Freshness, Loaded};
use crate::time::Timestamp;
use crate::token::{SecretHash, SessionToken, TokenFormat};

/// How long a secret that was acceptable when a request arrived stays so for that request.
const LONGEST_REQUEST: Duration = Duration::from_secs(10 * 60);

/// How many well-formed tokens of one request are tried.
pub const MAX_PRESENTED: usize = 8;

/// What a request brings: the texts of its tokens, decoded, and whether it is a prefetch.
///
/// ```
/// use session_core::{Presented, TokenFormat};
///
/// let presented = Presented::read(&TokenFormat::default(), [b"hostile".as_slice()]);
/// assert!(presented.is_malformed());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Presented {
    pub(super) tokens: Vec<SessionToken>,
    pub(super) malformed: bool,
    pub(super) prefetch: bool,
    pub(super) provenance: Provenance,
}

/// Whether a request comes from the application itself, as far as its adapter can tell. Signing in
/// depends on it: otherwise another site could sign a visitor in to an account of the attacker's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provenance {
    /// It does, or nothing that could forge it is involved.
    #[default]
    Own,
    /// Nothing says so; the session's CSRF token would.
    Unproven,
    /// It comes from elsewhere.
    Foreign,
}

impl Presented {
    /// A request that presents nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Decodes the texts that a request presents, the first [`MAX_PRESENTED`] different well-formed ones;
    /// the others never reach a store.
    #[must_use]
    pub fn read<'a>(format: &TokenFormat, texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut presented = Self::default();
        let mut taken = Vec::new();
        for text in texts {
            match format.decode(text) {
                Some(token) if taken.len() < MAX_PRESENTED && !taken.contains(&text) => {
                    presented.tokens.push(token);
                    taken.push(text);
                }
                Some(_) => {}
                None => presented.malformed = true,
            }
        }
        presented
    }

    /// Says that the request is a prefetch: its answer may be thrown away, so it renews nothing.
    #[must_use]
    pub fn as_prefetch(self, prefetch: bool) -> Self {
        Self { prefetch, ..self }
    }

    /// Says where the request comes from. Without this, from the application itself.
    #[must_use]
    pub fn with_provenance(self, provenance: Provenance) -> Self {
        Self { provenance, ..self }
    }

    /// Whether a text was presented that is no token.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Whether nothing was presented at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty() && !self.malformed
    }
}

/// What a presented token is worth. The fourth verdict, that the store is out of reach, is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing was presented.
    None,
    /// A live session accepts it.
    Accepted,
    /// No session accepts it: malformed, forged, absent, ended, expired, or an old secret.
    Unknown,
    /// It stopped being accepted less than a minute ago: the client holds, or is about to receive, a
    /// newer cookie.
    Superseded,
}

/// What one token turned out to be.
enum Found {
    Accepted(Live),
    Superseded(SessionId),
    Reused(SessionId, Option<String>),
    Unknown,
    Failed(StoreError),
}

impl Found {
    fn of(id: SessionId, secret: SecretHash, record: Record, arrived_at: Timestamp) -> Self {
        match record.judge(&secret, arrived_at) {
            SecretVerdict::Accepted(standing) => Self::Accepted(Live {
                id,
                record,
                secret,
                presented: Some(standing),
            }),
            SecretVerdict::Superseded => Self::Superseded(id),
            SecretVerdict::Outdated => Self::Reused(id, record.subject().map(str::to_owned)),
            SecretVerdict::Unknown => Self::Unknown,
        }
    }
}

/// What all tokens of a request turned out to be.
pub(super) enum Opened {
    Nothing,
    Unknown,
    Superseded,
    Live(Live),
}

impl Sessions {
    /// Judges all tokens of a request, by the instant at which it arrived: a secret that was acceptable
    /// then stays so for the request.
    pub(super) async fn judge(
        &self,
        presented: &Presented,
        arrived_at: Timestamp,
    ) -> Result<Opened, SessionError> {
        if presented.is_empty() {
            return Ok(Opened::Nothing);
        }
        let arrived_at = arrived_at.max(self.now() - LONGEST_REQUEST);
        let tokens = presented.tokens.iter();
        let found = match presented.tokens.as_slice() {
            [token] => vec![self.find(token, arrived_at).await],
            _ => join_all(tokens.map(|token| self.find(token, arrived_at))).await,
        };
        let (mut accepted, mut superseded, mut failed) = (None::<Live>, None, None);
        for found in found {
            match found {
                Found::Accepted(live) => accepted = Some(self.latest(accepted, live)),
                Found::Superseded(id) => superseded = Some(id),
                Found::Failed(error) => failed = Some(error),
                Found::Reused(id, subject) => self.reused(id, subject.as_deref()).await?,
                Found::Unknown => {}
            }
        }
        if let Some(live) = accepted {
            return Ok(Opened::Live(live));
        }
        if let Some(error) = failed {
            return Err(SessionError::Store(Arc::new(error)));
        }
        if let Some(id) = superseded {
            self.tell(EventKind::SupersededToken, Some(id), None);
            return Ok(Opened::Superseded);
        }
        self.tell(EventKind::UnknownToken, None, None);
        Ok(Opened::Unknown)
    }

    /// Judges one token. That a secret is not accepted is only said from the source; that a session is
    /// not there a store only says from there itself.
    async fn find(&self, token: &SessionToken, arrived_at: Timestamp) -> Found {
        let secret = token.secret.hash();
        let store = &self.shared.store;
        let mut loaded = store.load(token.id, Freshness::Any).await;
        if let Ok(Loaded::Live(record)) = loaded {
            let found = Found::of(token.id, secret, record, arrived_at);
            if matches!(found, Found::Accepted(_)) {
                return found;
            }
            loaded = store.load(token.id, Freshness::Source).await;
        }
        match loaded {
            Ok(Loaded::Live(record)) => Found::of(token.id, secret, record, arrived_at),
            Ok(Loaded::Ended(ended))
                if ended.secrets.contains(&secret) && arrived_at < ended.at + REMEMBERED =>
            {
                Found::Superseded(token.id)
            }
            Ok(Loaded::Ended(_) | Loaded::Absent) => Found::Unknown,
            Err(error)
                if error.kind() == ErrorKind::Corrupt
                    && self.shared.on_corrupt == CorruptPolicy::StartAnew =>
            {
                Found::Unknown
            }
            Err(error) => Found::Failed(error),
        }
    }

    /// Of two sessions the one that was signed in later; an anonymous one only if both are.
    fn latest(&self, before: Option<Live>, next: Live) -> Live {
        let Some(before) = before else { return next };
        if before.id == next.id {
            return before;
        }
        self.tell(EventKind::ConflictingTokens, Some(next.id), None);
        let rank = |live: &Live| {
            (
                live.record.authenticated_at(),
                live.record.created_at(),
                live.id,
            )
        };
        if rank(&next) > rank(&before) {
            next
        } else {
            before
        }
    }

    async fn reused(&self, id: SessionId, subject: Option<&str>) -> Result<(), SessionError> {
        self.tell(EventKind::ReuseSuspected, Some(id), subject);
        if self.shared.on_reuse == ReusePolicy::EndSession {
            self.end(id, EndCause::ReuseSuspected, subject).await?;
        }
        Ok(())
    }
}
