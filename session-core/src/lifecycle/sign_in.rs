//! Signing in: always a new session, with a new id and a new secret.

use std::collections::BTreeMap;

use super::commit::TRIES;
use super::error::SessionError;
use super::event::{EndCause, EventKind};
use super::presented::Provenance;
use super::reserved;
use super::session::Session;
use super::state::Base;
use crate::error::{Applied, ErrorKind, StoreError};
use crate::id::SessionId;
use crate::limits::{SignInLimit, Timeouts};
use crate::name::EntryName;
use crate::record::NewRecord;
use crate::store::Admission;
use crate::ticket::Ticket;
use crate::token::{SessionSecret, SessionToken};
use crate::value::JsonText;

/// A sign-in: whose, and how.
///
/// ```
/// # use session_core::{Keep, Presented, SessionError, Sessions, SignIn, Subject};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let sessions = Sessions::new(store_memory::MemoryStore::new());
/// let session = sessions.open(Presented::nothing());
/// let ticket = sessions.begin_sign_in(&Subject::new("alice")?).await?;
/// // ... check the password ...
/// session.sign_in(SignIn::new(ticket).keep(Keep::All).label("browser", "Firefox")).await?;
/// assert_eq!(session.subject().await?.as_deref(), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SignIn {
    ticket: Ticket,
    keep: Keep,
    limit: Option<Option<SignInLimit>>,
    timeouts: Option<Timeouts>,
    labels: BTreeMap<String, String>,
    any_origin: bool,
}

/// Which entries a sign-in takes over from the session before it. Of a session of another subject it
/// never takes over any, and never reserved ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All.
    #[default]
    All,
    /// Those of these names.
    Keys(Vec<String>),
    /// None.
    None,
}

impl SignIn {
    /// A sign-in under a ticket of [`Sessions::begin_sign_in`](crate::Sessions::begin_sign_in), taken
    /// before the credentials were checked.
    #[must_use]
    pub const fn new(ticket: Ticket) -> Self {
        Self {
            ticket,
            keep: Keep::All,
            limit: None,
            timeouts: None,
            labels: BTreeMap::new(),
            any_origin: false,
        }
    }

    /// Admits a request that does not come from the application's own pages: one that an identity
    /// provider redirected here, after the `state` it carries was checked against this very session.
    #[must_use]
    pub fn from_any_origin(self) -> Self {
        Self {
            any_origin: true,
            ..self
        }
    }

    /// Which entries to take over. All by default.
    #[must_use]
    pub fn keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// A limit on concurrent sessions other than that of [`Sessions`](crate::Sessions).
    #[must_use]
    pub fn limit(self, limit: Option<SignInLimit>) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Limits in time other than those of [`Sessions`](crate::Sessions): "remember me".
    #[must_use]
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self {
            timeouts: Some(timeouts),
            ..self
        }
    }

    /// A label for the list of devices, such as the browser's name. At most 255 bytes are kept.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut value = value.into();
        value.truncate(value.floor_char_boundary(255));
        self.labels.insert(name.into(), value);
        self
    }
}

/// What a sign-in finds and does not change until it is admitted.
struct Before {
    predecessor: Option<SessionId>,
    other_subjects: Option<SessionId>,
    entries: Vec<(EntryName, JsonText)>,
}

impl Session {
    /// Signs the ticket's subject in: makes a new session, with the entries to keep as this handle shows
    /// them, and owes its cookie to the client.
    ///
    /// The session before it, if it was anonymous or the same subject's, lives on at its old level until
    /// the new cookie is first presented, so that a lost answer loses nothing. One of another subject is
    /// destroyed.
    ///
    /// # Errors
    ///
    /// [`SessionError::Foreign`] if the request was not shown to come from the application itself;
    /// [`SessionError::Revoked`] if the ticket is stale or its subject was signed out everywhere since;
    /// [`SessionError::LimitReached`]; [`SessionError::Committed`]; the store's failure, after which
    /// nobody is signed in.
    #[doc(alias = "login")]
    pub async fn sign_in(&self, sign_in: SignIn) -> Result<(), SessionError> {
        if !sign_in.any_origin && self.provenance() != Provenance::Own {
            return Err(SessionError::Foreign);
        }
        self.load().await?;
        self.at_once(|session| async move { session.sign_in_now(sign_in).await })
            .await
    }

    async fn sign_in_now(&self, sign_in: SignIn) -> Result<(), SessionError> {
        if self.state(|state| state.committed) {
            return Err(SessionError::Committed);
        }
        let before = self.before(&sign_in);
        let entries = before
            .entries
            .into_iter()
            .chain(reserved::of_sign_in(&sign_in.labels)?);
        let entries: Vec<_> = entries.collect();
        let sessions = self.sessions();
        let timeouts = sign_in.timeouts.unwrap_or(sessions.shared.timeouts);
        let limit = sign_in.limit.unwrap_or(sessions.shared.limit);
        let store = sessions.store();
        let shard = store.facts().sharding.shard_of(sign_in.ticket.subject());
        let mut ticket = sign_in.ticket;
        let mut failure = StoreError::new(store.facts().name, ErrorKind::Unavailable);
        for _ in 0..TRIES {
            let secret = SessionSecret::generate();
            let token = SessionToken {
                id: SessionId::generate(shard),
                secret,
            };
            let record = NewRecord::new(token.secret.hash(), timeouts)
                .with_entries(entries.iter().cloned())
                .with_predecessor(before.predecessor);
            match store.sign_in(&ticket, token.id, &record, limit).await {
                Ok(Admission::Admitted { record, ended }) => {
                    let subject = ticket.subject().as_str();
                    sessions.tell(EventKind::SignedIn, Some(token.id), Some(subject));
                    for id in ended {
                        sessions.tell(
                            EventKind::Destroyed(EndCause::Limit),
                            Some(id),
                            Some(subject),
                        );
                    }
                    self.state(|state| {
                        state.adopt(token, record, true);
                        state.pending = crate::Change::new();
                        state.is_new = true;
                    });
                    if let Some(id) = before.other_subjects {
                        self.end_replaced(id).await?;
                    }
                    return Ok(());
                }
                Ok(Admission::Revoked) => return Err(SessionError::Revoked),
                Ok(Admission::LimitReached) => return Err(SessionError::LimitReached),
                Ok(Admission::Exists) => {}
                // Whatever came of it, the next try ends it.
                Err(error) if error.applied() == Applied::Unknown => {
                    ticket = ticket.next_attempt();
                    failure = error;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(failure.into())
    }

    fn before(&self, sign_in: &SignIn) -> Before {
        let subject = sign_in.ticket.subject().as_str();
        self.state(|state| {
            let id = state.live().map(|live| live.id);
            let owner = state.live().and_then(|live| live.record.subject());
            if owner.is_some_and(|owner| owner != subject) {
                return Before {
                    predecessor: None,
                    other_subjects: id,
                    entries: Vec::new(),
                };
            }
            let names = match (&state.base, &sign_in.keep) {
                (Base::Superseded | Base::Ended, _) | (_, Keep::None) => Vec::new(),
                (_, Keep::All) => state.names(),
                (_, Keep::Keys(keys)) => state
                    .names()
                    .into_iter()
                    .filter(|name| keys.contains(name))
                    .collect(),
            };
            let entries = names.iter().filter_map(|name| {
                Some((
                    EntryName::new(name).ok()?,
                    JsonText::kept(&state.text(name)?),
                ))
            });
            Before {
                predecessor: id,
                other_subjects: None,
                entries: entries.collect(),
            }
        })
    }
}
