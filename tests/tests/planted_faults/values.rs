//! Faults in what is kept of names and values, and in bounds: clause 14.

use async_trait::async_trait;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Bounds, Change, EntryName, JsonText, Record, Refusal, SessionId, SessionStore, Size,
    StoreError, StoreFacts, Subject, TooLarge,
};

use crate::fault::{AppliesBy, Fault, ReadsAs, Step, suite, with_edits};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "Jsonb",
            || suite(ReadsAs(|record| map_values(&record, number_by_value))),
            &["clause_14_every_json_text_comes_back_byte_for_byte"],
        ),
        caught(
            "TrimsValues",
            || {
                suite(ReadsAs(|record| {
                    map_values(&record, |text| text.trim().to_owned())
                }))
            },
            &["clause_14_every_json_text_comes_back_byte_for_byte"],
        ),
        caught(
            "CutsLongNames",
            || {
                suite(AppliesBy(|step| {
                    renames(step, |name| name.chars().take(64).collect())
                }))
            },
            &["clause_14_every_name_comes_back_byte_for_byte"],
        ),
        caught(
            "FoldsTheCaseOfNames",
            || suite(AppliesBy(|step| renames(step, str::to_lowercase))),
            &["clause_14_names_that_look_alike_are_different"],
        ),
        caught(
            "FoldsTheCaseOfSubjects",
            || suite(FoldsTheCaseOfSubjects),
            &["clause_14_every_subject_is_kept_apart"],
        ),
        caught(
            "SmallValuesOnly",
            || suite(Bounded::to(1 << 16, 1 << 18)),
            &[
                "clause_14_a_value_of_1_mib_is_legal",
                "clause_14_a_session_of_4_mib_is_legal",
                "clause_14_a_session_at_the_stated_bounds_is_legal",
            ],
        ),
        caught(
            "CountsNoBytes",
            || suite(AppliesBy(counts_nothing)),
            &[
                "clause_06_a_change_too_large_changes_nothing",
                "clause_14_a_value_over_the_bound_changes_nothing",
                "clause_14_a_session_over_the_bound_changes_nothing",
                "clause_14_one_entry_too_many_changes_nothing",
            ],
        ),
        caught(
            "CountsWhatIsRemoved",
            || suite(AppliesBy(counts_what_is_removed)),
            &["clause_14_what_a_change_removes_makes_room_for_what_it_sets"],
        ),
    ]
}

fn map_values(record: &Record, map: impl Fn(&str) -> String) -> Record {
    let edits = record
        .entries()
        .fold(Change::new(), |edits, (name, value)| {
            match (EntryName::new(name), JsonText::parse(map(value))) {
                (Ok(name), Ok(value)) => edits.set(name, value),
                _ => edits,
            }
        });
    with_edits(record, &edits)
}

fn number_by_value(text: &str) -> String {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map_or_else(|| text.to_owned(), |number| number.to_string())
}

fn renames(step: &Step<'_>, rename: impl Fn(&str) -> String) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let edits = step.change.edits().iter();
    let renamed = edits.fold(Change::new(), |renamed, (name, value)| {
        let Ok(other) = EntryName::new(rename(name.as_str())) else {
            return renamed;
        };
        match value {
            Some(value) => renamed.remove(name.clone()).set(other, value.clone()),
            None => renamed.remove(other),
        }
    });
    Ok(with_edits(&next, &renamed))
}

fn counts_nothing(step: &Step<'_>) -> Result<Record, Refusal> {
    let bounds = Bounds {
        value_bytes: usize::MAX,
        session_bytes: usize::MAX,
        entries: usize::MAX,
    };
    step.previous.apply(step.change, step.now, &bounds)
}

fn counts_what_is_removed(step: &Step<'_>) -> Result<Record, Refusal> {
    let bytes = |(name, value): (&str, &str)| name.len() + value.len();
    let before: usize = step.previous.entries().map(bytes).sum();
    let sets = step.change.edits().iter();
    let added: usize = sets
        .filter_map(|(name, value)| Some(bytes((name.as_str(), value.as_ref()?.as_str()))))
        .sum();
    if added > 0 && before + added > step.bounds.session_bytes {
        return Err(Refusal::TooLarge(TooLarge {
            what: Size::Session,
            len: before + added,
            max: step.bounds.session_bytes,
        }));
    }
    step.soundly()
}

/// Lists by subjects without regard to case, as a database's collation may.
#[derive(Clone, Debug)]
struct FoldsTheCaseOfSubjects;

#[async_trait]
impl Fault for FoldsTheCaseOfSubjects {
    async fn sessions_of(
        &self,
        sound: &ReferenceStore,
        subject: &Subject,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let folded = subject.as_str().to_lowercase();
        let is_theirs =
            |record: &Record| record.subject().map(str::to_lowercase).as_ref() == Some(&folded);
        Ok(sound.step(|state, now| {
            let live = state
                .sessions
                .iter()
                .filter(|(_, record)| record.is_live(now));
            live.filter(|(_, record)| is_theirs(record))
                .map(|(id, record)| (*id, record.clone()))
                .collect()
        }))
    }
}

/// States, and keeps to, bounds below what is legal everywhere.
#[derive(Clone, Debug)]
struct Bounded(StoreFacts);

impl Bounded {
    fn to(value_bytes: usize, session_bytes: usize) -> Self {
        let mut facts = StoreFacts::new("reference");
        facts.bounds.value_bytes = value_bytes;
        facts.bounds.session_bytes = session_bytes;
        Self(facts)
    }
}

#[async_trait]
impl Fault for Bounded {
    fn facts<'a>(&'a self, _: &'a ReferenceStore) -> &'a StoreFacts {
        &self.0
    }

    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &session_core::NewRecord,
    ) -> Result<session_core::Creation, StoreError> {
        new.check(&self.0.bounds)
            .map_err(|reason| StoreError::too_large("reference", reason))?;
        sound.create(id, new).await
    }

    async fn apply(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<session_core::Application, StoreError> {
        let before = sound.step(|state, now| (state.live(id, now), now));
        if let (Some(record), now) = before
            && let Err(Refusal::TooLarge(reason)) = record.apply(change, now, &self.0.bounds)
        {
            return Err(StoreError::too_large("reference", reason));
        }
        sound.apply(id, change, seen).await
    }
}
