//! Clause 13: `delete` works on every kind of record, is idempotent, and says whether it ended something.

use session_core::{Change, NewRecord, Timeouts};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectCreation, ExpectLoaded};
use crate::sample::{
    json_of, millis, mins, name, new_record, promote, renew, set, together, touch,
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_13_delete_ends_once_and_says_so,
        clause_13_delete_works_whatever_the_limits_in_time,
        clause_13_delete_works_on_a_session_never_touched_and_on_one_much_used,
        clause_13_delete_works_on_a_huge_session,
        clause_13_delete_works_a_millisecond_before_the_expiry: Clock,
        clause_13_delete_of_an_expired_session_ends_nothing: Clock,
        clause_13_of_concurrent_deletes_exactly_one_ends_the_session: OneNode,
    ]
}

async fn can_be_deleted(given: &Context, id: session_core::SessionId) {
    given.load(id).await.live();
    assert!(
        given.store().delete(id).await.unwrap(),
        "it ended a live session"
    );
    given.load(id).await.ended();
    for _ in 0..3 {
        assert!(
            !given.store().delete(id).await.unwrap(),
            "it had ended before"
        );
        given.load(id).await.ended();
    }
}

async fn clause_13_delete_ends_once_and_says_so(given: Context) {
    assert!(!given.store().delete(fresh_id()).await.unwrap());
    let visitor = given.visitor().await;
    can_be_deleted(&given, visitor.id).await;
    let (subject, user) = given.some_user().await;
    can_be_deleted(&given, user.id).await;
    assert_eq!(given.listed(&subject).await, []);
}

/// SECURITY 26
async fn clause_13_delete_works_whatever_the_limits_in_time(given: Context) {
    let longest = Timeouts::new(Timeouts::MAX_ABSOLUTE);
    for timeouts in [
        longest.without_idle().without_renewal(),
        longest.with_idle(Timeouts::MAX_ABSOLUTE * 2),
        Timeouts::new(mins(2)).with_idle(mins(1)),
        Timeouts::new(mins(1)).with_idle(mins(2)),
    ] {
        let visitor = given.visitor_for(timeouts).await;
        can_be_deleted(&given, visitor.id).await;
        let user = given.user_for(&fresh_subject(), timeouts).await;
        can_be_deleted(&given, user.id).await;
    }
}

async fn clause_13_delete_works_on_a_session_never_touched_and_on_one_much_used(given: Context) {
    let subject = fresh_subject();
    let before = given.user(&subject).await;
    let id = given.id_of(&subject);
    let new = new_record().with_predecessor(Some(before.id));
    let ticket = given.ticket(&subject).await;
    let admission = given.store().sign_in(&ticket, id, &new, None).await;
    crate::expect::ExpectAdmission::admitted_alone(admission);
    can_be_deleted(&given, id).await;
    given.load(before.id).await.live();

    let next = fresh_secret();
    given.change(before.id, renew(before.secret, next)).await;
    given.change(before.id, promote(next)).await;
    for round in 0..20 {
        given.change(before.id, touch()).await;
        given
            .change(before.id, set("round", round.to_string()))
            .await;
    }
    given
        .change(before.id, Change::new().clear().shorten(mins(5)))
        .await;
    can_be_deleted(&given, before.id).await;
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_13_delete_works_on_a_huge_session(given: Context) {
    let id = fresh_id();
    let large = json_of((1 << 20) - 16);
    let entries = ["a", "b", "c", "d"].map(|entry| (name(entry), large.clone()));
    let new = NewRecord::new(fresh_secret(), Timeouts::default()).with_entries(entries);
    given.store().create(id, &new).await.created();
    can_be_deleted(&given, id).await;
}

async fn clause_13_delete_works_a_millisecond_before_the_expiry(given: Context) {
    let timeouts = Timeouts::new(mins(5)).without_idle();
    let (subject, visitor) = (fresh_subject(), given.visitor_for(timeouts).await);
    let user = given.user_for(&subject, timeouts).await;
    given.advance(mins(5) - millis(1));
    can_be_deleted(&given, visitor.id).await;
    can_be_deleted(&given, user.id).await;
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_13_delete_of_an_expired_session_ends_nothing(given: Context) {
    let visitor = given.visitor_for(Timeouts::new(mins(5))).await;
    given.advance(mins(5));
    assert!(!given.store().delete(visitor.id).await.unwrap());
    given.load(visitor.id).await.dead();
}

async fn clause_13_of_concurrent_deletes_exactly_one_ends_the_session(given: Context) {
    for _ in 0..12 {
        let id = given.user(&fresh_subject()).await.id;
        let ended = together(16, |task| {
            let store = given.handle(task);
            async move { store.delete(id).await.unwrap() }
        });
        let ended = ended.await.into_iter().filter(|ended| *ended).count();
        assert_eq!(ended, 1);
        given.load(id).await.ended();
    }
}
