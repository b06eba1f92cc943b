//! The commit: what a request did to its session, in one step before the head of its response.

use std::sync::Arc;
use std::time::Duration;

use super::error::SessionError;
use super::event::{EndCause, EventKind};
use super::session::Session;
use super::settle;
use super::state::{Base, Cookie, Live};
use crate::change::{Change, Renewal};
use crate::error::{Applied, ErrorKind, StoreError};
use crate::id::{SessionId, Shard};
use crate::record::{NewRecord, Record, Standing};
use crate::store::{Application, Creation, Freshness, Loaded};
use crate::token::{SessionSecret, SessionToken};

/// How many ids are tried for one new session.
pub(super) const TRIES: usize = 3;

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerOutcome {
    /// With an answer to send: its edits are committed.
    Answered,
    /// With a server error, or in a panic: its edits are dropped.
    Failed,
}

/// What the commit did, and what the response owes the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Commit {
    /// The cookie to send.
    pub cookie: CookieAction,
    /// How it went.
    pub outcome: CommitOutcome,
    /// Whether the handler used the session, or tried to, so that the response depends on the cookie.
    pub was_used: bool,
    /// Whether somebody is signed in, or was while the request was under way, so that the response may
    /// show what is theirs.
    pub is_signed_in: bool,
}

/// What the response does to the client's cookie.
#[derive(Clone, Debug)]
pub enum CookieAction {
    /// Nothing.
    Keep,
    /// Sets a token that was minted in this request.
    Set {
        /// The token.
        token: SessionToken,
        /// How long the session can last.
        max_age: Duration,
    },
    /// Removes it: this request ended the session.
    Remove,
    /// May remove it as a courtesy, if the request is a navigation: no session accepts it.
    RemoveUnknown,
}

/// How a commit went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// All that was pending is stored, or nothing was.
    Done,
    /// The session ended while the request was under way; its writes were refused.
    Ended,
    /// The store failed. What was pending is not stored, or it is unknown whether it is.
    Failed(Arc<StoreError>),
}

impl Session {
    /// Commits: stores pending edits, the use of the session, the first presentation of a secret, and an
    /// automatic renewal if one is due. Adapters call it once, when the handler is done.
    ///
    /// After a handler that failed, edits and renewals are dropped; the presentation is recorded all the
    /// same, and the cookie of a sign-in that was completed still goes out.
    pub async fn commit(&self, handler: HandlerOutcome) -> Commit {
        let _turn = self.turn().await;
        if !self.was_loaded() {
            self.state(|state| state.committed = true);
            return self.owed(CommitOutcome::Done, handler);
        }
        let outcome = match self.write(handler).await {
            Ok(()) => CommitOutcome::Done,
            Err(error @ SessionError::Ended) => {
                self.note_end(error);
                CommitOutcome::Ended
            }
            Err(SessionError::Store(error)) => CommitOutcome::Failed(error),
            // Nothing else comes out of a write that the handle accepted.
            Err(_) => CommitOutcome::Failed(Arc::new(StoreError::new(
                self.sessions().store().facts().name,
                ErrorKind::Unavailable,
            ))),
        };
        self.state(|state| state.committed = true);
        self.owed(outcome, handler)
    }

    fn owed(&self, outcome: CommitOutcome, handler: HandlerOutcome) -> Commit {
        let now = self.sessions().now();
        let goes_well =
            matches!(outcome, CommitOutcome::Done) && handler == HandlerOutcome::Answered;
        self.state(|state| {
            let cookie = match &state.cookie {
                Cookie::Set {
                    token,
                    deadline,
                    by_sign_in,
                } if goes_well || *by_sign_in => CookieAction::Set {
                    token: token.clone(),
                    max_age: deadline.since(now),
                },
                Cookie::Remove if goes_well => CookieAction::Remove,
                Cookie::None
                    if goes_well && matches!(state.base, Base::Empty { unknown: true }) =>
                {
                    CookieAction::RemoveUnknown
                }
                _ => CookieAction::Keep,
            };
            Commit {
                cookie,
                outcome,
                was_used: self.was_used(),
                is_signed_in: state.saw_subject,
            }
        })
    }

    /// Stores pending edits at once.
    ///
    /// # Errors
    ///
    /// [`SessionError::Ended`], [`SessionError::Superseded`]; the store's failure.
    pub async fn save(&self) -> Result<(), SessionError> {
        self.load().await?;
        self.at_once(|session| async move { session.save_now().await })
            .await
    }

    pub(super) async fn save_now(&self) -> Result<(), SessionError> {
        match self.state(|state| state.base.clone()) {
            Base::Superseded => return Err(SessionError::Superseded),
            Base::Ended => return Err(SessionError::Ended),
            Base::Empty { .. } | Base::Live(_) => {}
        }
        self.store_pending()
            .await
            .map_err(|error| self.note_end(error))
    }

    /// Takes note if an error says that the session has ended.
    pub(super) fn note_end(&self, error: SessionError) -> SessionError {
        if matches!(error, SessionError::Ended) {
            self.session_ended();
        }
        error
    }

    async fn write(&self, handler: HandlerOutcome) -> Result<(), SessionError> {
        let answered = handler == HandlerOutcome::Answered;
        if !answered {
            self.state(|state| state.pending = Change::new());
        }
        let Base::Live(live) = self.state(|state| state.base.clone()) else {
            return self.store_pending().await;
        };
        let mut change = self.state(|state| std::mem::take(&mut state.pending));
        // What the request does not know of may fail without it: the next one does it.
        let matters = change.has_edits();
        let renewal = self.due_renewal(&live).filter(|_| answered);
        if let Some(secret) = &renewal {
            let (issue, replaces) = (secret.hash(), live.secret);
            change = change.renew(Renewal {
                issue,
                replaces,
                soft: true,
            });
        }
        change = self.with_use(change, &live);
        if !change.is_empty() {
            match self.apply(&live, change).await {
                Ok(record) => self.note_renewal(&live, renewal, &record),
                Err(SessionError::Ended) if !matters => self.state(|state| state.end(false)),
                Err(_) if !matters => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.settle_predecessor().await;
        Ok(())
    }

    fn note_renewal(&self, live: &Live, renewal: Option<SessionSecret>, record: &Record) {
        let minted = renewal.filter(|secret| record.slots().any(|slot| slot.hash == secret.hash()));
        if let Some(secret) = minted {
            let token = SessionToken {
                id: live.id,
                secret,
            };
            self.state(|state| state.adopt(token, record.clone(), false));
            self.sessions()
                .tell(EventKind::Renewed, Some(live.id), record.subject());
        }
    }

    /// Stores pending edits in the session that there is, or in a new one.
    pub(super) async fn store_pending(&self) -> Result<(), SessionError> {
        let (base, pending) =
            self.state(|state| (state.base.clone(), std::mem::take(&mut state.pending)));
        if !pending.has_edits() {
            return Ok(());
        }
        match base {
            Base::Live(live) => {
                let change = self.with_use(pending, &live);
                self.apply(&live, change).await.map(drop)
            }
            Base::Empty { .. } => {
                let entries: Vec<_> = pending
                    .edits()
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                    .collect();
                if entries.is_empty() {
                    Ok(())
                } else {
                    self.create(entries).await
                }
            }
            Base::Superseded | Base::Ended => Ok(()),
        }
    }

    /// Adds to a change that the session was used, and by which secret.
    pub(super) fn with_use(&self, change: Change, live: &Live) -> Change {
        let change = match live.unrecorded_presentation() {
            Some(secret) => change.promote(secret),
            None => change,
        };
        let idle = live.record.idle();
        let shared = &self.sessions().shared;
        let interval = idle.map_or(shared.touch_interval, |idle| {
            shared.touch_interval.min(idle / 10)
        });
        let due = self.sessions().now() >= live.record.last_seen_at() + interval;
        if due || !change.is_empty() {
            change.touch()
        } else {
            change
        }
    }

    /// A secret for an automatic renewal: for a signed-in session whose current secret has reached the
    /// renewal interval, never on a prefetch.
    fn due_renewal(&self, live: &Live) -> Option<SessionSecret> {
        let interval = live.record.renewal()?;
        let slot = live.record.slots().find(|slot| slot.hash == live.secret)?;
        let due = live.record.subject().is_some()
            && !self.inner.presented.prefetch
            && live.presented.is_some()
            && slot.standing != Standing::Former
            && self.sessions().now() >= slot.issued_at + interval;
        due.then(SessionSecret::generate)
    }

    /// Applies a change to the session that this request has, and takes over what comes of it.
    pub(super) async fn apply(&self, live: &Live, change: Change) -> Result<Record, SessionError> {
        let store = self.sessions().store();
        match settle::apply(store, live.id, &change, &live.record).await? {
            Application::Applied { record, .. } => {
                self.state(|state| state.refresh(live.id, record.clone()));
                Ok(record)
            }
            Application::Absent => Err(SessionError::Ended),
            Application::Conflict => Err(SessionError::Conflict),
        }
    }

    /// Makes an anonymous session.
    async fn create(
        &self,
        entries: Vec<(crate::EntryName, crate::JsonText)>,
    ) -> Result<(), SessionError> {
        let sessions = self.sessions();
        let mut failure = None;
        for _ in 0..TRIES {
            let secret = SessionSecret::generate();
            let id = SessionId::generate(Shard::random());
            let record = NewRecord::new(secret.hash(), sessions.timeouts())
                .with_entries(entries.iter().cloned());
            match sessions.store().create(id, &record).await {
                Ok(Creation::Created(record)) => {
                    let token = SessionToken { id, secret };
                    self.state(|state| {
                        state.adopt(token, record, false);
                        state.is_new = true;
                    });
                    sessions.tell(EventKind::Created, Some(id), None);
                    return Ok(());
                }
                Ok(Creation::Exists) => {}
                // Whatever came of it is abandoned: nobody holds its secret.
                Err(error) if error.applied() == Applied::Unknown => failure = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let name = sessions.store().facts().name;
        Err(failure
            .unwrap_or_else(|| StoreError::new(name, ErrorKind::Unavailable))
            .into())
    }

    /// Ends the session that this one replaces, once a secret of this one was presented and that is
    /// recorded; then forgets it. What fails is tried again by the next request.
    async fn settle_predecessor(&self) {
        let Some(live) = self.state(|state| state.live().cloned()) else {
            return;
        };
        let Some(predecessor) = live.record.predecessor() else {
            return;
        };
        if live.record.was_presented() && self.end_replaced(predecessor).await.is_ok() {
            // Not applied, it is tried again.
            let _ = self.apply(&live, Change::new().settle_predecessor()).await;
        }
    }

    /// Ends a session that was replaced, and those that it had replaced itself.
    pub(super) async fn end_replaced(&self, id: SessionId) -> Result<(), SessionError> {
        const MAX_CHAIN: usize = 16;
        let mut next = Some(id);
        for _ in 0..MAX_CHAIN {
            let Some(id) = next else { return Ok(()) };
            let loaded = self.sessions().store().load(id, Freshness::Source).await?;
            let Loaded::Live(record) = loaded else {
                return Ok(());
            };
            self.sessions()
                .end(id, EndCause::Replaced, record.subject())
                .await?;
            next = record.predecessor();
        }
        Ok(())
    }

    fn session_ended(&self) {
        let id = self.state(|state| {
            let id = state.live().map(|live| live.id);
            state.end(false);
            id
        });
        self.sessions().tell(EventKind::WriteRefused, id, None);
    }
}
