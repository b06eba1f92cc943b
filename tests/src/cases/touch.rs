//! Clause 7: a touch is monotone, and changes nothing else.

use session_core::{Freshness, Record, Timeouts};

use crate::case::Case;
use crate::context::Context;
use crate::expect::{ExpectApplication, ExpectLoaded};
use crate::sample::{Session, json, millis, mins, name, secs, set, together, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_07_a_touch_moves_the_last_use_and_nothing_else: Clock,
        clause_07_a_touch_keeps_the_revision,
        clause_07_a_touch_never_moves_back: Clock,
        clause_07_a_touch_never_passes_the_absolute_deadline: Clock,
        clause_07_a_touch_keeps_a_session_alive: Clock,
        clause_07_a_touch_from_a_stale_copy_rewrites_nothing,
        clause_07_concurrent_touches_lose_no_change,
        clause_07_an_edit_moves_the_last_use_only_if_it_touches: Clock,
    ]
}

/// `record` as it would be with another last use.
fn last_seen(record: &Record, at: session_core::Timestamp) -> Record {
    let mut header = record.header();
    header.last_seen_at = at;
    Record::from_parts(&header, record.entries_block()).unwrap()
}

async fn clause_07_a_touch_moves_the_last_use_and_nothing_else(given: Context) {
    let (_, user) = given.some_user().await;
    for session in [user, given.visitor().await] {
        let entries = set("a", "1.0").set(name("b"), json("\"\\u0000\""));
        let before = given.change(session.id, entries).await;
        for wait in [1, 999, 60_000] {
            given.advance(millis(wait));
            given.change(session.id, touch()).await;
            let after = given.load(session.id).await.live();
            assert_eq!(after.last_seen_at(), given.now());
            assert_eq!(after, last_seen(&before, given.now()));
        }
    }
}

async fn clause_07_a_touch_keeps_the_revision(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let touched = given.change(id, touch()).await;
    assert_eq!(touched.revision(), record.revision());
    assert_eq!(given.load(id).await.live().revision(), record.revision());
    let guarded = set("a", "1").guarded_by(record.revision());
    given
        .store()
        .apply(id, &guarded, Some(&record))
        .await
        .applied();
    let guarded_touch = touch().guarded_by(record.revision());
    given
        .store()
        .apply(id, &guarded_touch, None)
        .await
        .conflict();
}

/// SECURITY 32
async fn clause_07_a_touch_never_moves_back(given: Context) {
    let id = given.visitor().await.id;
    given.advance(mins(2));
    let seen = given.now();
    given.change(id, touch()).await;
    given.clock().set(seen - mins(1));
    for change in [touch(), set("a", "1").touch()] {
        let record = given.change(id, change).await;
        assert_eq!(
            record.last_seen_at(),
            seen,
            "an older use moved the last one back"
        );
        assert_eq!(given.load(id).await.live(), record);
    }
    given.clock().set(seen);
}

async fn clause_07_a_touch_never_passes_the_absolute_deadline(given: Context) {
    let timeouts = Timeouts::new(mins(60)).with_idle(mins(30));
    let session = given.visitor_for(timeouts).await;
    let deadline = session.record.deadline();
    for _ in 0..5 {
        given.advance(mins(11));
        given.change(session.id, touch()).await;
    }
    given.advance(mins(5) - millis(1));
    let record = given.change(session.id, touch()).await;
    assert_eq!(record.deadline(), deadline);
    assert_eq!(record.expires_at(), deadline);
    given.load(session.id).await.live();
    given.advance(millis(1));
    given.load(session.id).await.absent();
    given
        .store()
        .apply(session.id, &touch(), None)
        .await
        .absent();
}

async fn clause_07_a_touch_keeps_a_session_alive(given: Context) {
    let timeouts = Timeouts::new(mins(600)).with_idle(secs(60));
    let id = given.visitor_for(timeouts).await.id;
    for _ in 0..20 {
        given.advance(secs(60) - millis(1));
        given.change(id, touch()).await;
    }
    given.advance(secs(60) - millis(1));
    given.load(id).await.live();
    given.advance(millis(1));
    given.load(id).await.absent();
}

async fn clause_07_a_touch_from_a_stale_copy_rewrites_nothing(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let edited = given.change(id, set("a", "1")).await;
    let touched = given
        .store()
        .apply(id, &touch(), Some(&record))
        .await
        .applied();
    assert_eq!(touched, last_seen(&edited, touched.last_seen_at()));
    assert_eq!(given.load(id).await.live(), touched);
}

async fn clause_07_concurrent_touches_lose_no_change(given: Context) {
    for _ in 0..6 {
        let Session { id, record, .. } = given.visitor().await;
        let answers = together(12, |task| {
            let (store, seen) = (given.handle(task), record.clone());
            async move {
                for round in 0..8 {
                    if task % 2 == 0 {
                        store.apply(id, &touch(), Some(&seen)).await.applied();
                    } else {
                        let change = set(format!("{task}-{round}"), "1");
                        store.apply(id, &change, None).await.applied();
                    }
                }
            }
        });
        answers.await;
        let record = given.store().load(id, Freshness::Source).await.live();
        assert_eq!(record.entries().count(), 6 * 8, "a touch undid a change");
    }
}

async fn clause_07_an_edit_moves_the_last_use_only_if_it_touches(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    given.advance(secs(5));
    let edited = given.change(id, set("a", "1")).await;
    assert_eq!(edited.last_seen_at(), record.last_seen_at());
    let touched = given.change(id, set("a", "2").touch()).await;
    assert_eq!(touched.last_seen_at(), given.now());
    assert_eq!(given.load(id).await.live(), touched);
}
