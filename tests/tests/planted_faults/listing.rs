//! Faults in what is listed of a subject's sessions: clause 10.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, NewRecord, Record, SessionId, SessionStore, SignInLimit, StoreError, Subject, Ticket,
};

use crate::fault::{Fault, pause, suite, with_edits};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "ListsEverybody",
            || {
                suite(ListsBy(|sound, _| {
                    all(sound, |record| record.subject().is_some())
                }))
            },
            &["clause_10_every_live_session_of_the_subject_is_listed_and_no_other"],
        ),
        caught(
            "ListsTheShard",
            || {
                suite(ListsBy(|sound, subject| {
                    let shard = sound.facts().sharding.shard_of(subject);
                    let mut listed = all(sound, |_| true);
                    listed.retain(|(id, _)| id.shard() == shard);
                    listed
                }))
            },
            &["clause_10_an_anonymous_session_is_never_listed"],
        ),
        caught(
            "ListsAHundred",
            || {
                suite(ListsBy(|sound, subject| {
                    let mut listed =
                        all(sound, |record| record.subject() == Some(subject.as_str()));
                    listed.truncate(100);
                    listed
                }))
            },
            &["clause_10_three_hundred_sessions_are_all_listed"],
        ),
        caught(
            "ListsWithoutEntries",
            || {
                suite(ListsBy(|sound, subject| {
                    let clear = session_core::Change::new().clear();
                    all(sound, |record| record.subject() == Some(subject.as_str()))
                        .into_iter()
                        .map(|(id, record)| (id, with_edits(&record, &clear)))
                        .collect()
                }))
            },
            &["clause_10_what_is_listed_is_what_load_reads"],
        ),
        caught(
            "ListsWhatEnded",
            || suite(ListsWhatEnded::default()),
            &[
                "clause_10_what_ended_is_listed_no_more",
                "clause_10_a_session_is_not_listed_once_its_end_has_returned",
            ],
        ),
        caught(
            "ListsInTheBackground",
            || suite(ListsInTheBackground::default()),
            &["clause_10_a_session_is_listed_once_its_sign_in_has_returned"],
        ),
        caught(
            "ListsAnIdOnce",
            || suite(ListsAnIdOnce::default()),
            &["clause_10_a_session_under_the_id_of_one_that_expired_is_listed"],
        ),
        caught(
            "RebuildsTheList",
            || suite(RebuildsTheList::default()),
            &["clause_10_a_session_that_lives_throughout_is_in_every_list"],
        ),
    ]
}

fn all(sound: &ReferenceStore, is_listed: impl Fn(&Record) -> bool) -> Vec<(SessionId, Record)> {
    sound.step(|state, now| {
        let live = state
            .sessions
            .iter()
            .filter(|(_, record)| record.is_live(now));
        live.filter(|(_, record)| is_listed(record))
            .map(|(id, record)| (*id, record.clone()))
            .collect()
    })
}

/// Lists by another rule.
#[derive(Clone, Debug)]
struct ListsBy(fn(&ReferenceStore, &Subject) -> Vec<(SessionId, Record)>);

#[async_trait]
impl Fault for ListsBy {
    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok((self.0)(sound, subject))
    }
}

type Sessions = HashMap<SessionId, Record>;

#[derive(Clone, Debug, Default)]
struct ListsWhatEnded(Arc<Mutex<Sessions>>);

#[async_trait]
impl Fault for ListsWhatEnded {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let admission = sound.sign_in(ticket, id, new, limit).await;
        if let Ok(Admission::Admitted { record, .. }) = &admission {
            self.0.lock().insert(id, record.clone());
        }
        admission
    }

    async fn sessions_of(
        &self,
        _: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let all = self.0.lock();
        let theirs = all
            .iter()
            .filter(|(_, record)| record.subject() == Some(subject.as_str()));
        Ok(theirs.map(|(id, record)| (*id, record.clone())).collect())
    }
}

#[derive(Clone, Debug, Default)]
struct ListsInTheBackground(Arc<Mutex<HashSet<SessionId>>>);

#[async_trait]
impl Fault for ListsInTheBackground {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let admission = sound.sign_in(ticket, id, new, limit).await;
        let listed = Arc::clone(&self.0);
        tokio::spawn(async move {
            for _ in 0..8 {
                pause().await;
            }
            listed.lock().insert(id);
        });
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

/// Forgets an id that expired only after a session has it again.
#[derive(Clone, Debug, Default)]
struct ListsAnIdOnce(Arc<Mutex<HashMap<SessionId, usize>>>);

#[async_trait]
impl Fault for ListsAnIdOnce {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        *self.0.lock().entry(id).or_default() += 1;
        sound.sign_in(ticket, id, new, limit).await
    }

    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut sessions = sound.sessions_of(subject).await?;
        let had = self.0.lock();
        sessions.retain(|(id, _)| had.get(id).is_none_or(|times| *times < 2));
        Ok(sessions)
    }
}

/// Empties a subject's list, and fills it again, whenever a session ends.
#[derive(Clone, Debug, Default)]
struct RebuildsTheList(Arc<Mutex<usize>>);

#[async_trait]
impl Fault for RebuildsTheList {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        *self.0.lock() += 1;
        pause().await;
        *self.0.lock() -= 1;
        sound.delete(id).await
    }

    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let is_whole = *self.0.lock() == 0;
        let sessions = sound.sessions_of(subject).await?;
        Ok(if is_whole { sessions } else { Vec::new() })
    }
}
