//! Faults in how a subject is revoked: clause 12.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Fence, NewRecord, SessionId, SessionStore, SignInLimit, StoreError, Subject, Ticket,
    Timestamp,
};

use crate::fault::{Fault, pause, suite};
use crate::rules::{SOUND, SignsInBy};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "RevokesAndSaysNothing",
            || suite(RevokesAndSaysNothing),
            &["clause_12_revoking_ends_every_session_of_the_subject_and_no_other"],
        ),
        caught(
            "SparesNothing",
            || suite(SparesNothing),
            &["clause_12_revoking_spares_the_session_named"],
        ),
        caught(
            "AnyExceptionSparesAll",
            || suite(AnyExceptionSparesAll),
            &["clause_12_an_exception_that_is_not_the_subjects_spares_nothing"],
        ),
        caught(
            "NoFence",
            || {
                suite(SignsInBy {
                    checks_fence: false,
                    ..SOUND
                })
            },
            &[
                "clause_12_an_older_ticket_is_refused",
                "clause_12_a_fence_outlives_every_ticket_older_than_it",
                "clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke",
            ],
        ),
        caught(
            "RevokedForGood",
            || suite(RevokedForGood),
            &["clause_12_a_younger_ticket_signs_in"],
        ),
        caught(
            "NoFenceWithoutASession",
            || {
                suite(RaisesTheFenceIf(|sound, subject, _| {
                    sound.step(|state, now| !state.live_of(subject, now).is_empty())
                }))
            },
            &["clause_12_a_subject_that_never_signed_in_is_revoked_too"],
        ),
        caught(
            "NoFenceWithAnException",
            || suite(RaisesTheFenceIf(|_, _, except| except.is_none())),
            &[
                "clause_12_old_password_checked_then_changed_and_revoked_then_sign_in_is_refused",
                "clause_12_revoking_spares_the_session_named",
            ],
        ),
        caught(
            "OneFenceForAll",
            || suite(OneFenceForAll),
            &["clause_12_the_fence_of_one_subject_is_no_others"],
        ),
        caught(
            "TicketsForEver",
            || {
                suite(SignsInBy {
                    checks_age: false,
                    ..SOUND
                })
            },
            &["clause_12_a_ticket_is_good_for_its_life_and_no_longer"],
        ),
        caught(
            "ForgetsFencesEarly",
            || suite(ForgetsFences::after(Duration::from_secs(5 * 60))),
            &["clause_12_a_fence_outlives_every_ticket_older_than_it"],
        ),
        caught(
            "ForgetsFencesWithTheirOlderTickets",
            || suite(ForgetsFences::after(session_core::TICKET_LIFE)),
            &[
                "clause_12_a_forgotten_fence_refuses_no_younger_ticket",
                "clause_12_a_fence_never_takes_an_older_value_again",
            ],
        ),
        caught(
            "RevokesInTwoSteps",
            || suite(RevokesInTwoSteps),
            &[
                "clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke",
                "clause_12_a_session_made_during_a_revoke_lives_exactly_if_its_ticket_is_younger",
                "clause_12_concurrent_revokes_end_each_session_once",
            ],
        ),
    ]
}

#[derive(Clone, Debug)]
struct RevokesAndSaysNothing;

#[async_trait]
impl Fault for RevokesAndSaysNothing {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        sound.revoke(subject, except).await.map(|_| Vec::new())
    }
}

#[derive(Clone, Debug)]
struct SparesNothing;

#[async_trait]
impl Fault for SparesNothing {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        _: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        sound.revoke(subject, None).await
    }
}

#[derive(Clone, Debug)]
struct AnyExceptionSparesAll;

#[async_trait]
impl Fault for AnyExceptionSparesAll {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let theirs = sound.sessions_of(subject).await?;
        match except {
            Some(other) if theirs.iter().all(|(id, _)| *id != other) => Ok(Vec::new()),
            _ => sound.revoke(subject, except).await,
        }
    }
}

/// Gives tickets from before the first revoke.
#[derive(Clone, Debug)]
struct RevokedForGood;

#[async_trait]
impl Fault for RevokedForGood {
    async fn ticket(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Ticket, StoreError> {
        Ok(Ticket::new(
            subject.clone(),
            Fence::from_u64(0),
            sound.now(),
        ))
    }
}

type IfRaised = fn(&ReferenceStore, &Subject, Option<SessionId>) -> bool;

#[derive(Clone, Debug)]
struct RaisesTheFenceIf(IfRaised);

#[async_trait]
impl Fault for RaisesTheFenceIf {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let is_raised = (self.0)(sound, subject, except);
        let ended = sound.revoke(subject, except).await;
        if !is_raised {
            sound.step(|state, _| *state.fences.entry(subject.clone()).or_default() -= 1);
        }
        ended
    }
}

#[derive(Clone, Debug)]
struct OneFenceForAll;

#[async_trait]
impl Fault for OneFenceForAll {
    async fn ticket(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Ticket, StoreError> {
        sound.step(|state, _| state.fences.entry(subject.clone()).or_default().to_owned());
        sound.ticket(subject).await
    }

    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        sound.step(|state, _| state.fences.values_mut().for_each(|fence| *fence += 1));
        sound.revoke(subject, except).await
    }
}

/// Forgets a fence a while after it was raised, and then begins at zero again.
#[derive(Clone, Debug)]
struct ForgetsFences {
    after: Duration,
    raised: Arc<Mutex<HashMap<Subject, Timestamp>>>,
}

impl ForgetsFences {
    fn after(after: Duration) -> Self {
        let raised = Arc::default();
        Self { after, raised }
    }

    fn forget(&self, sound: &ReferenceStore) {
        sound.step(|state, now| {
            self.raised.lock().retain(|subject, raised| {
                let is_kept = now < *raised + self.after;
                if !is_kept {
                    state.fences.remove(subject);
                }
                is_kept
            });
        });
    }
}

#[async_trait]
impl Fault for ForgetsFences {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.forget(sound);
        sound.sign_in(ticket, id, new, limit).await
    }

    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.forget(sound);
        self.raised.lock().insert(subject.clone(), sound.now());
        sound.revoke(subject, except).await
    }
}

#[derive(Clone, Debug)]
struct RevokesInTwoSteps;

#[async_trait]
impl Fault for RevokesInTwoSteps {
    async fn revoke(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        for (id, _) in sound.sessions_of(subject).await? {
            if Some(id) != except {
                ended.push(id);
            }
        }
        pause().await;
        for id in &ended {
            sound.delete(*id).await?;
        }
        pause().await;
        sound.step(|state, _| *state.fences.entry(subject.clone()).or_default() += 1);
        Ok(ended)
    }
}
