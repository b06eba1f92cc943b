//! Clause 8: expiry is derived, and honoured at read, to the millisecond.

use std::num::NonZeroUsize;
use std::time::Duration;

use session_core::{Change, Consistency, LimitPolicy, NewRecord, SignInLimit, Timeouts};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectApplication, ExpectCreation, ExpectLoaded};
use crate::sample::{Session, json, millis, mins, name, secs, set, sorted, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_08_at_the_very_millisecond_of_its_idle_timeout_a_session_is_expired: Clock,
        clause_08_at_the_very_millisecond_of_its_deadline_a_session_is_expired: Clock,
        clause_08_no_verb_sees_an_expired_session: Clock,
        clause_08_an_edit_does_not_postpone_the_idle_timeout: Clock,
        clause_08_a_shortened_life_ends_at_its_millisecond: Clock,
        clause_08_a_deadline_is_never_moved_out: Clock,
        clause_08_a_life_shortened_to_nothing_ends_at_once,
        clause_08_limits_of_any_length_neither_panic_nor_last_for_ever: Clock,
        clause_08_a_session_without_limits_at_all_is_expired_at_once,
        clause_08_a_clock_that_steps_back_ends_nothing: Clock,
        clause_08_a_session_expires_by_a_clock_that_runs: RunningClock,
        clause_08_uses_keep_a_session_alive_by_a_clock_that_runs: RunningClock,
        clause_08_no_use_outlives_the_deadline_by_a_clock_that_runs: RunningClock,
        purge_removes_what_expired_and_nothing_else: Purge + Quiet,
        purge_removes_at_most_a_batch: Purge + Clock,
    ]
}

async fn expires_at(given: &Context, session: &Session) {
    let expiry = given.load(session.id).await.live().expires_at();
    given.clock().set(expiry - millis(1));
    given.load(session.id).await.live();
    given.change(session.id, set("last", "1")).await;
    given.clock().set(expiry);
    given.load(session.id).await.absent();
    let late = set("late", "1").touch();
    given.store().apply(session.id, &late, None).await.absent();
    assert!(!given.store().delete(session.id).await.unwrap());
    given.load(session.id).await.dead();
}

/// SECURITY 28
async fn clause_08_at_the_very_millisecond_of_its_idle_timeout_a_session_is_expired(
    given: Context,
) {
    for idle in [millis(1), millis(1001), mins(30)] {
        let timeouts = Timeouts::new(mins(60)).with_idle(idle);
        let (visitor, created) = (given.visitor_for(timeouts).await, given.now());
        assert_eq!(visitor.record.expires_at(), created + idle);
        expires_at(&given, &visitor).await;
        let user = given.user_for(&fresh_subject(), timeouts).await;
        expires_at(&given, &user).await;
    }
}

/// SECURITY 29
async fn clause_08_at_the_very_millisecond_of_its_deadline_a_session_is_expired(given: Context) {
    for absolute in [millis(1), millis(1001), mins(60), Timeouts::MAX_ABSOLUTE] {
        let timeouts = Timeouts::new(absolute).without_idle();
        let (visitor, created) = (given.visitor_for(timeouts).await, given.now());
        assert_eq!(visitor.record.expires_at(), created + absolute);
        expires_at(&given, &visitor).await;
        let user = given.user_for(&fresh_subject(), timeouts).await;
        expires_at(&given, &user).await;
    }
}

async fn clause_08_no_verb_sees_an_expired_session(given: Context) {
    let subject = fresh_subject();
    let short = Timeouts::new(mins(60)).with_idle(mins(1));
    for _ in 0..3 {
        given.user_for(&subject, short).await;
    }
    given.advance(secs(30));
    let lives = given.user_for(&subject, short).await;
    given.advance(secs(30));
    assert_eq!(given.listed(&subject).await, [lives.id]);

    let limit = SignInLimit {
        max: NonZeroUsize::new(2).unwrap(),
        policy: LimitPolicy::Refuse,
    };
    let ticket = given.ticket(&subject).await;
    let id = given.id_of(&subject);
    given
        .sign_in(&ticket, id, Some(limit))
        .await
        .admitted_alone();
    let ended = given.store().revoke(&subject, None).await.unwrap();
    assert_eq!(sorted(ended), sorted([lives.id, id]));
}

async fn clause_08_an_edit_does_not_postpone_the_idle_timeout(given: Context) {
    let id = given
        .visitor_for(Timeouts::new(mins(60)).with_idle(secs(10)))
        .await
        .id;
    for _ in 0..9 {
        given.advance(secs(1));
        given.change(id, set("a", "1")).await;
    }
    given.advance(secs(1));
    given.load(id).await.absent();
}

async fn clause_08_a_shortened_life_ends_at_its_millisecond(given: Context) {
    for idle in [mins(30), mins(90)] {
        let session = given
            .visitor_for(Timeouts::new(mins(120)).with_idle(idle))
            .await;
        given.advance(secs(10));
        let shortened = given.now() + millis(1234);
        let record = given
            .change(session.id, Change::new().shorten(millis(1234)))
            .await;
        assert_eq!(record.deadline(), shortened);
        assert_eq!(given.load(session.id).await.live(), record);
        given.advance(millis(1233));
        given.change(session.id, touch()).await;
        given.advance(millis(1));
        given.load(session.id).await.absent();
    }
}

async fn clause_08_a_deadline_is_never_moved_out(given: Context) {
    let session = given.visitor_for(Timeouts::new(mins(10))).await;
    let deadline = session.record.deadline();
    for life in [mins(10) + millis(1), Timeouts::MAX_ABSOLUTE, Duration::MAX] {
        given.change(session.id, Change::new().shorten(life)).await;
        assert_eq!(given.load(session.id).await.live().deadline(), deadline);
    }
    given
        .change(session.id, Change::new().shorten(mins(5)))
        .await;
    given
        .change(session.id, Change::new().shorten(mins(6)))
        .await;
    let record = given.load(session.id).await.live();
    assert_eq!(record.deadline(), deadline - mins(5));
}

async fn clause_08_a_life_shortened_to_nothing_ends_at_once(given: Context) {
    let (subject, user) = given.some_user().await;
    given
        .change(user.id, Change::new().shorten(Duration::ZERO))
        .await;
    given.load(user.id).await.dead();
    given.store().apply(user.id, &touch(), None).await.absent();
    assert_eq!(given.listed(&subject).await, []);
}

/// SECURITY 33
async fn clause_08_limits_of_any_length_neither_panic_nor_last_for_ever(given: Context) {
    let start = given.now();
    let endless = Timeouts::new(Duration::MAX);
    let mut sessions = Vec::new();
    for timeouts in [
        endless.without_idle(),
        endless.with_idle(Duration::MAX),
        endless
            .with_idle(Timeouts::MAX_ABSOLUTE * 2)
            .with_renewal(Duration::MAX),
    ] {
        sessions.push(given.visitor_for(timeouts).await);
        sessions.push(given.user_for(&fresh_subject(), timeouts).await);
    }
    for session in &sessions {
        assert_eq!(session.record.deadline(), start + Timeouts::MAX_ABSOLUTE);
    }
    given
        .clock()
        .set(start + Timeouts::MAX_ABSOLUTE - millis(1));
    for session in &sessions {
        given.change(session.id, touch()).await;
        given.load(session.id).await.live();
    }
    given.advance(millis(1));
    for session in &sessions {
        given.load(session.id).await.absent();
    }
}

/// SECURITY 33
async fn clause_08_a_session_without_limits_at_all_is_expired_at_once(given: Context) {
    for timeouts in [
        Timeouts::new(Duration::ZERO),
        Timeouts::new(mins(1)).with_idle(Duration::ZERO),
    ] {
        let (id, subject) = (fresh_id(), fresh_subject());
        let new = NewRecord::new(fresh_secret(), timeouts);
        given.store().create(id, &new).await.created();
        given.load(id).await.dead();
        let user = given.user_for(&subject, timeouts).await;
        given.load(user.id).await.dead();
        assert_eq!(given.listed(&subject).await, []);
    }
}

/// SECURITY 33
async fn clause_08_a_clock_that_steps_back_ends_nothing(given: Context) {
    let (subject, user) = given.some_user().await;
    let start = given.now();
    given.clock().set(start - mins(90));
    assert_eq!(given.load(user.id).await.live(), user.record);
    let record = given.change(user.id, set("a", "1").touch()).await;
    assert_eq!(record.last_seen_at(), start);
    assert_eq!(given.listed(&subject).await, [user.id]);
    given.clock().set(start);
    assert_eq!(given.load(user.id).await.live(), record);
}

/// Sleeps by the real clock, by which the store's server goes.
async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

async fn clause_08_a_session_expires_by_a_clock_that_runs(given: Context) {
    let timeouts = [
        Timeouts::new(mins(60)).with_idle(millis(400)),
        Timeouts::new(millis(400)).without_idle(),
    ];
    for timeouts in timeouts {
        let subject = fresh_subject();
        let user = given.user_for(&subject, timeouts).await;
        let visitor = given.visitor_for(timeouts).await;
        sleep(millis(500)).await;
        for id in [user.id, visitor.id] {
            given.load(id).await.dead();
            given.store().apply(id, &touch(), None).await.absent();
            assert!(!given.store().delete(id).await.unwrap());
        }
        assert_eq!(given.listed(&subject).await, []);
    }
}

async fn clause_08_uses_keep_a_session_alive_by_a_clock_that_runs(given: Context) {
    // Far longer than the pauses, so that a slow machine does not let it expire in between.
    let timeouts = Timeouts::new(mins(60)).with_idle(secs(4));
    let id = given.visitor_for(timeouts).await.id;
    let mut last = given.load(id).await.live();
    for _ in 0..6 {
        sleep(millis(900)).await;
        let touched = given.change(id, touch()).await;
        assert!(touched.last_seen_at() >= last.last_seen_at() + millis(500));
        assert_eq!(touched.revision(), last.revision());
        last = touched;
    }
    assert!(last.last_seen_at() > last.created_at() + secs(4));
    given.load(id).await.live();
}

async fn clause_08_no_use_outlives_the_deadline_by_a_clock_that_runs(given: Context) {
    let timeouts = Timeouts::new(secs(2)).with_idle(secs(2));
    let id = given.visitor_for(timeouts).await.id;
    for _ in 0..5 {
        sleep(millis(500)).await;
        given.store().apply(id, &touch(), None).await.unwrap();
    }
    given.load(id).await.dead();
}

async fn purge(given: &Context, batch: usize) -> usize {
    let store = given.store();
    store
        .abilities()
        .purge
        .unwrap()
        .purge_expired(batch)
        .await
        .unwrap()
}

async fn purge_removes_what_expired_and_nothing_else(given: Context) {
    let (subject, user) = given.some_user().await;
    let visitor = given.visitor().await;
    let mut expired = Vec::new();
    for _ in 0..3 {
        let zero = Timeouts::new(Duration::ZERO);
        expired.push(given.user_for(&subject, zero).await.id);
        expired.push(given.visitor_for(zero).await.id);
    }
    let deleted = given.visitor().await;
    assert!(given.store().delete(deleted.id).await.unwrap());
    while purge(&given, 1000).await > 0 {}
    for id in expired {
        given.load(id).await.absent();
    }
    assert_eq!(given.load(user.id).await.live(), user.record);
    assert_eq!(given.load(visitor.id).await.live(), visitor.record);
    assert_eq!(given.listed(&subject).await, [user.id]);
    // What is kept of an ended session for 60 s is not expired yet.
    given.load(deleted.id).await.ended();
}

async fn purge_removes_at_most_a_batch(given: Context) {
    while purge(&given, 1000).await > 0 {}
    let timeouts = Timeouts::new(mins(1));
    for _ in 0..7 {
        let (id, entries) = (fresh_id(), [(name("a"), json("1"))]);
        let new = NewRecord::new(fresh_secret(), timeouts).with_entries(entries);
        given.store().create(id, &new).await.created();
    }
    given.advance(mins(1));
    let mut removed = 0;
    loop {
        let now = purge(&given, 3).await;
        assert!(now <= 3, "{now} removed in a batch of 3");
        removed += now;
        if now == 0 {
            break;
        }
    }
    // Of two stores one may remove its own by itself.
    let all = if given.consistency == Consistency::PerSession {
        0
    } else {
        7
    };
    assert!(removed >= all, "{removed} of 7 expired sessions removed");
}
