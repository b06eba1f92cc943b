//! Clause 11: which sessions count, and which are the first to make room.

use session_core::{SessionId, SignInLimit, Subject, UNPRESENTED_GRACE};

use super::limit::{end_oldest, is_refused, presented, refuse, sign_in, try_sign_in};
use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectLoaded};
use crate::sample::{millis, new_record, promote, secs, sorted};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_11_a_session_and_its_predecessor_count_as_one,
        clause_11_a_session_and_its_anonymous_predecessor_count_as_one,
        clause_11_a_chain_of_predecessors_counts_as_one,
        clause_11_with_a_session_goes_the_predecessor_that_only_it_replaced,
        clause_11_a_sign_in_never_presented_is_the_first_to_go: Clock,
        clause_11_a_sign_in_never_presented_makes_room_under_refuse_too: Clock,
        clause_11_only_as_many_of_those_never_presented_go_as_are_needed: Clock,
        clause_11_a_sign_in_presented_late_is_as_safe_as_any: Clock,
        clause_11_a_lost_sign_in_costs_the_one_before_it_nothing: Clock,
    ]
}

async fn replace(
    given: &Context,
    subject: &Subject,
    predecessor: SessionId,
    limit: Option<SignInLimit>,
) -> (SessionId, Vec<SessionId>) {
    let new = new_record().with_predecessor(Some(predecessor));
    let (id, admission) = try_sign_in(&**given.store(), subject, &new, limit).await;
    let (record, ended) = admission.admitted();
    assert_eq!(record.predecessor(), Some(predecessor));
    (id, ended)
}

async fn clause_11_a_session_and_its_predecessor_count_as_one(given: Context) {
    for limit in [refuse(2), end_oldest(2)] {
        let subject = fresh_subject();
        let before = presented(&given, &subject, None).await;
        let other = presented(&given, &subject, None).await;
        let (after, ended) = replace(&given, &subject, before.id, limit).await;
        assert_eq!(ended, [], "the predecessor's place is the new one's");
        let all = sorted([before.id, other.id, after]);
        assert_eq!(given.listed(&subject).await, all);
        is_refused(&given, &subject, refuse(2)).await;
    }
}

async fn clause_11_a_session_and_its_anonymous_predecessor_count_as_one(given: Context) {
    let subject = fresh_subject();
    let visitor = given.visitor().await;
    let (_, ended) = replace(&given, &subject, visitor.id, refuse(1)).await;
    assert_eq!(ended, []);
    given.load(visitor.id).await.live();
    is_refused(&given, &subject, refuse(1)).await;
    // One that is long gone, or of somebody else, takes no place either.
    let (_, other) = given.some_user().await;
    for gone in [fresh_id(), other.id] {
        let subject = fresh_subject();
        presented(&given, &subject, None).await;
        let new = new_record().with_predecessor(Some(gone));
        let (_, admission) = try_sign_in(&**given.store(), &subject, &new, refuse(1)).await;
        admission.limit_reached();
        replace(&given, &subject, gone, refuse(2)).await;
    }
    given.load(other.id).await.live();
}

async fn clause_11_a_chain_of_predecessors_counts_as_one(given: Context) {
    let subject = fresh_subject();
    let mut ids = vec![presented(&given, &subject, None).await.id];
    for _ in 0..3 {
        let (id, ended) = replace(&given, &subject, ids[ids.len() - 1], refuse(1)).await;
        assert_eq!(ended, []);
        ids.push(id);
    }
    assert_eq!(given.listed(&subject).await, sorted(ids));
    is_refused(&given, &subject, refuse(1)).await;
}

async fn clause_11_with_a_session_goes_the_predecessor_that_only_it_replaced(given: Context) {
    let subject = fresh_subject();
    let before = presented(&given, &subject, None).await;
    let after = presented(&given, &subject, Some(before.id)).await;
    let (newest, ended) = sign_in(&given, &subject, end_oldest(1)).await;
    assert_eq!(sorted(ended), sorted([before.id, after.id]));
    assert_eq!(given.listed(&subject).await, [newest]);
}

/// A session whose secret nobody presented, because the answer was lost.
async fn lost(given: &Context, subject: &Subject) -> SessionId {
    sign_in(given, subject, None).await.0
}

async fn clause_11_a_sign_in_never_presented_is_the_first_to_go(given: Context) {
    let subject = fresh_subject();
    let old = presented(&given, &subject, None).await;
    given.advance(secs(5));
    let lost = lost(&given, &subject).await;
    given.advance(UNPRESENTED_GRACE);
    let (_, ended) = sign_in(&given, &subject, end_oldest(2)).await;
    assert_eq!(ended, [lost]);
    given.load(old.id).await.live();
}

async fn clause_11_a_sign_in_never_presented_makes_room_under_refuse_too(given: Context) {
    let subject = fresh_subject();
    let old = presented(&given, &subject, None).await;
    let lost = lost(&given, &subject).await;
    given.advance(UNPRESENTED_GRACE - millis(1));
    is_refused(&given, &subject, refuse(2)).await;
    given.load(lost).await.live();
    given.advance(millis(1));
    given.load(lost).await.live();
    let (_, ended) = sign_in(&given, &subject, refuse(2)).await;
    assert_eq!(ended, [lost]);
    given.load(lost).await.ended();
    given.load(old.id).await.live();
    is_refused(&given, &subject, refuse(2)).await;
}

async fn clause_11_only_as_many_of_those_never_presented_go_as_are_needed(given: Context) {
    for limit in [refuse(3), end_oldest(3)] {
        let subject = fresh_subject();
        let first = lost(&given, &subject).await;
        given.advance(millis(1));
        let second = lost(&given, &subject).await;
        given.advance(millis(1));
        let third = presented(&given, &subject, None).await;
        given.advance(UNPRESENTED_GRACE);
        let (id, ended) = sign_in(&given, &subject, limit).await;
        assert_eq!(ended, [first]);
        assert_eq!(given.listed(&subject).await, sorted([second, third.id, id]));
        let (_, ended) = sign_in(&given, &subject, limit).await;
        assert_eq!(ended, [second]);
    }
    // And none while there is room.
    let subject = fresh_subject();
    lost(&given, &subject).await;
    given.advance(UNPRESENTED_GRACE);
    assert_eq!(sign_in(&given, &subject, refuse(2)).await.1, []);
}

/// Who signed in again and got no answer goes on with the session before; another device cannot end it.
async fn clause_11_a_lost_sign_in_costs_the_one_before_it_nothing(given: Context) {
    let subject = fresh_subject();
    let used = presented(&given, &subject, None).await;
    let (lost, _) = replace(&given, &subject, used.id, None).await;
    given.advance(UNPRESENTED_GRACE);
    is_refused(&given, &subject, refuse(1)).await;
    given.load(used.id).await.live();
    // Of two that were lost one gives its place.
    let (last, _) = replace(&given, &subject, used.id, None).await;
    given.advance(UNPRESENTED_GRACE);
    assert_eq!(sign_in(&given, &subject, refuse(2)).await.1, [lost]);
    is_refused(&given, &subject, refuse(2)).await;
    // And it is the client's own next try that needs the last one's.
    let (_, ended) = replace(&given, &subject, used.id, refuse(2)).await;
    assert_eq!(ended, [last]);
    given.load(used.id).await.live();
}

async fn clause_11_a_sign_in_presented_late_is_as_safe_as_any(given: Context) {
    let subject = fresh_subject();
    let user = given.user(&subject).await;
    given.advance(UNPRESENTED_GRACE * 2);
    given.change(user.id, promote(user.secret)).await;
    is_refused(&given, &subject, refuse(1)).await;
    given.load(user.id).await.live();
}
