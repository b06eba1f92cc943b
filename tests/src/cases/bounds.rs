//! Clause 14: sizes that are legal everywhere, and bounds.

use std::num::NonZeroUsize;

use session_core::{Change, EntryName, ErrorKind, JsonText, LimitPolicy, SignInLimit};

use crate::case::Case;
use crate::context::{Context, fresh_id};
use crate::expect::{
    ExpectAdmission, ExpectApplication, ExpectCreation, ExpectLoaded, ExpectRefusal,
};
use crate::sample::{Session, json, json_of, name, new_record, set};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_14_a_value_of_1_mib_is_legal,
        clause_14_a_session_of_4_mib_is_legal,
        clause_14_a_session_at_the_stated_bounds_is_legal,
        clause_14_a_value_over_the_bound_changes_nothing,
        clause_14_a_session_over_the_bound_changes_nothing,
        clause_14_one_entry_too_many_changes_nothing,
        clause_14_a_sign_in_too_large_ends_nothing,
        clause_14_what_a_change_removes_makes_room_for_what_it_sets,
    ]
}

async fn clause_14_a_value_of_1_mib_is_legal(given: Context) {
    let id = given.visitor().await.id;
    let value = json_of(1 << 20);
    given
        .change(id, Change::new().set(name("a"), value.clone()))
        .await;
    let record = given.load(id).await.live();
    assert!(
        record.get("a") == Some(value.as_str()),
        "1 MiB came back otherwise"
    );
}

fn entries_of(session_bytes: usize, value_bytes: usize) -> Vec<(EntryName, JsonText)> {
    let mut entries = Vec::new();
    let mut left = session_bytes;
    while left > 0 {
        let entry = name(format!("{:04}", entries.len()));
        let mut value = value_bytes.min(left - 4);
        if (1..8).contains(&(left - 4 - value)) {
            value -= 8;
        }
        left -= 4 + value;
        entries.push((entry, json_of(value)));
    }
    entries
}

async fn is_legal(given: &Context, session_bytes: usize, value_bytes: usize) {
    let entries = entries_of(session_bytes, value_bytes);
    let total: usize = entries
        .iter()
        .map(|(name, value)| name.as_str().len() + value.as_str().len())
        .sum();
    assert_eq!(total, session_bytes);
    let created = fresh_id();
    let new = new_record().with_entries(entries.clone());
    given.store().create(created, &new).await.created();
    let applied = given.visitor().await.id;
    for (entry, value) in entries.clone() {
        given.change(applied, Change::new().set(entry, value)).await;
    }
    for id in [created, applied] {
        let record = given.load(id).await.live();
        let came_back = record.entries().eq(entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())));
        assert!(came_back, "{session_bytes} bytes came back otherwise");
        assert!(given.store().delete(id).await.unwrap());
    }
}

async fn clause_14_a_session_of_4_mib_is_legal(given: Context) {
    is_legal(&given, 4 << 20, 1 << 20).await;
}

async fn clause_14_a_session_at_the_stated_bounds_is_legal(given: Context) {
    let bounds = given.store().facts().bounds;
    assert!(
        bounds.value_bytes >= 1 << 20,
        "a value of 1 MiB is legal everywhere"
    );
    assert!(
        bounds.session_bytes >= 4 << 20,
        "a session of 4 MiB is legal everywhere"
    );
    is_legal(&given, bounds.session_bytes, bounds.value_bytes).await;
}

async fn is_too_large(given: &Context, full: &Session, change: Change) {
    for seen in [None, Some(&full.record)] {
        let refused = given.store().apply(full.id, &change, seen).await;
        refused.refused(ErrorKind::TooLarge);
        assert!(
            given.load(full.id).await.live() == full.record,
            "something changed"
        );
    }
}

async fn with_entries(given: &Context, entries: Vec<(EntryName, JsonText)>) -> Session {
    let session = given.visitor().await;
    let change = entries
        .into_iter()
        .fold(Change::new(), |change, (entry, value)| {
            change.set(entry, value)
        });
    let record = given.change(session.id, change).await;
    Session { record, ..session }
}

/// SECURITY 43
async fn clause_14_a_value_over_the_bound_changes_nothing(given: Context) {
    let over = json_of(given.store().facts().bounds.value_bytes + 1);
    let session = with_entries(&given, vec![(name("a"), json("1"))]).await;
    for entry in ["a", "b"] {
        let change = set("c", "2").set(name(entry), over.clone()).touch();
        is_too_large(&given, &session, change).await;
    }
    let id = fresh_id();
    let new = new_record().with_entries([(name("a"), over)]);
    given
        .store()
        .create(id, &new)
        .await
        .refused(ErrorKind::TooLarge);
    given.load(id).await.absent();
    given.store().create(id, &new_record()).await.created();
}

/// SECURITY 43
async fn clause_14_a_session_over_the_bound_changes_nothing(given: Context) {
    let bounds = given.store().facts().bounds;
    let full = with_entries(&given, entries_of(bounds.session_bytes, bounds.value_bytes)).await;
    is_too_large(&given, &full, set("x", "1")).await;
    let change = Change::new()
        .remove(name("0000"))
        .set(name("longer-name"), json_of(1 << 20));
    if bounds.value_bytes == 1 << 20 {
        is_too_large(&given, &full, change).await;
    }
    let mut entries = entries_of(bounds.session_bytes, bounds.value_bytes);
    entries.push((name("x"), json("1")));
    let (id, new) = (fresh_id(), new_record().with_entries(entries));
    given
        .store()
        .create(id, &new)
        .await
        .refused(ErrorKind::TooLarge);
    given.load(id).await.absent();
}

fn many(count: usize) -> Vec<(EntryName, JsonText)> {
    (0..count)
        .map(|at| (name(format!("n{at}")), json("0")))
        .collect()
}

/// SECURITY 43
async fn clause_14_one_entry_too_many_changes_nothing(given: Context) {
    let max = given.store().facts().bounds.entries;
    let full = with_entries(&given, many(max)).await;
    is_too_large(&given, &full, set("x", "1")).await;
    given.change(full.id, set("n0", "1")).await;
    let (id, new) = (fresh_id(), new_record().with_entries(many(max + 1)));
    given
        .store()
        .create(id, &new)
        .await
        .refused(ErrorKind::TooLarge);
    given.load(id).await.absent();
}

async fn clause_14_a_sign_in_too_large_ends_nothing(given: Context) {
    let (subject, user) = given.some_user().await;
    let over = json_of(given.store().facts().bounds.value_bytes + 1);
    let new = new_record().with_entries([(name("a"), over)]);
    let limit = SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let (ticket, id) = (given.ticket(&subject).await, given.id_of(&subject));
    let refused = given.store().sign_in(&ticket, id, &new, Some(limit)).await;
    refused.refused(ErrorKind::TooLarge);
    given.load(id).await.absent();
    assert_eq!(given.load(user.id).await.live(), user.record);
    assert_eq!(given.listed(&subject).await, [user.id]);
    let again = given
        .store()
        .sign_in(&ticket, id, &new_record(), Some(limit))
        .await;
    assert_eq!(again.admitted().1, [user.id]);
}

async fn clause_14_what_a_change_removes_makes_room_for_what_it_sets(given: Context) {
    let bounds = given.store().facts().bounds;
    let entries = entries_of(bounds.session_bytes, bounds.value_bytes);
    let full = with_entries(&given, entries).await;
    let change = Change::new().remove(name("0000")).set(name("x"), json("1"));
    given.store().apply(full.id, &change, None).await.applied();
    let change = Change::new().clear().set(name("y"), json_of(1 << 20));
    let record = given.store().apply(full.id, &change, None).await.applied();
    assert_eq!(record.entries().count(), 1);
}
