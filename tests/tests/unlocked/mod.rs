//! Stores that take two steps where the contract asks for one: what the checks of concurrent histories
//! and of dropped calls are shown to catch.

use async_trait::async_trait;
use session_conformance::history::yield_once;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Abilities, Admission, Application, Change, Creation, Freshness, Loaded, NewRecord, Record,
    Refusal, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket, admit,
};

/// What a store does in two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// A change: read, compute, write back.
    Apply,
    /// A change: the entries, then the header.
    Header,
    /// A creation: look, then insert.
    Create,
    /// A sign-in: decide who makes room, then insert.
    SignIn,
    /// A sign-in: insert, then end who makes room.
    MakingRoom,
    /// A revoke: end the sessions, then raise the fence.
    Revoke,
    /// A change: look at the clock, then take the step.
    Clock,
}

/// A store that does one thing in two steps, and all else as it should.
#[derive(Clone, Debug)]
pub(crate) struct Unlocked {
    pub(crate) inner: ReferenceStore,
    pub(crate) split: Split,
}

impl Unlocked {
    fn write_back(&self, id: SessionId, record: &Record) {
        self.inner
            .step(|state, _| state.sessions.insert(id, record.clone()));
    }
}

#[async_trait]
impl SessionStore for Unlocked {
    fn facts(&self) -> &StoreFacts {
        self.inner.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        if self.split != Split::Create {
            return self.inner.create(id, record).await;
        }
        if self.inner.step(|state, now| state.is_taken(id, now)) {
            return Ok(Creation::Exists);
        }
        yield_once().await;
        let (record, _) = record.anonymous(self.inner.now());
        self.write_back(id, &record);
        Ok(Creation::Created(record))
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.inner.load(id, freshness).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        if ![Split::Apply, Split::Header, Split::Clock].contains(&self.split) {
            return self.inner.apply(id, change, seen).await;
        }
        let now = self.inner.now();
        if self.split == Split::Clock {
            // As long as the wait for a lock may be.
            for _ in 0..6 {
                yield_once().await;
            }
        }
        let Some(previous) = self.inner.step(|state, _| state.live(id, now)) else {
            return Ok(Application::Absent);
        };
        let record = match previous.apply(change, now, &self.facts().bounds) {
            Ok(record) => record,
            Err(Refusal::Absent) => return Ok(Application::Absent),
            Err(Refusal::Conflict) => return Ok(Application::Conflict),
            Err(Refusal::TooLarge(reason)) => return Err(StoreError::too_large("split", reason)),
        };
        match self.split {
            Split::Apply => yield_once().await,
            Split::Header if change.has_edits() => {
                let half = Record::from_parts(&previous.header(), record.entries_block());
                self.write_back(id, &half.expect("its own entries"));
                yield_once().await;
            }
            _ => {}
        }
        self.write_back(id, &record);
        Ok(Application::Applied { previous, record })
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.inner.delete(id).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.inner.ticket(subject).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let (subject, predecessor) = (ticket.subject(), record.predecessor());
        match self.split {
            Split::SignIn => {
                let live = self.inner.sessions_of(subject).await?;
                let now = self.inner.now();
                let Some(ended) = admit(ticket, predecessor, &live, limit, now) else {
                    return Ok(Admission::LimitReached);
                };
                yield_once().await;
                // All but the limit is judged in the step that inserts, as it should be.
                let mut admission = self.inner.sign_in(ticket, id, record, None).await?;
                if let Admission::Admitted { ended: both, .. } = &mut admission {
                    let gone = |id: &SessionId| self.inner.step(|state, now| state.end(*id, now));
                    both.extend(ended.into_iter().filter(gone));
                }
                Ok(admission)
            }
            Split::MakingRoom => {
                let live = self.inner.sessions_of(subject).await?;
                let now = self.inner.now();
                let Some(ended) = admit(ticket, predecessor, &live, limit, now) else {
                    return Ok(Admission::LimitReached);
                };
                let first_try = self.inner.sign_in(ticket, id, record, None).await?;
                yield_once().await;
                match first_try {
                    Admission::Admitted { record, .. } => {
                        for id in &ended {
                            self.inner.step(|state, now| state.end(*id, now));
                        }
                        Ok(Admission::Admitted { record, ended })
                    }
                    refused => Ok(refused),
                }
            }
            _ => self.inner.sign_in(ticket, id, record, limit).await,
        }
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner.sessions_of(subject).await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        if self.split != Split::Revoke {
            return self.inner.revoke(subject, except).await;
        }
        let ended = self.inner.step(|state, now| {
            let ids: Vec<_> = state
                .live_of(subject, now)
                .into_iter()
                .map(|(id, _)| id)
                .collect();
            let mut ended = Vec::new();
            for id in ids {
                if Some(id) != except && state.end(id, now) {
                    ended.push(id);
                }
            }
            ended
        });
        yield_once().await;
        self.inner.step(|state, _| {
            *state.fences.entry(subject.clone()).or_default() += 1;
        });
        Ok(ended)
    }
}
