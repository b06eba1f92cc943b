//! Faults in when sessions expire: clause 8.

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Freshness, Loaded, Record, Refusal, SessionId, SessionStore, StoreError, Subject, Timeouts,
    Timestamp,
};

use crate::fault::{AppliesBy, Fault, Step, running_suite, suite, with_header};
use crate::lives::ReadsTheExpired;
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "EarlyExpiry",
            || suite(LivesIf(|record, now| record.is_live(now + MILLI))),
            AT_THE_MILLISECOND,
        ),
        caught(
            "LateExpiry",
            || suite(LivesIf(|record, now| record.is_live(now - MILLI))),
            AT_THE_MILLISECOND,
        ),
        caught(
            "ExpiresWhenReaped",
            || suite(ReadsTheExpired),
            &[
                "clause_08_at_the_very_millisecond_of_its_idle_timeout_a_session_is_expired",
                "clause_08_a_shortened_life_ends_at_its_millisecond",
                "clause_08_a_life_shortened_to_nothing_ends_at_once",
                "clause_08_limits_of_any_length_neither_panic_nor_last_for_ever",
                "clause_08_a_session_without_limits_at_all_is_expired_at_once",
            ],
        ),
        caught(
            "ExpiresWhenReapedByAClockThatRuns",
            || running_suite(ReadsTheExpired),
            &["clause_08_a_session_expires_by_a_clock_that_runs"],
        ),
        caught(
            "ListsTheExpired",
            || suite(ListsTheExpired),
            &["clause_08_no_verb_sees_an_expired_session"],
        ),
        caught(
            "ShortensToWholeSeconds",
            || suite(AppliesBy(shortens_to_whole_seconds)),
            &["clause_08_a_shortened_life_ends_at_its_millisecond"],
        ),
        caught(
            "IgnoresShortenings",
            || suite(AppliesBy(ignores_shortenings)),
            &[
                "clause_08_a_deadline_is_never_moved_out",
                "clause_08_a_life_shortened_to_nothing_ends_at_once",
            ],
        ),
        caught(
            "MovesDeadlinesOut",
            || suite(AppliesBy(moves_deadlines_out)),
            &["clause_08_a_deadline_is_never_moved_out"],
        ),
        caught(
            "TheLongestLifeNeverEnds",
            || {
                suite(LivesIf(|record, now| {
                    let life = record.deadline().since(record.created_at());
                    record.is_live(now) || life >= Timeouts::MAX_ABSOLUTE
                }))
            },
            &["clause_08_limits_of_any_length_neither_panic_nor_last_for_ever"],
        ),
        caught(
            "NoLifeAtAllNeverEnds",
            || {
                suite(LivesIf(|record, now| {
                    record.is_live(now) || record.expires_at() == record.created_at()
                }))
            },
            &["clause_08_a_session_without_limits_at_all_is_expired_at_once"],
        ),
        caught(
            "WhatBeginsLaterIsNotThere",
            || {
                suite(LivesIf(|record, now| {
                    record.is_live(now) && record.created_at() <= now
                }))
            },
            &["clause_08_a_clock_that_steps_back_ends_nothing"],
        ),
    ]
}

const MILLI: std::time::Duration = std::time::Duration::from_millis(1);

const AT_THE_MILLISECOND: &[&str] = &[
    "clause_08_at_the_very_millisecond_of_its_idle_timeout_a_session_is_expired",
    "clause_08_at_the_very_millisecond_of_its_deadline_a_session_is_expired",
];

/// Reads a session as live by another rule.
#[derive(Clone, Debug)]
struct LivesIf(fn(&Record, Timestamp) -> bool);

#[async_trait]
impl Fault for LivesIf {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        let found = sound.step(|state, now| {
            let record = state.sessions.get(&id).cloned()?;
            Some(if (self.0)(&record, now) {
                Loaded::Live(record)
            } else {
                Loaded::Absent
            })
        });
        match found {
            Some(found) => Ok(found),
            None => sound.load(id, freshness).await,
        }
    }
}

#[derive(Clone, Debug)]
struct ListsTheExpired;

#[async_trait]
impl Fault for ListsTheExpired {
    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        Ok(sound.step(|state, _| state.live_of(subject, Timestamp::MIN)))
    }
}

fn shortens_to_whole_seconds(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let life = step.change.shortening();
    Ok(with_header(next, |header| {
        if let Some(life) = life {
            let seconds = std::time::Duration::from_secs(life.as_secs());
            header.deadline = header.deadline.min(step.now + seconds);
        }
    }))
}

fn ignores_shortenings(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let deadline = step.previous.deadline();
    Ok(with_header(next, |header| header.deadline = deadline))
}

fn moves_deadlines_out(step: &Step<'_>) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let life = step.change.shortening();
    Ok(with_header(next, |header| {
        if let Some(life) = life {
            header.deadline = step.now + life;
        }
    }))
}
