//! Faults in how changes are applied: clauses 5 to 7.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Application, Change, Creation, NewRecord, Record, Refusal, SessionId, SessionStore,
    SignInLimit, StoreError, Subject, Ticket,
};

use crate::Planted;
use crate::fault::{
    AppliesBy, Fault, Step, answer, pause, running_suite, suite, with_edits, with_header,
};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        Planted {
            fault: "WritesWhatWasSeen",
            suite: || suite(AppliesBy(writes_what_was_seen)),
            caught_by: &[
                "clause_05_changes_from_one_seen_copy_are_both_kept",
                "clause_05_concurrent_changes_follow_one_another_in_one_order",
                "clause_07_a_touch_from_a_stale_copy_rewrites_nothing",
            ],
        },
        Planted {
            fault: "UnlockedReadModifyWrite",
            suite: || suite(UnlockedReadModifyWrite),
            caught_by: &[
                "clause_05_concurrent_changes_to_different_entries_are_all_kept",
                "clause_05_concurrent_removals_and_insertions_are_all_kept",
                "clause_05_concurrent_changes_follow_one_another_in_one_order",
                "clause_05_of_concurrent_guarded_changes_exactly_one_is_applied",
                "clause_05_a_hundred_guarded_increments_make_a_hundred",
                "clause_07_concurrent_touches_lose_no_change",
                "clause_09_of_concurrent_soft_renewals_exactly_one_mints",
                "clause_09_of_concurrent_guarded_renewals_exactly_one_succeeds",
                "clause_09_concurrent_explicit_renewals_all_leave_the_current_one",
                "clause_09_a_concurrent_presentation_promotes_once",
                "clause_09_concurrent_renewals_and_edits_are_all_kept",
                "clause_16_a_burst_of_calls_ends_with_an_answer_to_each",
                "history_concurrent_calls_have_an_order_that_explains_them",
            ],
        },
        Planted {
            fault: "FirstWriteWins",
            suite: || suite(AppliesBy(first_write_wins)),
            caught_by: &[
                "clause_05_of_one_entry_the_last_change_wins",
                "history_random_calls_are_answered_as_the_contract_says",
            ],
        },
        Planted {
            fault: "ClearsReservedNamesToo",
            suite: || suite(AppliesBy(clears_reserved_names_too)),
            caught_by: &["clause_05_a_change_clears_then_removes_then_sets"],
        },
        Planted {
            fault: "IgnoresGuards",
            suite: || suite(AppliesBy(ignores_guards)),
            caught_by: &[
                "clause_05_a_guarded_change_applies_to_its_revision_only",
                "clause_05_of_concurrent_guarded_changes_exactly_one_is_applied",
                "clause_05_of_guarded_changes_among_others_at_most_one_is_applied",
                "clause_05_a_hundred_guarded_increments_make_a_hundred",
            ],
        },
        Planted {
            fault: "JudgesGuardsOnWhatWasSeen",
            suite: || suite(AppliesBy(judges_guards_on_what_was_seen)),
            caught_by: &["clause_05_a_guard_is_judged_on_a_fresh_copy"],
        },
        Planted {
            fault: "SettlesNoPredecessor",
            suite: || suite(AppliesBy(settles_no_predecessor)),
            caught_by: &["clause_06_a_change_of_many_parts_is_applied_whole"],
        },
        Planted {
            fault: "RefusesByHalves",
            suite: || suite(RefusesByHalves),
            caught_by: &[
                "clause_06_a_conflict_changes_nothing",
                "clause_06_a_change_too_large_changes_nothing",
                "clause_14_a_value_over_the_bound_changes_nothing",
                "clause_14_a_session_over_the_bound_changes_nothing",
                "clause_14_one_entry_too_many_changes_nothing",
            ],
        },
        Planted {
            fault: "EntryByEntry",
            suite: || suite(EntryByEntry),
            caught_by: &[
                "clause_06_nobody_reads_half_a_change",
                "clause_06_a_dropped_change_is_applied_whole_or_not_at_all",
                "history_a_dropped_call_happens_whole_or_not_at_all",
            ],
        },
        Planted {
            fault: "CreatesThenFills",
            suite: || suite(CreatesThenFills),
            caught_by: &["clause_06_a_dropped_create_is_made_whole_or_not_at_all"],
        },
        Planted {
            fault: "SignsInThenLists",
            suite: || suite(SignsInThenLists::default()),
            caught_by: &["clause_06_a_dropped_sign_in_is_listed_exactly_if_it_lives"],
        },
        Planted {
            fault: "UnlistsThenDeletes",
            suite: || suite(UnlistsThenDeletes::default()),
            caught_by: &["clause_06_a_dropped_delete_ends_a_session_wholly_or_not_at_all"],
        },
        Planted {
            fault: "RevokesOneByOne",
            suite: || suite(RevokesOneByOne),
            caught_by: &["clause_06_a_dropped_revoke_ends_all_or_none"],
        },
        Planted {
            fault: "JudgesSizeFirst",
            suite: || suite(JudgesSizeFirst),
            caught_by: &["clause_06_refusals_come_in_their_order"],
        },
        Planted {
            fault: "TouchIsAnEdit",
            suite: || suite(AppliesBy(touch_is_an_edit)),
            caught_by: &[
                "clause_07_a_touch_moves_the_last_use_and_nothing_else",
                "clause_07_a_touch_keeps_the_revision",
            ],
        },
        Planted {
            fault: "TouchMovesBack",
            suite: || suite(AppliesBy(touch_moves_back)),
            caught_by: &[
                "clause_07_a_touch_never_moves_back",
                "clause_08_a_clock_that_steps_back_ends_nothing",
            ],
        },
        Planted {
            fault: "TouchExtendsTheDeadline",
            suite: || suite(AppliesBy(touch_extends_the_deadline)),
            caught_by: &["clause_07_a_touch_never_passes_the_absolute_deadline"],
        },
        Planted {
            fault: "TouchExtendsTheDeadlineByAClockThatRuns",
            suite: || running_suite(AppliesBy(touch_extends_the_deadline)),
            caught_by: &["clause_08_no_use_outlives_the_deadline_by_a_clock_that_runs"],
        },
        Planted {
            fault: "IgnoresTouches",
            suite: || suite(AppliesBy(ignores_touches)),
            caught_by: &[
                "clause_07_a_touch_moves_the_last_use_and_nothing_else",
                "clause_07_a_touch_keeps_a_session_alive",
            ],
        },
        Planted {
            fault: "IgnoresTouchesByAClockThatRuns",
            suite: || running_suite(AppliesBy(ignores_touches)),
            caught_by: &["clause_08_uses_keep_a_session_alive_by_a_clock_that_runs"],
        },
        Planted {
            fault: "TouchRewrites",
            suite: || suite(AppliesBy(touch_rewrites)),
            caught_by: &[
                "clause_07_a_touch_from_a_stale_copy_rewrites_nothing",
                "clause_07_concurrent_touches_lose_no_change",
            ],
        },
        Planted {
            fault: "EveryChangeTouches",
            suite: || suite(AppliesBy(every_change_touches)),
            caught_by: &[
                "clause_07_an_edit_moves_the_last_use_only_if_it_touches",
                "clause_08_an_edit_does_not_postpone_the_idle_timeout",
            ],
        },
    ]
}

fn writes_what_was_seen(step: &Step<'_>) -> Result<Record, Refusal> {
    let from = step.seen.unwrap_or(step.previous);
    from.apply(step.change, step.now, step.bounds)
}

fn first_write_wins(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let before = step.previous.entries().filter_map(|(name, value)| {
        let name = session_core::EntryName::new(name).ok()?;
        Some((name, session_core::JsonText::parse(value).ok()?))
    });
    let kept = before.fold(Change::new(), |kept, (name, value)| kept.set(name, value));
    Ok(with_edits(&next, &kept))
}

fn clears_reserved_names_too(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let reserved = next
        .entries()
        .filter_map(|(name, _)| session_core::EntryName::new(name).ok())
        .filter(|name| name.is_reserved() && !step.change.edits().contains_key(name));
    let removed = reserved.fold(Change::new(), Change::remove);
    Ok(if step.change.clears() {
        with_edits(&next, &removed)
    } else {
        next
    })
}

fn ignores_guards(step: &Step<'_>) -> Result<Record, Refusal> {
    step.apply(&step.change.clone().guarded_by(step.previous.revision()))
}

fn judges_guards_on_what_was_seen(step: &Step<'_>) -> Result<Record, Refusal> {
    let seen = step.seen.unwrap_or(step.previous);
    if step
        .change
        .guard()
        .is_some_and(|guard| guard != seen.revision())
    {
        return Err(Refusal::Conflict);
    }
    ignores_guards(step)
}

fn settles_no_predecessor(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let predecessor = step.previous.predecessor();
    Ok(with_header(next, |header| header.predecessor = predecessor))
}

fn touch_is_an_edit(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let revision = step.change.revision();
    Ok(with_header(next, |header| header.revision = revision))
}

fn touch_moves_back(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    Ok(with_header(next, |header| {
        if step.change.touches() {
            header.last_seen_at = step.now;
        }
    }))
}

fn touch_extends_the_deadline(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let unused = next.last_seen_at().since(step.previous.last_seen_at());
    Ok(with_header(next, |header| {
        header.deadline = header.deadline + unused;
    }))
}

fn ignores_touches(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let last_seen_at = step.previous.last_seen_at();
    Ok(with_header(next, |header| {
        header.last_seen_at = last_seen_at;
    }))
}

fn touch_rewrites(step: &Step<'_>) -> Result<Record, Refusal> {
    if step.change.is_pure_touch() {
        return writes_what_was_seen(step);
    }
    step.soundly()
}

fn every_change_touches(step: &Step<'_>) -> Result<Record, Refusal> {
    step.apply(&step.change.clone().touch())
}

#[derive(Clone, Debug)]
struct UnlockedReadModifyWrite;

#[async_trait]
impl Fault for UnlockedReadModifyWrite {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let (previous, now) = sound.step(|state, now| (state.live(id, now), now));
        let Some(previous) = previous else {
            return Ok(Application::Absent);
        };
        let next = previous.apply(change, now, &sound.facts().bounds);
        pause().await;
        sound.step(|state, now| {
            if state.live(id, now).is_none() {
                return Ok(Application::Absent);
            }
            if let Ok(record) = &next {
                state.sessions.insert(id, record.clone());
            }
            answer(previous, next)
        })
    }
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
