//! Clause 4: the dead stay dead, whatever arrives late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Application, Change, Freshness, Loaded, SharedStore, Timeouts};
use tokio::task::yield_now;

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret};
use crate::expect::{ExpectApplication, ExpectLoaded};
use crate::sample::{Session, millis, mins, promote, renew, set, together, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_04_apply_never_inserts,
        clause_04_a_late_change_does_not_revive_a_destroyed_session,
        clause_04_a_late_change_does_not_revive_a_revoked_session,
        clause_04_a_late_change_does_not_revive_an_expired_session: Clock,
        clause_04_a_destroyed_session_stays_dead_among_concurrent_changes,
        clause_04_a_revoked_session_stays_dead_among_concurrent_changes,
        clause_04_a_change_that_waited_past_the_expiry_revives_nothing: InjectedClock,
    ]
}

fn every_kind(session: &Session) -> Vec<Change> {
    let Session { secret, record, .. } = session;
    vec![
        set("late", "1"),
        touch(),
        set("late", "1").touch(),
        promote(*secret),
        renew(*secret, fresh_secret()),
        Change::new().clear(),
        Change::new().shorten(mins(5)),
        Change::new().settle_predecessor(),
        set("late", "1").guarded_by(record.revision()),
    ]
}

async fn clause_04_apply_never_inserts(given: Context) {
    let session = given.visitor().await;
    for change in every_kind(&session) {
        let id = fresh_id();
        for seen in [None, Some(&session.record)] {
            given.store().apply(id, &change, seen).await.absent();
            given.load(id).await.absent();
        }
    }
}

async fn stays_dead(given: &Context, session: &Session) {
    for change in every_kind(session) {
        for seen in [None, Some(&session.record)] {
            let late = given.store().apply(session.id, &change, seen).await;
            late.absent();
            given.load(session.id).await.dead();
        }
    }
}

/// SECURITY 24
async fn clause_04_a_late_change_does_not_revive_a_destroyed_session(given: Context) {
    let (subject, user) = given.some_user().await;
    for session in [user, given.visitor().await] {
        assert!(given.store().delete(session.id).await.unwrap());
        stays_dead(&given, &session).await;
    }
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_04_a_late_change_does_not_revive_a_revoked_session(given: Context) {
    let (subject, user) = given.some_user().await;
    given.store().revoke(&subject, None).await.unwrap();
    stays_dead(&given, &user).await;
    assert_eq!(given.listed(&subject).await, []);
}

/// SECURITY 24
async fn clause_04_a_late_change_does_not_revive_an_expired_session(given: Context) {
    let idle = given
        .visitor_for(Timeouts::new(mins(60)).with_idle(mins(5)))
        .await;
    let absolute = given
        .visitor_for(Timeouts::new(mins(5)).without_idle())
        .await;
    given.advance(mins(5));
    stays_dead(&given, &idle).await;
    stays_dead(&given, &absolute).await;
}

/// Applies changes of every kind for as long as the session lives; a change that began after
/// `is_over` was set must find it dead.
async fn keep_changing(store: SharedStore, session: Session, is_over: Arc<AtomicBool>) {
    for round in 0.. {
        let was_over = is_over.load(Ordering::SeqCst);
        let changes = every_kind(&session);
        let change = &changes[round % changes.len()];
        let seen = (round % 2 == 0).then_some(&session.record);
        match store.apply(session.id, change, seen).await.unwrap() {
            Application::Absent => return,
            Application::Applied { .. } | Application::Conflict => {
                assert!(!was_over, "a change was applied after the session's end");
            }
        }
        yield_now().await;
    }
}

async fn stays_dead_in_a_race<F>(given: &Context, session: Session, end: impl Fn(SharedStore) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let id = session.id;
    let is_over = Arc::new(AtomicBool::new(false));
    let answers = together(7, |index| {
        let store = given.handle(index);
        let end = (index == 6).then(|| end(Arc::clone(&store)));
        let (session, is_over) = (session.clone(), Arc::clone(&is_over));
        async move {
            match end {
                Some(end) => {
                    for _ in 0..6 {
                        yield_now().await;
                    }
                    end.await;
                    is_over.store(true, Ordering::SeqCst);
                }
                None => keep_changing(store, session, is_over).await,
            }
        }
    });
    answers.await;
    given.load(id).await.dead();
}

/// SECURITY 24
async fn clause_04_a_destroyed_session_stays_dead_among_concurrent_changes(given: Context) {
    for _ in 0..30 {
        let session = given.visitor().await;
        let id = session.id;
        stays_dead_in_a_race(&given, session, |store| async move {
            assert!(store.delete(id).await.unwrap());
        })
        .await;
    }
}

async fn clause_04_a_revoked_session_stays_dead_among_concurrent_changes(given: Context) {
    for _ in 0..30 {
        let (subject, session) = given.some_user().await;
        let (id, revoked) = (session.id, subject.clone());
        stays_dead_in_a_race(&given, session, |store| {
            let subject = revoked.clone();
            async move {
                assert_eq!(store.revoke(&subject, None).await.unwrap(), [id]);
            }
        })
        .await;
        assert_eq!(given.listed(&subject).await, []);
    }
}

async fn clause_04_a_change_that_waited_past_the_expiry_revives_nothing(given: Context) {
    let timeouts = Timeouts::new(mins(60)).with_idle(millis(10));
    // One touch or two, and the clock, each after so many turns: one of them comes in between.
    for round in 0..600 {
        let id = given.visitor_for(timeouts).await.id;
        given.advance(millis(9));
        let was_dead = together(2 + round % 2, |index| {
            let (store, clock) = (given.handle(index), given.clock().clone());
            async move {
                let turns = if index == 0 {
                    round / 2 % 4
                } else {
                    round / 8 % 3
                };
                for _ in 0..turns {
                    yield_now().await;
                }
                if index > 0 {
                    store.apply(id, &touch(), None).await.unwrap();
                    return false;
                }
                clock.advance(millis(1));
                let loaded = store.load(id, Freshness::Source).await.unwrap();
                !matches!(loaded, Loaded::Live(_))
            }
        });
        if was_dead.await[0] {
            given.load(id).await.dead();
        }
    }
}
