//! Faults in what concerns a subject's sessions: clauses 10 to 12.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Fence, LimitPolicy, NewRecord, Record, SessionId, SessionStore, SignInLimit,
    Standing, StoreError, Subject, Ticket, Timestamp, UNPRESENTED_GRACE, admit,
};

use crate::Planted;
use crate::fault::{Fault, pause, suite, with_header};
use crate::rules::{Live, SOUND, SignsInBy};

pub(crate) fn planted() -> Vec<Planted> {
    let mut planted = listing();
    planted.extend(limiting());
    planted.extend(trying());
    planted.extend(revoking());
    planted
}

fn listing() -> Vec<Planted> {
    vec![
        Planted {
            fault: "ListsEverybody",
            suite: || {
                suite(ListsBy(|sound, _| {
                    all(sound, |record| record.subject().is_some())
                }))
            },
            caught_by: &["clause_10_every_live_session_of_the_subject_is_listed_and_no_other"],
        },
        Planted {
            fault: "ListsTheShard",
            suite: || {
                suite(ListsBy(|sound, subject| {
                    let shard = sound.facts().sharding.shard_of(subject);
                    let mut listed = all(sound, |_| true);
                    listed.retain(|(id, _)| id.shard() == shard);
                    listed
                }))
            },
            caught_by: &["clause_10_an_anonymous_session_is_never_listed"],
        },
        Planted {
            fault: "ListsAHundred",
            suite: || {
                suite(ListsBy(|sound, subject| {
                    let mut listed =
                        all(sound, |record| record.subject() == Some(subject.as_str()));
                    listed.truncate(100);
                    listed
                }))
            },
            caught_by: &["clause_10_three_hundred_sessions_are_all_listed"],
        },
        Planted {
            fault: "ListsWithoutEntries",
            suite: || {
                suite(ListsBy(|sound, subject| {
                    let clear = session_core::Change::new().clear();
                    all(sound, |record| record.subject() == Some(subject.as_str()))
                        .into_iter()
                        .map(|(id, record)| (id, crate::fault::with_edits(&record, &clear)))
                        .collect()
                }))
            },
            caught_by: &["clause_10_what_is_listed_is_what_load_reads"],
        },
        Planted {
            fault: "ListsWhatEnded",
            suite: || suite(ListsWhatEnded::default()),
            caught_by: &[
                "clause_10_what_ended_is_listed_no_more",
                "clause_10_a_session_is_not_listed_once_its_end_has_returned",
            ],
        },
        Planted {
            fault: "ListsInTheBackground",
            suite: || suite(ListsInTheBackground::default()),
            caught_by: &["clause_10_a_session_is_listed_once_its_sign_in_has_returned"],
        },
        Planted {
            fault: "RebuildsTheList",
            suite: || suite(RebuildsTheList::default()),
            caught_by: &["clause_10_a_session_that_lives_throughout_is_in_every_list"],
        },
    ]
}

fn limiting() -> Vec<Planted> {
    vec![
        Planted {
            fault: "EndsTheNewest",
            suite: || admitting(ends_the_newest),
            caught_by: &["clause_11_one_too_many_ends_the_oldest"],
        },
        Planted {
            fault: "EndsTheLeastRecentlyUsed",
            suite: || admitting(ends_the_least_recently_used),
            caught_by: &["clause_11_the_oldest_is_the_one_that_signed_in_first"],
        },
        Planted {
            fault: "NeverRefuses",
            suite: || admitting(never_refuses),
            caught_by: &["clause_11_one_too_many_is_refused_and_changes_nothing"],
        },
        Planted {
            fault: "ChecksThenAdmits",
            suite: || suite(ChecksThenAdmits),
            caught_by: &[
                "clause_11_n_plus_fifty_concurrent_sign_ins_leave_exactly_n",
                "clause_11_n_plus_fifty_concurrent_sign_ins_admit_exactly_n",
                "clause_11_no_list_ever_shows_more_than_the_limit",
                "clause_11_of_concurrent_tries_the_last_one_is_left",
            ],
        },
        Planted {
            fault: "LimitsEverybodyTogether",
            suite: || {
                suite(SignsInBy {
                    live_of: |state, _, now| {
                        let all = state
                            .sessions
                            .iter()
                            .filter(|(_, record)| record.is_live(now));
                        all.map(|(id, record)| (*id, record.clone())).collect()
                    },
                    ..SOUND
                })
            },
            caught_by: &["clause_11_a_limit_concerns_its_subject_only"],
        },
        Planted {
            fault: "TenUnlessToldOtherwise",
            suite: || admitting(ten_unless_told_otherwise),
            caught_by: &["clause_11_without_a_limit_nothing_ends"],
        },
        Planted {
            fault: "EndsOneAtMost",
            suite: || admitting(ends_one_at_most),
            caught_by: &["clause_11_a_lower_limit_ends_as_many_as_it_takes"],
        },
        Planted {
            fault: "CountsSignIns",
            suite: || suite(CountsSignIns::default()),
            caught_by: &["clause_11_the_dead_do_not_count"],
        },
        Planted {
            fault: "CountsTheExpired",
            suite: || {
                suite(SignsInBy {
                    live_of: |state, subject, _| state.live_of(subject, Timestamp::MIN),
                    ..SOUND
                })
            },
            caught_by: &["clause_11_the_expired_do_not_count"],
        },
        Planted {
            fault: "CountsPredecessors",
            suite: || admitting(counts_predecessors),
            caught_by: &[
                "clause_11_a_session_and_its_predecessor_count_as_one",
                "clause_11_a_chain_of_predecessors_counts_as_one",
            ],
        },
        Planted {
            fault: "AnyPredecessorMakesRoom",
            suite: || admitting(any_predecessor_makes_room),
            caught_by: &["clause_11_a_session_and_its_anonymous_predecessor_count_as_one"],
        },
        Planted {
            fault: "LeavesThePredecessor",
            suite: || admitting(leaves_the_predecessor),
            caught_by: &["clause_11_with_a_session_goes_the_predecessor_that_only_it_replaced"],
        },
        Planted {
            fault: "TheLostAreAsGoodAsAny",
            suite: || admitting(the_lost_are_as_good_as_any),
            caught_by: &[
                "clause_11_a_sign_in_never_presented_is_the_first_to_go",
                "clause_11_a_sign_in_never_presented_makes_room_under_refuse_too",
            ],
        },
        Planted {
            fault: "EndsAllTheLost",
            suite: || admitting(ends_all_the_lost),
            caught_by: &["clause_11_only_as_many_of_those_never_presented_go_as_are_needed"],
        },
        Planted {
            fault: "OnceLateAlwaysLost",
            suite: || admitting(once_late_always_lost),
            caught_by: &["clause_11_a_sign_in_presented_late_is_as_safe_as_any"],
        },
        Planted {
            fault: "JudgesTheSizeOfASignInFirst",
            suite: || {
                suite(SignsInBy {
                    sizes_first: true,
                    ..SOUND
                })
            },
            caught_by: &[
                "clause_11_refused_sign_ins_are_refused_before_their_size_is_judged",
                "clause_12_a_stale_ticket_is_refused_before_anything_else_is_judged",
            ],
        },
    ]
}

fn trying() -> Vec<Planted> {
    vec![
        Planted {
            fault: "KeepsWhatAnEarlierTryMade",
            suite: || admitting(keeps_what_an_earlier_try_made),
            caught_by: &[
                "clause_11_a_later_try_ends_what_an_earlier_one_made",
                "clause_11_a_later_try_takes_the_place_of_an_earlier_one_under_refuse",
            ],
        },
        Planted {
            fault: "AdmitsEarlierTriesLate",
            suite: || {
                suite(SignsInBy {
                    checks_tries: false,
                    ..SOUND
                })
            },
            caught_by: &[
                "clause_11_an_earlier_try_that_arrives_after_a_later_one_is_refused",
                "clause_11_of_concurrent_tries_the_last_one_is_left",
            ],
        },
        Planted {
            fault: "ForgetsTriesWithTheirSession",
            suite: || {
                suite(SignsInBy {
                    forgets_tries: true,
                    ..SOUND
                })
            },
            caught_by: &[
                "clause_11_an_earlier_try_is_refused_also_when_the_later_session_has_ended",
            ],
        },
        Planted {
            fault: "TriesOfAllTicketsAreOne",
            suite: || admitting(tries_of_all_tickets_are_one),
            caught_by: &["clause_11_a_try_ends_nothing_of_another_ticket"],
        },
    ]
}

fn revoking() -> Vec<Planted> {
    vec![
        Planted {
            fault: "RevokesAndSaysNothing",
            suite: || suite(RevokesAndSaysNothing),
            caught_by: &["clause_12_revoking_ends_every_session_of_the_subject_and_no_other"],
        },
        Planted {
            fault: "SparesNothing",
            suite: || suite(SparesNothing),
            caught_by: &["clause_12_revoking_spares_the_session_named"],
        },
        Planted {
            fault: "AnyExceptionSparesAll",
            suite: || suite(AnyExceptionSparesAll),
            caught_by: &["clause_12_an_exception_that_is_not_the_subjects_spares_nothing"],
        },
        Planted {
            fault: "NoFence",
            suite: || {
                suite(SignsInBy {
                    checks_fence: false,
                    ..SOUND
                })
            },
            caught_by: &[
                "clause_12_an_older_ticket_is_refused",
                "clause_12_a_fence_outlives_every_ticket_older_than_it",
                "clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke",
            ],
        },
        Planted {
            fault: "RevokedForGood",
            suite: || suite(RevokedForGood),
            caught_by: &["clause_12_a_younger_ticket_signs_in"],
        },
        Planted {
            fault: "NoFenceWithoutASession",
            suite: || {
                suite(RaisesTheFenceIf(|sound, subject, _| {
                    sound.step(|state, now| !state.live_of(subject, now).is_empty())
                }))
            },
            caught_by: &["clause_12_a_subject_that_never_signed_in_is_revoked_too"],
        },
        Planted {
            fault: "NoFenceWithAnException",
            suite: || suite(RaisesTheFenceIf(|_, _, except| except.is_none())),
            caught_by: &[
                "clause_12_old_password_checked_then_changed_and_revoked_then_sign_in_is_refused",
                "clause_12_revoking_spares_the_session_named",
            ],
        },
        Planted {
            fault: "OneFenceForAll",
            suite: || suite(OneFenceForAll),
            caught_by: &["clause_12_the_fence_of_one_subject_is_no_others"],
        },
        Planted {
            fault: "TicketsForEver",
            suite: || {
                suite(SignsInBy {
                    checks_age: false,
                    ..SOUND
                })
            },
            caught_by: &["clause_12_a_ticket_is_good_for_its_life_and_no_longer"],
        },
        Planted {
            fault: "ForgetsFencesEarly",
            suite: || suite(ForgetsFences::after(Duration::from_secs(5 * 60))),
            caught_by: &["clause_12_a_fence_outlives_every_ticket_older_than_it"],
        },
        Planted {
            fault: "ForgetsFencesWithTheirOlderTickets",
            suite: || suite(ForgetsFences::after(session_core::TICKET_LIFE)),
            caught_by: &[
                "clause_12_a_forgotten_fence_refuses_no_younger_ticket",
                "clause_12_a_fence_never_takes_an_older_value_again",
            ],
        },
        Planted {
            fault: "RevokesInTwoSteps",
            suite: || suite(RevokesInTwoSteps),
            caught_by: &[
                "clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke",
                "clause_12_a_session_made_during_a_revoke_lives_exactly_if_its_ticket_is_younger",
                "clause_12_concurrent_revokes_end_each_session_once",
            ],
        },
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

fn admitting(admit: crate::rules::Admit) -> session_conformance::Suite {
    suite(SignsInBy { admit, ..SOUND })
}

/// `live` with other headers, for a rule that does not see what it should.
fn seen_otherwise(
    live: &Live,
    edit: impl Fn(&mut session_core::Header),
) -> Vec<(SessionId, Record)> {
    live.iter()
        .map(|(id, record)| (*id, with_header(record.clone(), &edit)))
        .collect()
}

type Ended = Option<Vec<SessionId>>;

fn ends_the_newest(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let mut newest: Vec<_> = live.iter().collect();
    newest.sort_by_key(|(id, record)| (record.created_at(), *id));
    let ended = admit(ticket, predecessor, live, limit, now)?;
    let count = ended.len();
    Some(
        newest
            .into_iter()
            .rev()
            .take(count)
            .map(|(id, _)| *id)
            .collect(),
    )
}

fn ends_the_least_recently_used(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let by_use = seen_otherwise(live, |header| header.created_at = header.last_seen_at);
    admit(ticket, predecessor, &by_use, limit, now)
}

fn never_refuses(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let policy = LimitPolicy::EndOldest;
    let limit = limit.map(|limit| SignInLimit { policy, ..limit });
    admit(ticket, predecessor, live, limit, now)
}

fn ten_unless_told_otherwise(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let ten = NonZeroUsize::new(10).map(|max| SignInLimit {
        max,
        policy: LimitPolicy::EndOldest,
    });
    admit(ticket, predecessor, live, limit.or(ten), now)
}

fn ends_one_at_most(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let mut ended = admit(ticket, predecessor, live, limit, now)?;
    ended.truncate(1);
    Some(ended)
}

fn counts_predecessors(
    ticket: &Ticket,
    _: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let unrelated = seen_otherwise(live, |header| header.predecessor = None);
    admit(ticket, None, &unrelated, limit, now)
}

fn any_predecessor_makes_room(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let limit = limit.map(|limit| SignInLimit {
        max: limit.max.saturating_add(usize::from(predecessor.is_some())),
        ..limit
    });
    admit(ticket, predecessor, live, limit, now)
}

fn leaves_the_predecessor(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let mut ended = admit(ticket, predecessor, live, limit, now)?;
    ended.retain(|id| {
        live.iter()
            .all(|(_, record)| record.predecessor() != Some(*id))
    });
    Some(ended)
}

fn the_lost_are_as_good_as_any(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let presented = seen_otherwise(live, |header| {
        for slot in &mut header.slots {
            slot.standing = Standing::Current;
        }
    });
    admit(ticket, predecessor, &presented, limit, now)
}

fn ends_all_the_lost(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let is_lost =
        |record: &Record| !record.was_presented() && now >= record.created_at() + UNPRESENTED_GRACE;
    let (lost, rest): (Vec<_>, Vec<_>) = live.iter().cloned().partition(|(_, one)| is_lost(one));
    let mut ended = admit(ticket, predecessor, &rest, limit, now)?;
    ended.extend(lost.into_iter().map(|(id, _)| id));
    Some(ended)
}

fn once_late_always_lost(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let unpresented = seen_otherwise(live, |header| {
        for slot in &mut header.slots {
            slot.standing = Standing::Unpresented;
        }
    });
    admit(ticket, predecessor, &unpresented, limit, now)
}

fn keeps_what_an_earlier_try_made(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let other = seen_otherwise(live, |header| {
        if let Some(owner) = &mut header.owner {
            owner.nonce = !owner.nonce;
        }
    });
    admit(ticket, predecessor, &other, limit, now)
}

fn tries_of_all_tickets_are_one(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &Live,
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Ended {
    let same = seen_otherwise(live, |header| {
        if let Some(owner) = &mut header.owner {
            owner.nonce = ticket.nonce();
        }
    });
    admit(ticket, predecessor, &same, limit, now)
}

#[derive(Clone, Debug)]
struct ChecksThenAdmits;

#[async_trait]
impl Fault for ChecksThenAdmits {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let checked = sound.step(|state, now| {
            let live = state.live_of(ticket.subject(), now);
            admit(ticket, new.predecessor(), &live, limit, now)
        });
        let Some(ended) = checked else {
            return Ok(Admission::LimitReached);
        };
        pause().await;
        let unlimited = SignsInBy {
            admit: |_, _, _, _, _| Some(Vec::new()),
            ..SOUND
        };
        let admission = unlimited.sign_in(sound, ticket, id, new, limit).await?;
        for id in &ended {
            sound.delete(*id).await?;
        }
        Ok(match admission {
            Admission::Admitted { record, .. } => Admission::Admitted { record, ended },
            refused => refused,
        })
    }
}

/// Counts sign-ins, and no ends.
#[derive(Clone, Debug, Default)]
struct CountsSignIns(Arc<Mutex<HashMap<Subject, usize>>>);

#[async_trait]
impl Fault for CountsSignIns {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        let count = self
            .0
            .lock()
            .get(ticket.subject())
            .copied()
            .unwrap_or_default();
        if limit
            .is_some_and(|limit| limit.policy == LimitPolicy::Refuse && count >= limit.max.get())
        {
            return Ok(Admission::LimitReached);
        }
        *self.0.lock().entry(ticket.subject().clone()).or_default() += 1;
        sound.sign_in(ticket, id, new, limit).await
    }
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
