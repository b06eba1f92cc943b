//! Faults in how many sessions a subject may have, and in tries under one ticket: clause 11.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::Suite;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Header, LimitPolicy, NewRecord, Record, SessionId, SessionStore, SignInLimit,
    Standing, StoreError, Subject, Ticket, Timestamp, UNPRESENTED_GRACE, admit,
};

use crate::fault::{Fault, pause, suite, with_header};
use crate::rules::{Admit, Asked, Ended, Live, SOUND, SignsInBy};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    let mut planted = limiting();
    planted.extend(trying());
    planted
}

fn limiting() -> Vec<Planted> {
    vec![
        caught(
            "EndsTheNewest",
            || admitting(ends_the_newest),
            &["clause_11_one_too_many_ends_the_oldest"],
        ),
        caught(
            "EndsTheLeastRecentlyUsed",
            || admitting(ends_the_least_recently_used),
            &["clause_11_the_oldest_is_the_one_that_signed_in_first"],
        ),
        caught(
            "NeverRefuses",
            || admitting(never_refuses),
            &["clause_11_one_too_many_is_refused_and_changes_nothing"],
        ),
        caught(
            "ChecksThenAdmits",
            || suite(ChecksThenAdmits),
            &[
                "clause_11_n_plus_fifty_concurrent_sign_ins_leave_exactly_n",
                "clause_11_n_plus_fifty_concurrent_sign_ins_admit_exactly_n",
                "clause_11_no_list_ever_shows_more_than_the_limit",
                "clause_11_of_concurrent_tries_the_last_one_is_left",
            ],
        ),
        caught(
            "LimitsEverybodyTogether",
            || {
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
            &["clause_11_a_limit_concerns_its_subject_only"],
        ),
        caught(
            "TenUnlessToldOtherwise",
            || admitting(ten_unless_told_otherwise),
            &["clause_11_without_a_limit_nothing_ends"],
        ),
        caught(
            "EndsOneAtMost",
            || admitting(ends_one_at_most),
            &["clause_11_a_lower_limit_ends_as_many_as_it_takes"],
        ),
        caught(
            "CountsSignIns",
            || suite(CountsSignIns::default()),
            &["clause_11_the_dead_do_not_count"],
        ),
        caught(
            "CountsTheExpired",
            || {
                suite(SignsInBy {
                    live_of: |state, subject, _| state.live_of(subject, Timestamp::MIN),
                    ..SOUND
                })
            },
            &["clause_11_the_expired_do_not_count"],
        ),
        caught(
            "CountsPredecessors",
            || admitting(counts_predecessors),
            &[
                "clause_11_a_session_and_its_predecessor_count_as_one",
                "clause_11_a_chain_of_predecessors_counts_as_one",
            ],
        ),
        caught(
            "AnyPredecessorMakesRoom",
            || admitting(any_predecessor_makes_room),
            &["clause_11_a_session_and_its_anonymous_predecessor_count_as_one"],
        ),
        caught(
            "LeavesThePredecessor",
            || admitting(leaves_the_predecessor),
            &["clause_11_with_a_session_goes_the_predecessor_that_only_it_replaced"],
        ),
        caught(
            "TheLostAreAsGoodAsAny",
            || admitting(the_lost_are_as_good_as_any),
            &[
                "clause_11_a_sign_in_never_presented_is_the_first_to_go",
                "clause_11_a_sign_in_never_presented_makes_room_under_refuse_too",
            ],
        ),
        caught(
            "EndsAllTheLost",
            || admitting(ends_all_the_lost),
            &["clause_11_only_as_many_of_those_never_presented_go_as_are_needed"],
        ),
        caught(
            "LostWithWhatItReplaces",
            || admitting(lost_with_what_it_replaces),
            &["clause_11_a_lost_sign_in_costs_the_one_before_it_nothing"],
        ),
        caught(
            "OnceLateAlwaysLost",
            || admitting(once_late_always_lost),
            &["clause_11_a_sign_in_presented_late_is_as_safe_as_any"],
        ),
        caught(
            "JudgesTheSizeOfASignInFirst",
            || {
                suite(SignsInBy {
                    sizes_first: true,
                    ..SOUND
                })
            },
            &[
                "clause_11_refused_sign_ins_are_refused_before_their_size_is_judged",
                "clause_12_a_stale_ticket_is_refused_before_anything_else_is_judged",
            ],
        ),
    ]
}

fn trying() -> Vec<Planted> {
    vec![
        caught(
            "KeepsWhatAnEarlierTryMade",
            || admitting(keeps_what_an_earlier_try_made),
            &[
                "clause_11_a_later_try_ends_what_an_earlier_one_made",
                "clause_11_a_later_try_takes_the_place_of_an_earlier_one_under_refuse",
            ],
        ),
        caught(
            "AdmitsEarlierTriesLate",
            || {
                suite(SignsInBy {
                    checks_tries: false,
                    ..SOUND
                })
            },
            &[
                "clause_11_an_earlier_try_that_arrives_after_a_later_one_is_refused",
                "clause_11_of_concurrent_tries_the_last_one_is_left",
            ],
        ),
        caught(
            "ForgetsTriesWithTheirSession",
            || {
                suite(SignsInBy {
                    forgets_tries: true,
                    ..SOUND
                })
            },
            &["clause_11_an_earlier_try_is_refused_also_when_the_later_session_has_ended"],
        ),
        caught(
            "TriesOfAllTicketsAreOne",
            || admitting(tries_of_all_tickets_are_one),
            &["clause_11_a_try_ends_nothing_of_another_ticket"],
        ),
    ]
}

fn admitting(admit: Admit) -> Suite {
    suite(SignsInBy { admit, ..SOUND })
}

/// `live` with other headers, for a rule that does not see what it should.
fn seen_otherwise(live: &Live, edit: impl Fn(&mut Header)) -> Vec<(SessionId, Record)> {
    live.iter()
        .map(|(id, record)| (*id, with_header(record.clone(), &edit)))
        .collect()
}

fn ends_the_newest(asked: &Asked<'_>) -> Ended {
    let mut newest: Vec<_> = asked.live.iter().collect();
    newest.sort_by_key(|(id, record)| (record.created_at(), *id));
    let count = asked.soundly()?.len();
    Some(
        newest
            .into_iter()
            .rev()
            .take(count)
            .map(|(id, _)| *id)
            .collect(),
    )
}

fn ends_the_least_recently_used(asked: &Asked<'_>) -> Ended {
    asked.seeing(&seen_otherwise(asked.live, |header| {
        header.created_at = header.last_seen_at;
    }))
}

fn never_refuses(asked: &Asked<'_>) -> Ended {
    let policy = LimitPolicy::EndOldest;
    let limit = asked.limit.map(|limit| SignInLimit { policy, ..limit });
    Asked { limit, ..*asked }.soundly()
}

fn ten_unless_told_otherwise(asked: &Asked<'_>) -> Ended {
    let ten = NonZeroUsize::new(10).map(|max| SignInLimit {
        max,
        policy: LimitPolicy::EndOldest,
    });
    let limit = asked.limit.or(ten);
    Asked { limit, ..*asked }.soundly()
}

fn ends_one_at_most(asked: &Asked<'_>) -> Ended {
    let mut ended = asked.soundly()?;
    ended.truncate(1);
    Some(ended)
}

fn counts_predecessors(asked: &Asked<'_>) -> Ended {
    let unrelated = seen_otherwise(asked.live, |header| header.predecessor = None);
    let predecessor = None;
    Asked {
        predecessor,
        ..*asked
    }
    .seeing(&unrelated)
}

fn any_predecessor_makes_room(asked: &Asked<'_>) -> Ended {
    let more = usize::from(asked.predecessor.is_some());
    let limit = asked.limit.map(|limit| SignInLimit {
        max: limit.max.saturating_add(more),
        ..limit
    });
    Asked { limit, ..*asked }.soundly()
}

fn leaves_the_predecessor(asked: &Asked<'_>) -> Ended {
    let mut ended = asked.soundly()?;
    let is_replaced = |id| {
        asked
            .live
            .iter()
            .any(|(_, record)| record.predecessor() == Some(id))
    };
    ended.retain(|id| !is_replaced(*id));
    Some(ended)
}

fn stand(live: &Live, standing: Standing) -> Vec<(SessionId, Record)> {
    seen_otherwise(live, |header| {
        for slot in &mut header.slots {
            slot.standing = standing;
        }
    })
}

fn the_lost_are_as_good_as_any(asked: &Asked<'_>) -> Ended {
    asked.seeing(&stand(asked.live, Standing::Current))
}

fn once_late_always_lost(asked: &Asked<'_>) -> Ended {
    asked.seeing(&stand(asked.live, Standing::Unpresented))
}

fn ends_all_the_lost(asked: &Asked<'_>) -> Ended {
    let is_lost = |record: &Record| {
        !record.was_presented() && asked.now >= record.created_at() + UNPRESENTED_GRACE
    };
    let all = asked.live.iter().cloned();
    let (lost, rest): (Vec<_>, Vec<_>) = all.partition(|(_, record)| is_lost(record));
    let mut ended = asked.seeing(&rest)?;
    ended.extend(lost.into_iter().map(|(id, _)| id));
    Some(ended)
}

fn lost_with_what_it_replaces(asked: &Asked<'_>) -> Ended {
    let pair = |(_, record): &&(SessionId, Record)| {
        let is_old = asked.now >= record.created_at() + UNPRESENTED_GRACE;
        is_old && !record.was_presented() && record.predecessor().is_some()
    };
    asked.soundly().or_else(|| {
        let (id, record) = asked.live.iter().find(pair)?;
        Some([*id].into_iter().chain(record.predecessor()).collect())
    })
}

fn keeps_what_an_earlier_try_made(asked: &Asked<'_>) -> Ended {
    asked.seeing(&seen_otherwise(asked.live, |header| {
        if let Some(owner) = &mut header.owner {
            owner.nonce = !owner.nonce;
        }
    }))
}

fn tries_of_all_tickets_are_one(asked: &Asked<'_>) -> Ended {
    asked.seeing(&seen_otherwise(asked.live, |header| {
        if let Some(owner) = &mut header.owner {
            owner.nonce = asked.ticket.nonce();
        }
    }))
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
            admit: |_| Some(Vec::new()),
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
