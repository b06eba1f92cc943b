//! Faults in how sessions begin, are read, and stay dead: clauses 1 to 4.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Application, Change, Creation, Ended, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, Shard, SignInLimit, StoreError, Ticket,
};

use crate::fault::{Fault, ReadsAs, answer, pause, suite, with_edits, with_header};
use crate::rules::{SOUND, SignsInBy};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "Upserting",
            || suite(Upserting),
            &["clause_01_create_never_overwrites_a_live_session"],
        ),
        caught(
            "SignsInOverAnything",
            || {
                suite(SignsInBy {
                    checks_id: false,
                    ..SOUND
                })
            },
            &[
                "clause_01_sign_in_never_overwrites_a_live_session",
                "clause_01_an_ended_id_is_refused",
            ],
        ),
        caught(
            "EndsBeforeItRefuses",
            || {
                suite(SignsInBy {
                    ends_first: true,
                    ..SOUND
                })
            },
            &[
                "clause_01_a_sign_in_on_a_taken_id_ends_nothing",
                "clause_11_a_later_try_that_is_refused_ends_nothing",
                "clause_14_a_sign_in_too_large_ends_nothing",
            ],
        ),
        caught(
            "ChecksThenCreates",
            || suite(ChecksThenCreates),
            &["clause_01_of_concurrent_creates_on_one_id_exactly_one_wins"],
        ),
        caught(
            "ChecksThenSignsIn",
            || suite(ChecksThenSignsIn),
            &["clause_01_of_concurrent_sign_ins_and_creates_on_one_id_exactly_one_wins"],
        ),
        caught(
            "ReusesEndedIds",
            || suite(RemembersEndsFor(|_, _| Duration::ZERO)),
            &[
                "clause_01_an_ended_id_is_refused",
                "clause_03_what_ended_is_told_from_what_never_was",
            ],
        ),
        caught(
            "RemembersEndsForHalfAMinute",
            || suite(RemembersEndsFor(|_, _| Duration::from_secs(30))),
            &[
                "clause_01_an_ended_id_is_refused_for_60_s",
                "clause_03_what_ended_is_told_for_60_s",
            ],
        ),
        caught(
            "RemembersEndsForTwoMinutes",
            || suite(RemembersEndsFor(|_, _| Duration::from_secs(120))),
            &[
                "clause_01_an_ended_id_is_refused_for_60_s",
                "clause_03_what_ended_is_told_for_60_s",
            ],
        ),
        caught(
            "RemembersEndsUntilTheDeadline",
            || {
                suite(RemembersEndsFor(|record, ended| {
                    record.expires_at().since(ended.at)
                }))
            },
            &[
                "clause_01_an_ended_id_is_refused_for_60_s_past_its_own_deadline_too",
                "clause_03_what_ended_is_told_for_60_s",
            ],
        ),
        caught(
            "RemembersEndsByShard",
            || suite(RemembersEndsByShard::default()),
            &["clause_03_no_end_is_told_of_another_session"],
        ),
        caught(
            "SignsInToAnyShard",
            || {
                suite(SignsInBy {
                    checks_shard: false,
                    ..SOUND
                })
            },
            &["clause_01_sign_in_refuses_an_id_outside_its_subjects_shard"],
        ),
        caught(
            "DropsEntries",
            || {
                suite(ReadsAs(|record| {
                    with_edits(&record, &Change::new().clear())
                }))
            },
            &[
                "clause_01_create_makes_a_live_anonymous_session",
                "clause_01_sign_in_makes_a_live_session_of_its_subject",
                "clause_02_a_thousand_entries_come_back",
            ],
        ),
        caught(
            "WholeSeconds",
            || {
                suite(ReadsAs(|record| {
                    with_header(record, |header| {
                        header.created_at = whole_seconds(header.created_at);
                        header.last_seen_at = whole_seconds(header.last_seen_at);
                    })
                }))
            },
            &[
                "clause_02_every_instant_is_kept_to_the_millisecond",
                "clause_02_load_returns_exactly_what_was_last_applied_as_time_passes",
            ],
        ),
        caught(
            "WholeSecondsOfIdling",
            || {
                suite(ReadsAs(|record| {
                    with_header(record, |header| {
                        let seconds = header.idle.map(|idle| idle.as_secs());
                        header.idle = seconds.map(Duration::from_secs);
                    })
                }))
            },
            &["clause_02_every_limit_in_time_is_kept_to_the_millisecond"],
        ),
        caught(
            "ReadsStaleCopies",
            || suite(ReadsStaleCopies::default()),
            &[
                "clause_02_load_returns_exactly_what_was_last_applied",
                "clause_02_load_returns_exactly_what_was_last_applied_as_time_passes",
                "clause_02_both_freshnesses_read_what_this_handle_wrote",
            ],
        ),
        caught(
            "TellsTheNextRecordTwice",
            || suite(TellsTheNextRecordTwice),
            &["clause_02_apply_returns_the_records_before_and_after"],
        ),
        caught(
            "AbsentIsAnError",
            || suite(AbsentIsAnError),
            &["clause_03_an_id_never_used_is_absent_to_every_verb"],
        ),
        caught(
            "ReadsTheExpired",
            || suite(ReadsTheExpired),
            &["clause_03_an_expired_session_reads_absent"],
        ),
        caught(
            "LateSaveRevives",
            || suite(LateSaveRevives),
            &[
                "clause_03_a_destroyed_session_is_not_there_to_any_verb",
                "clause_04_apply_never_inserts",
                "clause_04_a_late_change_does_not_revive_a_destroyed_session",
                "clause_04_a_late_change_does_not_revive_a_revoked_session",
            ],
        ),
        caught(
            "LateSaveRevivesTheExpired",
            || suite(LateSaveRevivesTheExpired),
            &["clause_04_a_late_change_does_not_revive_an_expired_session"],
        ),
        caught(
            "ReadsThenUpserts",
            || suite(ReadsThenUpserts),
            &[
                "clause_04_a_destroyed_session_stays_dead_among_concurrent_changes",
                "clause_04_a_revoked_session_stays_dead_among_concurrent_changes",
            ],
        ),
        caught(
            "ReadsTheClockBeforeTheStep",
            || suite(ReadsTheClockBeforeTheStep),
            &["clause_04_a_change_that_waited_past_the_expiry_revives_nothing"],
        ),
    ]
}

fn whole_seconds(instant: session_core::Timestamp) -> session_core::Timestamp {
    session_core::Timestamp::from_millis(instant.as_millis() / 1000 * 1000)
}

#[derive(Clone, Debug)]
struct Upserting;

#[async_trait]
impl Fault for Upserting {
    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        sound.step(|state, now| {
            if state.ended(id, now).is_some() {
                return Ok(Creation::Exists);
            }
            let (record, _) = new.anonymous(now);
            state.sessions.insert(id, record.clone());
            Ok(Creation::Created(record))
        })
    }
}

#[derive(Clone, Debug)]
struct ChecksThenCreates;

#[async_trait]
impl Fault for ChecksThenCreates {
    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        if sound.step(|state, now| state.is_taken(id, now)) {
            return Ok(Creation::Exists);
        }
        pause().await;
        Upserting.create(sound, id, new).await
    }
}

#[derive(Clone, Debug)]
struct ChecksThenSignsIn;

#[async_trait]
impl Fault for ChecksThenSignsIn {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if sound.step(|state, now| state.is_taken(id, now)) {
            return Ok(Admission::Exists);
        }
        pause().await;
        let lax = SignsInBy {
            checks_id: false,
            ..SOUND
        };
        lax.sign_in(sound, ticket, id, new, limit).await
    }
}

/// Forgets what ended after another time than 60 s.
#[derive(Clone, Debug)]
struct RemembersEndsFor(fn(&Record, &Ended) -> Duration);

impl RemembersEndsFor {
    /// Moves what is kept of an end, so that its 60 s are over when they should not be.
    fn shift(&self, sound: &ReferenceStore, id: SessionId, record: Option<&Record>) {
        sound.step(|state, _| {
            if let (Some(ended), Some(record)) = (state.ended.get_mut(&id), record) {
                let kept = (self.0)(record, ended);
                ended.at = ended.at + kept - session_core::REMEMBERED;
            }
        });
    }
}

#[async_trait]
impl Fault for RemembersEndsFor {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let record = sound.step(|state, now| state.live(id, now));
        let ended = sound.delete(id).await?;
        self.shift(sound, id, record.as_ref().filter(|_| ended));
        Ok(ended)
    }
}

/// Keeps what ended by its shard alone, as a filter that is too coarse would.
#[derive(Clone, Debug, Default)]
struct RemembersEndsByShard(Arc<Mutex<HashMap<Shard, Ended>>>);

#[async_trait]
impl Fault for RemembersEndsByShard {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let ended = sound.delete(id).await?;
        if let Some(kept) = sound.step(|state, now| state.ended(id, now)) {
            self.0.lock().insert(id.shard(), kept);
        }
        Ok(ended)
    }

    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        let loaded = sound.load(id, freshness).await?;
        Ok(match self.0.lock().get(&id.shard()) {
            Some(ended) if matches!(loaded, Loaded::Absent) => Loaded::Ended(ended.clone()),
            _ => loaded,
        })
    }
}

#[derive(Clone, Debug, Default)]
struct ReadsStaleCopies(Arc<Mutex<HashMap<SessionId, Record>>>);

#[async_trait]
impl Fault for ReadsStaleCopies {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        Ok(match sound.load(id, freshness).await? {
            Loaded::Live(record) => Loaded::Live(self.0.lock().entry(id).or_insert(record).clone()),
            other => other,
        })
    }
}

#[derive(Clone, Debug)]
struct TellsTheNextRecordTwice;

#[async_trait]
impl Fault for TellsTheNextRecordTwice {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        Ok(match sound.apply(id, change, seen).await? {
            Application::Applied { record, .. } => Application::Applied {
                previous: record.clone(),
                record,
            },
            other => other,
        })
    }
}

#[derive(Clone, Debug)]
struct AbsentIsAnError;

#[async_trait]
impl Fault for AbsentIsAnError {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        match sound.load(id, freshness).await? {
            Loaded::Absent => Err(StoreError::new("reference", ErrorKind::Corrupt)),
            loaded => Ok(loaded),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ReadsTheExpired;

#[async_trait]
impl Fault for ReadsTheExpired {
    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        match sound.step(|state, _| state.sessions.get(&id).cloned()) {
            Some(record) => Ok(Loaded::Live(record)),
            None => sound.load(id, freshness).await,
        }
    }
}

#[derive(Clone, Debug)]
struct LateSaveRevives;

#[async_trait]
impl Fault for LateSaveRevives {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let is_there = sound.step(|state, _| state.sessions.contains_key(&id));
        let Some(previous) = seen.filter(|_| !is_there).cloned() else {
            return sound.apply(id, change, seen).await;
        };
        sound.step(|state, now| {
            let next = previous.apply(change, now, &sound.facts().bounds);
            if let Ok(record) = &next {
                state.sessions.insert(id, record.clone());
            }
            answer(previous, next)
        })
    }
}

#[derive(Clone, Debug)]
struct LateSaveRevivesTheExpired;

#[async_trait]
impl Fault for LateSaveRevivesTheExpired {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        sound.step(|state, _| {
            let Some(previous) = state.sessions.get(&id).cloned() else {
                return Ok(Application::Absent);
            };
            let next = previous.apply(change, previous.last_seen_at(), &sound.facts().bounds);
            if let Ok(record) = &next {
                state.sessions.insert(id, record.clone());
            }
            answer(previous, next)
        })
    }
}

#[derive(Clone, Debug)]
struct ReadsThenUpserts;

#[async_trait]
impl Fault for ReadsThenUpserts {
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
        if let Ok(record) = &next {
            sound.step(|state, _| state.sessions.insert(id, record.clone()));
        }
        answer(previous, next)
    }
}

#[derive(Clone, Debug)]
struct ReadsTheClockBeforeTheStep;

#[async_trait]
impl Fault for ReadsTheClockBeforeTheStep {
    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        _: Option<&Record>,
    ) -> Result<Application, StoreError> {
        let now = sound.now();
        pause().await;
        sound.step(|state, _| {
            let Some(previous) = state.live(id, now) else {
                return Ok(Application::Absent);
            };
            let next = previous.apply(change, now, &sound.facts().bounds);
            if let Ok(record) = &next {
                state.sessions.insert(id, record.clone());
            }
            answer(previous, next)
        })
    }
}
