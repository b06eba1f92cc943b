//! Clause 5: changes never lose each other.

use std::collections::{BTreeMap, HashMap};

use session_core::{
    Application, Change, Freshness, Record, Revision, SecretHash, SessionId, SharedStore,
};
use tokio::task::yield_now;

use crate::case::Case;
use crate::context::{Context, fresh_secret};
use crate::expect::{ExpectApplication, ExpectLoaded};
use crate::sample::{Session, json, name, renew, set, together, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_05_changes_from_one_seen_copy_are_both_kept,
        clause_05_concurrent_changes_to_different_entries_are_all_kept,
        clause_05_concurrent_removals_and_insertions_are_all_kept,
        clause_05_concurrent_changes_follow_one_another_in_one_order: OneNode,
        clause_05_of_one_entry_the_last_change_wins,
        clause_05_a_change_clears_then_removes_then_sets,
        clause_05_a_guarded_change_applies_to_its_revision_only,
        clause_05_a_guard_is_judged_on_a_fresh_copy,
        clause_05_of_concurrent_guarded_changes_exactly_one_is_applied: OneNode,
        clause_05_of_guarded_changes_among_others_at_most_one_is_applied: OneNode,
        clause_05_a_hundred_guarded_increments_make_a_hundred: OneNode,
    ]
}

async fn clause_05_changes_from_one_seen_copy_are_both_kept(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let seen = Some(&record);
    for (entry, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
        given
            .store()
            .apply(id, &set(entry, value), seen)
            .await
            .applied();
    }
    let removal = Change::new().remove(name("b"));
    given.store().apply(id, &removal, seen).await.applied();
    let record = given.load(id).await.live();
    assert_eq!(
        record.entries().collect::<Vec<_>>(),
        [("a", "1"), ("c", "3")]
    );
}

async fn clause_05_concurrent_changes_to_different_entries_are_all_kept(given: Context) {
    for _ in 0..4 {
        let Session { id, record, .. } = given.visitor().await;
        let answers = together(24, |task| {
            let (store, seen) = (given.handle(task), record.clone());
            async move {
                for round in 0..8 {
                    let change = set(format!("{task}-{round}"), round.to_string());
                    let seen = (round % 2 == 0).then_some(&seen);
                    store.apply(id, &change, seen).await.applied();
                }
            }
        });
        answers.await;
        let record = given.load(id).await.live();
        for (task, round) in (0..24).flat_map(|task| (0..8).map(move |round| (task, round))) {
            let value = round.to_string();
            let entry = format!("{task}-{round}");
            assert_eq!(record.get(&entry), Some(&*value), "{entry} was lost");
        }
    }
}

async fn clause_05_concurrent_removals_and_insertions_are_all_kept(given: Context) {
    for _ in 0..8 {
        let id = given.visitor().await.id;
        let all = (0..16).fold(Change::new(), |change, task| {
            change.set(name(format!("old-{task}")), json("true"))
        });
        given.change(id, all).await;
        let answers = together(16, |task| {
            let store = given.handle(task);
            async move {
                let removal = Change::new().remove(name(format!("old-{task}")));
                store.apply(id, &removal, None).await.applied();
                let insertion = set(format!("new-{task}"), "true");
                store.apply(id, &insertion, None).await.applied();
            }
        });
        answers.await;
        let record = given.load(id).await.live();
        assert_eq!(record.entries().count(), 16);
        assert!(record.entries().all(|(name, _)| name.starts_with("new-")));
    }
}

/// A change that was applied, and the records before and after it.
type Step = (Change, Record, Record);

/// Follows the applied changes from `first`: each must have been applied, whole, to the record that
/// another one left. Gives the last record.
fn follow(first: &Record, steps: Vec<Step>) -> Record {
    let count = steps.len();
    let mut by_previous: HashMap<Revision, Step> = HashMap::new();
    for step in steps {
        let twice = by_previous.insert(step.1.revision(), step);
        assert!(twice.is_none(), "two changes were applied to one record");
    }
    let mut last = first.clone();
    for _ in 0..count {
        let (change, previous, record) = by_previous
            .remove(&last.revision())
            .expect("every change was applied to the record that another one left");
        assert_eq!(previous, last, "the record that a change was applied to");
        let entries: BTreeMap<_, _> = record.entries().collect();
        assert_eq!(entries, edited(&previous, &change));
        last = record;
    }
    last
}

/// The entries after a change that clears nothing, in the plainest way.
fn edited<'a>(record: &'a Record, change: &'a Change) -> BTreeMap<&'a str, &'a str> {
    let mut entries: BTreeMap<_, _> = record.entries().collect();
    for (name, value) in change.edits() {
        match value {
            Some(value) => entries.insert(name.as_str(), value.as_str()),
            None => entries.remove(name.as_str()),
        };
    }
    entries
}

async fn clause_05_concurrent_changes_follow_one_another_in_one_order(given: Context) {
    for _ in 0..8 {
        let Session { id, record, secret } = given.visitor().await;
        let steps = together(12, |task| {
            let (store, seen) = (given.handle(task), record.clone());
            async move {
                let mut steps = Vec::new();
                for round in 0..8 {
                    let change = a_change(task * 8 + round, secret);
                    let seen = (round % 2 == 0).then_some(&seen);
                    let (previous, record) = store.apply(id, &change, seen).await.step();
                    steps.push((change, previous, record));
                }
                steps
            }
        });
        let steps = steps.await.into_iter().flatten().collect();
        let last = follow(&record, steps);
        assert_eq!(given.load(id).await.live(), last);
    }
}

fn a_change(number: usize, secret: SecretHash) -> Change {
    let change = set("number", number.to_string());
    match number % 5 {
        0 => change.touch(),
        1 => Change::new().remove(name("number")),
        2 => renew(secret, fresh_secret()),
        3 => change.set(name(format!("n{}", number % 3)), json("0")),
        _ => change,
    }
}

async fn clause_05_of_one_entry_the_last_change_wins(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    for value in 0..10 {
        let seen = (value % 2 == 0).then_some(&record);
        let change = set("a", value.to_string());
        given.store().apply(id, &change, seen).await.applied();
        assert_eq!(
            given.load(id).await.live().get("a"),
            Some(&*value.to_string())
        );
    }
}

async fn clause_05_a_change_clears_then_removes_then_sets(given: Context) {
    let id = given.visitor().await.id;
    let first = set("a", "1")
        .set(name("b"), json("2"))
        .set(name("session:csrf"), json("3"));
    given.change(id, first).await;

    let change = Change::new()
        .clear()
        .set(name("c"), json("4"))
        .remove(name("none"));
    let record = given.change(id, change).await;
    let entries: Vec<_> = record.entries().collect();
    assert_eq!(entries, [("c", "4"), ("session:csrf", "3")]);

    let change = set("gone", "5")
        .remove(name("gone"))
        .remove(name("c"))
        .set(name("c"), json("6"));
    given.change(id, change).await;
    let change = set("forgotten", "7")
        .clear()
        .set(name("session:csrf"), json("8"));
    let record = given.change(id, change).await;
    assert_eq!(
        record.entries().collect::<Vec<_>>(),
        [("session:csrf", "8")]
    );

    let removal = Change::new().remove(name("session:csrf"));
    given.change(id, removal).await;
    assert_eq!(given.load(id).await.live().entries().count(), 0);
}

async fn clause_05_a_guarded_change_applies_to_its_revision_only(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let change = set("a", "1").guarded_by(record.revision());
    let second = given.change(id, change).await;
    assert_ne!(second.revision(), record.revision());
    for wrong in [record.revision(), Revision::random(), Revision::from_u64(0)] {
        for change in [set("b", "2"), touch(), Change::new().clear()] {
            let change = change.touch().guarded_by(wrong);
            given.store().apply(id, &change, None).await.conflict();
            assert_eq!(given.load(id).await.live(), second);
        }
    }
    let change = set("b", "2").guarded_by(second.revision());
    let third = given.change(id, change).await;
    assert_eq!(
        third.entries().collect::<Vec<_>>(),
        [("a", "1"), ("b", "2")]
    );
}

async fn clause_05_a_guard_is_judged_on_a_fresh_copy(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let second = given.change(id, set("a", "1")).await;
    let late = set("a", "2").guarded_by(record.revision());
    given
        .store()
        .apply(id, &late, Some(&record))
        .await
        .conflict();
    assert_eq!(given.load(id).await.live(), second);
    let in_time = set("a", "3").guarded_by(second.revision());
    given
        .store()
        .apply(id, &in_time, Some(&record))
        .await
        .applied();
    assert_eq!(given.load(id).await.live().get("a"), Some("3"));
}

async fn clause_05_of_concurrent_guarded_changes_exactly_one_is_applied(given: Context) {
    for _ in 0..16 {
        let Session { id, record, .. } = given.visitor().await;
        let applied = together(24, |task| {
            let (store, seen) = (given.handle(task), record.clone());
            async move {
                let change = set("winner", task.to_string()).guarded_by(seen.revision());
                match store.apply(id, &change, Some(&seen)).await.unwrap() {
                    Application::Applied { record, .. } => Some(record),
                    Application::Conflict => None,
                    Application::Absent => panic!("the session lives"),
                }
            }
        });
        let applied: Vec<_> = applied.await.into_iter().flatten().collect();
        assert_eq!(applied.len(), 1, "exactly one guarded change is applied");
        assert_eq!(given.load(id).await.live(), applied[0]);
    }
}

async fn clause_05_of_guarded_changes_among_others_at_most_one_is_applied(given: Context) {
    for _ in 0..16 {
        let Session { id, record, .. } = given.visitor().await;
        let applied = together(16, |task| {
            let (store, revision) = (given.handle(task), record.revision());
            async move {
                if task % 4 == 3 {
                    let change = set(format!("other-{task}"), "1");
                    store.apply(id, &change, None).await.applied();
                    return false;
                }
                let change = set("winner", task.to_string()).guarded_by(revision);
                let answer = store.apply(id, &change, None).await.unwrap();
                matches!(answer, Application::Applied { .. })
            }
        });
        let applied = applied.await.into_iter().filter(|applied| *applied).count();
        let record = given.load(id).await.live();
        assert!(
            applied <= 1,
            "{applied} changes guarded by one revision were applied"
        );
        assert_eq!(record.get("winner").is_some(), applied == 1);
        assert_eq!(record.entries().count(), 4 + applied);
    }
}

async fn clause_05_a_hundred_guarded_increments_make_a_hundred(given: Context) {
    let id = given.visitor().await.id;
    let tries = together(10, |task| {
        let store = given.handle(task);
        async move {
            for _ in 0..10 {
                while !increment(&store, id).await {
                    yield_now().await;
                }
            }
        }
    });
    tries.await;
    assert_eq!(given.load(id).await.live().get("count"), Some("100"));
}

async fn increment(store: &SharedStore, id: SessionId) -> bool {
    let seen = store.load(id, Freshness::Source).await.live();
    let count = seen
        .get("count")
        .map_or(0, |count| count.parse::<u32>().unwrap());
    let change = set("count", (count + 1).to_string()).guarded_by(seen.revision());
    yield_now().await;
    match store.apply(id, &change, Some(&seen)).await.unwrap() {
        Application::Applied { .. } => true,
        Application::Conflict => false,
        Application::Absent => panic!("the session lives"),
    }
}
