//! Faults in how changes are applied: clauses 5 and 7.

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_core::{Application, Change, Record, Refusal, SessionId, SessionStore, StoreError};

use crate::fault::{
    AppliesBy, Fault, Step, answer, pause, running_suite, suite, with_edits, with_header,
};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "WritesWhatWasSeen",
            || suite(AppliesBy(writes_what_was_seen)),
            &[
                "clause_05_changes_from_one_seen_copy_are_both_kept",
                "clause_05_concurrent_changes_follow_one_another_in_one_order",
                "clause_07_a_touch_from_a_stale_copy_rewrites_nothing",
            ],
        ),
        caught(
            "UnlockedReadModifyWrite",
            || suite(UnlockedReadModifyWrite),
            &[
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
        ),
        caught(
            "FirstWriteWins",
            || suite(AppliesBy(first_write_wins)),
            &[
                "clause_05_of_one_entry_the_last_change_wins",
                "history_random_calls_are_answered_as_the_contract_says",
            ],
        ),
        caught(
            "ClearsReservedNamesToo",
            || suite(AppliesBy(clears_reserved_names_too)),
            &["clause_05_a_change_clears_then_removes_then_sets"],
        ),
        caught(
            "IgnoresGuards",
            || suite(AppliesBy(ignores_guards)),
            &[
                "clause_05_a_guarded_change_applies_to_its_revision_only",
                "clause_05_of_concurrent_guarded_changes_exactly_one_is_applied",
                "clause_05_of_guarded_changes_among_others_at_most_one_is_applied",
                "clause_05_a_hundred_guarded_increments_make_a_hundred",
            ],
        ),
        caught(
            "JudgesGuardsOnWhatWasSeen",
            || suite(AppliesBy(judges_guards_on_what_was_seen)),
            &["clause_05_a_guard_is_judged_on_a_fresh_copy"],
        ),
        caught(
            "TouchIsAnEdit",
            || suite(AppliesBy(touch_is_an_edit)),
            &[
                "clause_07_a_touch_moves_the_last_use_and_nothing_else",
                "clause_07_a_touch_keeps_the_revision",
            ],
        ),
        caught(
            "TouchMovesBack",
            || suite(AppliesBy(touch_moves_back)),
            &[
                "clause_07_a_touch_never_moves_back",
                "clause_08_a_clock_that_steps_back_ends_nothing",
            ],
        ),
        caught(
            "TouchExtendsTheDeadline",
            || suite(AppliesBy(touch_extends_the_deadline)),
            &["clause_07_a_touch_never_passes_the_absolute_deadline"],
        ),
        caught(
            "TouchExtendsTheDeadlineByAClockThatRuns",
            || running_suite(AppliesBy(touch_extends_the_deadline)),
            &["clause_08_no_use_outlives_the_deadline_by_a_clock_that_runs"],
        ),
        caught(
            "IgnoresTouches",
            || suite(AppliesBy(ignores_touches)),
            &[
                "clause_07_a_touch_moves_the_last_use_and_nothing_else",
                "clause_07_a_touch_keeps_a_session_alive",
            ],
        ),
        caught(
            "IgnoresTouchesByAClockThatRuns",
            || running_suite(AppliesBy(ignores_touches)),
            &["clause_08_uses_keep_a_session_alive_by_a_clock_that_runs"],
        ),
        caught(
            "TouchRewrites",
            || suite(AppliesBy(touch_rewrites)),
            &[
                "clause_07_a_touch_from_a_stale_copy_rewrites_nothing",
                "clause_07_concurrent_touches_lose_no_change",
            ],
        ),
        caught(
            "EveryChangeTouches",
            || suite(AppliesBy(every_change_touches)),
            &[
                "clause_07_an_edit_moves_the_last_use_only_if_it_touches",
                "clause_08_an_edit_does_not_postpone_the_idle_timeout",
            ],
        ),
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
