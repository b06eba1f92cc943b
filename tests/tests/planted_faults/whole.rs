//! Faults that let half a change happen: clause 6.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Application, Change, Creation, NewRecord, Record, Refusal, SessionId, SessionStore,
    SignInLimit, StoreError, Subject, Ticket,
};

use crate::fault::{AppliesBy, Fault, Step, pause, suite, with_edits, with_header};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "SettlesNoPredecessor",
            || suite(AppliesBy(settles_no_predecessor)),
            &["clause_06_a_change_of_many_parts_is_applied_whole"],
        ),
        caught(
            "RefusesByHalves",
            || suite(RefusesByHalves),
            &[
                "clause_06_a_conflict_changes_nothing",
                "clause_06_a_change_too_large_changes_nothing",
                "clause_14_a_value_over_the_bound_changes_nothing",
                "clause_14_a_session_over_the_bound_changes_nothing",
                "clause_14_one_entry_too_many_changes_nothing",
            ],
        ),
        caught(
            "EntryByEntry",
            || suite(EntryByEntry),
            &[
                "clause_06_nobody_reads_half_a_change",
                "clause_06_a_dropped_change_is_applied_whole_or_not_at_all",
                "history_a_dropped_call_happens_whole_or_not_at_all",
            ],
        ),
        caught(
            "CreatesThenFills",
            || suite(CreatesThenFills),
            &["clause_06_a_dropped_create_is_made_whole_or_not_at_all"],
        ),
        caught(
            "SignsInThenLists",
            || suite(SignsInThenLists::default()),
            &["clause_06_a_dropped_sign_in_is_listed_exactly_if_it_lives"],
        ),
        caught(
            "UnlistsThenDeletes",
            || suite(UnlistsThenDeletes::default()),
            &["clause_06_a_dropped_delete_ends_a_session_wholly_or_not_at_all"],
        ),
        caught(
            "RevokesOneByOne",
            || suite(RevokesOneByOne),
            &["clause_06_a_dropped_revoke_ends_all_or_none"],
        ),
        caught(
            "JudgesSizeFirst",
            || suite(JudgesSizeFirst),
            &["clause_06_refusals_come_in_their_order"],
        ),
    ]
}

fn settles_no_predecessor(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let predecessor = step.previous.predecessor();
    Ok(with_header(next, |header| header.predecessor = predecessor))
}

/// Marks a record even when it refuses the change.
#[derive(Clone, Debug)]
struct RefusesByHalves;

#[async_trait]
impl Fault for RefusesByHalves {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let answer = sound.apply(id, change, seen).await;
        if matches!(answer, Ok(Application::Conflict) | Err(_)) {
            sound.step(|state, now| {
                if let Some(record) = state.live(id, now) {
                    let marked = with_header(record, |header| header.revision = change.revision());
                    state.sessions.insert(id, marked);
                }
            });
        }
        answer
    }
}

#[derive(Clone, Debug)]
struct EntryByEntry;

#[async_trait]
impl Fault for EntryByEntry {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        for (name, value) in change.edits() {
            let one = match value {
                Some(value) => Change::new().set(name.clone(), value.clone()),
                None => Change::new().remove(name.clone()),
            };
            sound.apply(id, &one, seen).await?;
            pause().await;
        }
        sound.apply(id, change, seen).await
    }
}

#[derive(Clone, Debug)]
struct CreatesThenFills;

#[async_trait]
impl Fault for CreatesThenFills {
    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        let creation = sound.create(id, new).await?;
        if let Creation::Created(record) = &creation {
            let empty = with_edits(record, &Change::new().clear());
            sound.step(|state, _| state.sessions.insert(id, empty));
            pause().await;
            sound.step(|state, _| state.sessions.insert(id, record.clone()));
        }
        Ok(creation)
    }
}

#[derive(Clone, Debug, Default)]
struct SignsInThenLists(Arc<Mutex<HashSet<SessionId>>>);

#[async_trait]
impl Fault for SignsInThenLists {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let admission = sound.sign_in(ticket, id, new, limit).await;
        pause().await;
        self.0.lock().insert(id);
        admission
    }

    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut sessions = sound.sessions_of(subject).await?;
        let listed = self.0.lock();
        sessions.retain(|(id, _)| listed.contains(id));
        Ok(sessions)
    }
}

#[derive(Clone, Debug, Default)]
struct UnlistsThenDeletes(Arc<Mutex<HashSet<SessionId>>>);

#[async_trait]
impl Fault for UnlistsThenDeletes {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        self.0.lock().insert(id);
        pause().await;
        sound.delete(id).await
    }

    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut sessions = sound.sessions_of(subject).await?;
        let unlisted = self.0.lock();
        sessions.retain(|(id, _)| !unlisted.contains(id));
        Ok(sessions)
    }
}

#[derive(Clone, Debug)]
struct RevokesOneByOne;

#[async_trait]
impl Fault for RevokesOneByOne {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        sound.step(|state, _| *state.fences.entry(subject.clone()).or_default() += 1);
        let mut ended = Vec::new();
        for (id, _) in sound.sessions_of(subject).await? {
            pause().await;
            if Some(id) != except && sound.delete(id).await? {
                ended.push(id);
            }
        }
        Ok(ended)
    }
}

#[derive(Clone, Debug)]
struct JudgesSizeFirst;

#[async_trait]
impl Fault for JudgesSizeFirst {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let max = sound.facts().bounds.value_bytes;
        let mut values = change.edits().values().flatten();
        if let Some(over) = values.find(|value| value.as_str().len() > max) {
            let reason = session_core::TooLarge {
                what: session_core::Size::Value,
                len: over.as_str().len(),
                max,
            };
            return Err(StoreError::too_large("reference", reason));
        }
        sound.apply(id, change, seen).await
    }
}
