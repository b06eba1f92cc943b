//! Clause 6: a change is applied whole or not at all, also when its caller goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Admission, Change, ErrorKind, Freshness, Record, SessionId};
use tokio::task::yield_now;

use crate::case::Case;
use crate::context::{Context, fresh_secret, fresh_subject};
use crate::expect::{ExpectApplication, ExpectLoaded, ExpectRefusal};
use crate::sample::{
    Session, dropped_after, json, json_of, mins, name, new_record, promote, renew, set, sorted,
    together,
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_06_a_change_of_many_parts_is_applied_whole,
        clause_06_a_conflict_changes_nothing,
        clause_06_a_change_too_large_changes_nothing,
        clause_06_nobody_reads_half_a_change,
        clause_06_a_dropped_change_is_applied_whole_or_not_at_all,
        clause_06_a_dropped_create_is_made_whole_or_not_at_all,
        clause_06_a_dropped_sign_in_is_listed_exactly_if_it_lives,
        clause_06_a_dropped_revoke_ends_all_or_none: OneInstant + OneNode,
        clause_06_a_dropped_delete_ends_a_session_wholly_or_not_at_all,
        clause_06_refusals_come_in_their_order,
    ]
}

/// A change with a part of every kind.
fn of_every_part(session: &Session, next: session_core::SecretHash) -> Change {
    set("a", "1")
        .remove(name("gone"))
        .touch()
        .promote(session.secret)
        .shorten(mins(30))
        .settle_predecessor()
        .renew(session_core::Renewal {
            issue: next,
            replaces: session.secret,
            soft: false,
        })
}

/// A signed-in session with an entry and a predecessor, none of whose secrets was presented.
async fn full_session(given: &Context) -> Session {
    let subject = fresh_subject();
    let (id, secret) = (given.id_of(&subject), fresh_secret());
    let new = session_core::NewRecord::new(secret, session_core::Timeouts::default())
        .with_entries([(name("gone"), json("0"))])
        .with_predecessor(Some(given.id_of(&subject)));
    let ticket = given.ticket(&subject).await;
    let admission = given.store().sign_in(&ticket, id, &new, None).await;
    let record = crate::expect::ExpectAdmission::admitted_alone(admission);
    Session { id, secret, record }
}

async fn clause_06_a_change_of_many_parts_is_applied_whole(given: Context) {
    let session = full_session(&given).await;
    let next = fresh_secret();
    let change = of_every_part(&session, next);
    given.change(session.id, change.clone()).await;

    let record = given.load(session.id).await.live();
    let (before, after) = (session.record.header(), record.header());
    assert_eq!(record.entries().collect::<Vec<_>>(), [("a", "1")]);
    assert_eq!(after.revision, change.revision());
    assert!(after.last_seen_at >= before.last_seen_at);
    assert_eq!(after.deadline, after.slots[1].issued_at + mins(30));
    assert_eq!(after.predecessor, None);
    assert!(record.was_presented());
    assert_eq!(after.slots.len(), 2);
    assert_eq!(after.slots[1].hash, next);
    assert_eq!(
        (after.created_at, after.owner),
        (before.created_at, before.owner)
    );
    assert_eq!((after.idle, after.renewal), (before.idle, before.renewal));
}

async fn clause_06_a_conflict_changes_nothing(given: Context) {
    let session = full_session(&given).await;
    let guarded = of_every_part(&session, fresh_secret()).guarded_by(Default::default());
    given
        .store()
        .apply(session.id, &guarded, None)
        .await
        .conflict();
    assert_eq!(given.load(session.id).await.live(), session.record);
    let unknown = Session {
        secret: fresh_secret(),
        ..session.clone()
    };
    let renewal = of_every_part(&unknown, fresh_secret());
    given
        .store()
        .apply(session.id, &renewal, None)
        .await
        .conflict();
    assert_eq!(given.load(session.id).await.live(), session.record);
}

async fn clause_06_a_change_too_large_changes_nothing(given: Context) {
    let session = full_session(&given).await;
    let over = json_of(given.store().facts().bounds.value_bytes + 1);
    let change = of_every_part(&session, fresh_secret()).set(name("over"), over);
    for seen in [None, Some(&session.record)] {
        let refused = given.store().apply(session.id, &change, seen).await;
        refused.refused(ErrorKind::TooLarge);
        assert_eq!(given.load(session.id).await.live(), session.record);
    }
}

/// A change that writes one number under eight names.
fn everywhere(number: usize) -> Change {
    (0..8).fold(Change::new(), |change, at| {
        change.set(name(format!("entry-{at}")), json(number.to_string()))
    })
}

#[track_caller]
fn is_whole(record: &Record) {
    let mut values = record.entries().map(|(_, value)| value);
    let first = values.next();
    assert!(
        values.all(|value| Some(value) == first) && [0, 8].contains(&record.entries().count()),
        "half a change was read: {:?}",
        record.entries().collect::<Vec<_>>()
    );
}

async fn clause_06_nobody_reads_half_a_change(given: Context) {
    let id = given.visitor().await.id;
    let is_over = Arc::new(AtomicBool::new(false));
    let answers = together(6, |task| {
        let (store, is_over) = (given.handle(task), Arc::clone(&is_over));
        async move {
            if task == 0 {
                for round in 0..60 {
                    store.apply(id, &everywhere(round), None).await.applied();
                    if round % 7 == 0 {
                        store
                            .apply(id, &Change::new().clear(), None)
                            .await
                            .applied();
                    }
                }
                is_over.store(true, Ordering::SeqCst);
            }
            while !is_over.load(Ordering::SeqCst) {
                is_whole(&store.load(id, Freshness::Source).await.live());
                yield_now().await;
            }
        }
    });
    answers.await;
}

async fn clause_06_a_dropped_change_is_applied_whole_or_not_at_all(given: Context) {
    let id = given.visitor().await.id;
    for round in 0..60 {
        let change = everywhere(round);
        dropped_after(round % 6, given.store().apply(id, &change, None)).await;
        is_whole(&given.load(id).await.live());
    }
    given.change(id, everywhere(1000)).await;
    is_whole(&given.load(id).await.live());
}

async fn clause_06_a_dropped_create_is_made_whole_or_not_at_all(given: Context) {
    for round in 0..30 {
        let id = crate::context::fresh_id();
        let entries = (0..8).map(|at| (name(format!("entry-{at}")), json("1")));
        let new = new_record().with_entries(entries);
        dropped_after(round % 6, given.store().create(id, &new)).await;
        if let session_core::Loaded::Live(record) = given.load(id).await.unwrap() {
            assert_eq!(record.entries().count(), 8);
            assert_eq!(record.revision(), new.revision());
        }
    }
}

/// Waits for `holds`: what a dropped call had sent may yet arrive, but must arrive whole.
async fn comes_to_hold<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    for _ in 0..40 {
        if holds().await {
            return;
        }
        tokio::time::sleep(crate::sample::millis(50)).await;
    }
    panic!("{what}");
}

async fn clause_06_a_dropped_sign_in_is_listed_exactly_if_it_lives(given: Context) {
    let subject = fresh_subject();
    let mut ids = Vec::new();
    for round in 0..30 {
        let id = given.id_of(&subject);
        ids.push(id);
        let ticket = given.ticket(&subject).await;
        let new = new_record();
        dropped_after(round % 6, given.store().sign_in(&ticket, id, &new, None)).await;
    }
    let (given, ids) = (&given, &ids);
    comes_to_hold("sessions that live and those listed differ", || async {
        given.listed(&subject).await == sorted(live_among(given, ids).await)
    })
    .await;
    let live = live_among(given, ids).await;
    let ended = given.store().revoke(&subject, None).await.unwrap();
    let all_ended = live.iter().all(|id| ended.contains(id));
    assert!(all_ended, "revoking ends what lives");
    assert_eq!(live_among(given, ids).await, []);
}

async fn live_among(given: &Context, ids: &[SessionId]) -> Vec<SessionId> {
    let mut live = Vec::new();
    for id in ids {
        if let session_core::Loaded::Live(_) = given.load(*id).await.unwrap() {
            live.push(*id);
        }
    }
    live
}

async fn clause_06_a_dropped_revoke_ends_all_or_none(given: Context) {
    for round in 0..12 {
        let subject = fresh_subject();
        let ticket = given.ticket(&subject).await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(given.user(&subject).await.id);
        }
        dropped_after(round % 6, given.store().revoke(&subject, None)).await;
        // The fence and the ends are one step: an older ticket is refused exactly if all have ended,
        // and what it made before that ends with them.
        let (id, new) = (given.id_of(&subject), new_record());
        let answer = given.store().sign_in(&ticket, id, &new, None).await;
        if let Admission::Admitted { .. } = answer.unwrap() {
            ids.push(id);
        } else {
            assert_eq!(live_among(&given, &ids).await, []);
        }
        let (given, ids) = (&given, &ids);
        let halved = "a dropped revoke ended some sessions, and not others";
        comes_to_hold(halved, || async {
            let live = live_among(given, ids).await.len();
            (live == 0 || live == ids.len()) && given.listed(&subject).await.len() == live
        })
        .await;
    }
}

async fn clause_06_a_dropped_delete_ends_a_session_wholly_or_not_at_all(given: Context) {
    let subject = fresh_subject();
    let mut ids = Vec::new();
    for round in 0..18 {
        let id = given.user(&subject).await.id;
        ids.push(id);
        dropped_after(round % 6, given.store().delete(id)).await;
    }
    let (given, ids) = (&given, &ids);
    comes_to_hold("sessions that live and those listed differ", || async {
        given.listed(&subject).await == sorted(live_among(given, ids).await)
    })
    .await;
}

async fn clause_06_refusals_come_in_their_order(given: Context) {
    let session = full_session(&given).await;
    let store = given.store();
    let over = json_of(store.facts().bounds.value_bytes + 1);
    let large = Change::new().set(name("over"), over.clone());
    let absent = crate::context::fresh_id();
    store
        .apply(absent, &large.clone().guarded_by(Default::default()), None)
        .await
        .absent();
    let guarded = large.guarded_by(Default::default());
    store.apply(session.id, &guarded, None).await.conflict();

    let large = new_record().with_entries([(name("over"), over)]);
    crate::expect::ExpectCreation::exists(store.create(session.id, &large).await);
    let renewal = renew(session.secret, fresh_secret());
    store.apply(absent, &renewal, None).await.absent();
    store
        .apply(absent, &promote(session.secret), None)
        .await
        .absent();
}
