//! Clause 12: a revoke takes effect at one instant, for what lives and for what is under way.

use session_core::{Admission, SessionId, TICKET_LIFE, Ticket};
use tokio::task::yield_now;

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectCreation, ExpectLoaded};
use crate::sample::{json_of, listed, millis, mins, name, new_record, secs, sorted, together};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_12_revoking_ends_every_session_of_the_subject_and_no_other,
        clause_12_revoking_spares_the_session_named,
        clause_12_an_exception_that_is_not_the_subjects_spares_nothing,
        clause_12_an_older_ticket_is_refused,
        clause_12_a_younger_ticket_signs_in,
        clause_12_a_subject_that_never_signed_in_is_revoked_too,
        clause_12_the_fence_of_one_subject_is_no_others,
        clause_12_old_password_checked_then_changed_and_revoked_then_sign_in_is_refused,
        clause_12_a_ticket_is_good_for_its_life_and_no_longer: Clock,
        clause_12_a_fence_outlives_every_ticket_older_than_it: Clock,
        clause_12_a_forgotten_fence_refuses_no_younger_ticket: Clock,
        clause_12_a_fence_never_takes_an_older_value_again: Clock,
        clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke: OneNode,
        clause_12_a_session_made_during_a_revoke_lives_exactly_if_its_ticket_is_younger: OneInstant,
        clause_12_concurrent_revokes_end_each_session_once: OneNode,
        clause_12_a_stale_ticket_is_refused_before_anything_else_is_judged,
    ]
}

async fn sign_in(given: &Context, ticket: &Ticket) -> SessionId {
    let id = given.id_of(ticket.subject());
    let admission = given.store().sign_in(ticket, id, &new_record(), None).await;
    admission.admitted_alone();
    id
}

async fn is_refused(given: &Context, ticket: &Ticket) {
    let id = given.id_of(ticket.subject());
    let before = given.listed(ticket.subject()).await;
    let late = given.store().sign_in(ticket, id, &new_record(), None).await;
    late.revoked();
    given.load(id).await.absent();
    assert_eq!(given.listed(ticket.subject()).await, before);
}

async fn clause_12_revoking_ends_every_session_of_the_subject_and_no_other(given: Context) {
    let (other, others) = given.some_user().await;
    let subject = fresh_subject();
    let visitor = given.id_of(&subject);
    given.store().create(visitor, &new_record()).await.created();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(given.user(&subject).await.id);
    }
    let ended = given.store().revoke(&subject, None).await.unwrap();
    assert_eq!(sorted(ended), sorted(ids.clone()));
    for id in ids {
        given.load(id).await.ended();
    }
    assert_eq!(given.listed(&subject).await, []);
    assert_eq!(given.load(others.id).await.live(), others.record);
    assert_eq!(given.listed(&other).await, [others.id]);
    given.load(visitor).await.live();
    assert_eq!(given.store().revoke(&subject, None).await.unwrap(), []);
}

async fn clause_12_revoking_spares_the_session_named(given: Context) {
    let subject = fresh_subject();
    let first = given.user(&subject).await;
    let kept = given.user(&subject).await;
    let ticket = given.ticket(&subject).await;
    let ended = given.store().revoke(&subject, Some(kept.id)).await.unwrap();
    assert_eq!(ended, [first.id]);
    assert_eq!(given.load(kept.id).await.live(), kept.record);
    assert_eq!(given.listed(&subject).await, [kept.id]);
    is_refused(&given, &ticket).await;
}

async fn clause_12_an_exception_that_is_not_the_subjects_spares_nothing(given: Context) {
    let (_, other) = given.some_user().await;
    let visitor = given.visitor().await;
    for except in [other.id, visitor.id, fresh_id()] {
        let (subject, user) = given.some_user().await;
        let ended = given.store().revoke(&subject, Some(except)).await.unwrap();
        assert_eq!(ended, [user.id]);
        given.load(user.id).await.ended();
    }
    given.load(other.id).await.live();
    given.load(visitor.id).await.live();
}

async fn clause_12_an_older_ticket_is_refused(given: Context) {
    let (subject, _) = given.some_user().await;
    let ticket = given.ticket(&subject).await;
    given.store().revoke(&subject, None).await.unwrap();
    for _ in 0..2 {
        is_refused(&given, &ticket).await;
        is_refused(&given, &ticket.next_attempt()).await;
        given.store().revoke(&subject, None).await.unwrap();
    }
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_12_a_younger_ticket_signs_in(given: Context) {
    let (subject, _) = given.some_user().await;
    for _ in 0..3 {
        given.store().revoke(&subject, None).await.unwrap();
        let ticket = given.ticket(&subject).await;
        let id = sign_in(&given, &ticket).await;
        assert_eq!(given.listed(&subject).await, [id]);
    }
}

async fn clause_12_a_subject_that_never_signed_in_is_revoked_too(given: Context) {
    let subject = fresh_subject();
    let ticket = given.ticket(&subject).await;
    assert_eq!(given.store().revoke(&subject, None).await.unwrap(), []);
    is_refused(&given, &ticket).await;
    let ticket = given.ticket(&subject).await;
    sign_in(&given, &ticket).await;
}

async fn clause_12_the_fence_of_one_subject_is_no_others(given: Context) {
    let (subject, other) = (fresh_subject(), fresh_subject());
    let ticket = given.ticket(&other).await;
    given.store().revoke(&subject, None).await.unwrap();
    let id = sign_in(&given, &ticket).await;
    assert_eq!(given.listed(&other).await, [id]);
}

async fn clause_12_old_password_checked_then_changed_and_revoked_then_sign_in_is_refused(
    given: Context,
) {
    let (subject, owners) = given.some_user().await;
    // The thief's sign-in begins, and the old password is found right.
    let thief = given.ticket(&subject).await;
    // Meanwhile the owner changes the password and signs the others out.
    let ended = given
        .store()
        .revoke(&subject, Some(owners.id))
        .await
        .unwrap();
    assert_eq!(ended, []);
    is_refused(&given, &thief).await;
    assert_eq!(given.listed(&subject).await, [owners.id]);
}

async fn clause_12_a_ticket_is_good_for_its_life_and_no_longer(given: Context) {
    let life = given.store().facts().ticket_life;
    let subject = fresh_subject();
    let ticket = given.ticket(&subject).await;
    assert_eq!(ticket.issued_at(), given.now());
    let other = given.ticket(&subject).await;
    given.advance(life - millis(1));
    sign_in(&given, &ticket).await;
    given.advance(millis(1));
    is_refused(&given, &other).await;
    is_refused(&given, &other.next_attempt()).await;
    given.advance(mins(600));
    is_refused(&given, &other).await;
}

async fn clause_12_a_fence_outlives_every_ticket_older_than_it(given: Context) {
    let life = given.store().facts().ticket_life.max(TICKET_LIFE);
    let subject = fresh_subject();
    let ticket = given.ticket(&subject).await;
    given.store().revoke(&subject, None).await.unwrap();
    for _ in 0..30 {
        given.advance(life / 20);
        is_refused(&given, &ticket).await;
    }
}

async fn clause_12_a_forgotten_fence_refuses_no_younger_ticket(given: Context) {
    let life = given.store().facts().ticket_life;
    for before_it_ends in [millis(1), secs(1), life / 2] {
        let subject = fresh_subject();
        given.store().revoke(&subject, None).await.unwrap();
        given.advance(life - before_it_ends);
        let ticket = given.ticket(&subject).await;
        given.advance(before_it_ends + millis(1));
        given.user(&fresh_subject()).await;
        sign_in(&given, &ticket).await;
    }
}

async fn clause_12_a_fence_never_takes_an_older_value_again(given: Context) {
    let life = given.store().facts().ticket_life;
    for before_it_ends in [millis(1), secs(1), life / 2] {
        let subject = fresh_subject();
        given.store().revoke(&subject, None).await.unwrap();
        given.advance(life - before_it_ends);
        let ticket = given.ticket(&subject).await;
        given.advance(before_it_ends);
        given.store().revoke(&subject, None).await.unwrap();
        is_refused(&given, &ticket).await;
    }
}

/// SECURITY 36
async fn clause_12_sign_ins_with_older_tickets_never_survive_a_concurrent_revoke(given: Context) {
    for _ in 0..8 {
        let subject = fresh_subject();
        let ticket = given.ticket(&subject).await;
        let tickets: Vec<_> = (0..24)
            .map(|_| Ticket::new(subject.clone(), ticket.fence().clone(), ticket.issued_at()))
            .collect();
        let answers = together(25, |task| {
            let (store, subject) = (given.handle(task), subject.clone());
            let (ticket, id) = (tickets.get(task).cloned(), given.id_of(&subject));
            async move {
                let Some(ticket) = ticket else {
                    yield_now().await;
                    return store.revoke(&subject, None).await.unwrap();
                };
                if task % 4 == 0 {
                    yield_now().await;
                }
                match store
                    .sign_in(&ticket, id, &new_record(), None)
                    .await
                    .unwrap()
                {
                    Admission::Admitted { .. } => vec![id],
                    Admission::Revoked => vec![],
                    other => panic!("a sign-in among others: {other:?}"),
                }
            }
        });
        let mut answers = answers.await;
        let ended = sorted(answers.pop().unwrap());
        assert_eq!(
            given.listed(&subject).await,
            [],
            "an older ticket's session survived"
        );
        let admitted = sorted(answers.concat());
        assert_eq!(
            ended, admitted,
            "what was admitted before is what was ended"
        );
        for id in admitted {
            given.load(id).await.ended();
        }
    }
}

/// SECURITY 36
async fn clause_12_a_session_made_during_a_revoke_lives_exactly_if_its_ticket_is_younger(
    given: Context,
) {
    for _ in 0..8 {
        let subject = fresh_subject();
        let before = given.ticket(&subject).await;
        let answers = together(17, |task| {
            let (given, subject) = (given.clone(), subject.clone());
            async move {
                let store = given.handle(task);
                if task == 16 {
                    store.revoke(&subject, None).await.unwrap();
                    return None;
                }
                let (ticket, id) = (store.ticket(&subject).await.unwrap(), given.id_of(&subject));
                yield_now().await;
                let answer = store
                    .sign_in(&ticket, id, &new_record(), None)
                    .await
                    .unwrap();
                let admitted = match answer {
                    Admission::Admitted { .. } => true,
                    Admission::Revoked => false,
                    other => panic!("a sign-in among others: {other:?}"),
                };
                Some((ticket, id, admitted))
            }
        });
        let listed = {
            let answers = answers.await;
            let mut expected = Vec::new();
            for (ticket, id, admitted) in answers.into_iter().flatten() {
                let is_younger = ticket.fence() != before.fence();
                assert!(
                    admitted || !is_younger,
                    "a ticket of after the revoke was refused"
                );
                if is_younger {
                    expected.push(id);
                } else {
                    given.load(id).await.dead();
                }
            }
            sorted(expected)
        };
        assert_eq!(given.listed(&subject).await, listed);
        // Whatever was under way: a ticket of now is good.
        let ticket = given.ticket(&subject).await;
        sign_in(&given, &ticket).await;
    }
}

async fn clause_12_concurrent_revokes_end_each_session_once(given: Context) {
    for _ in 0..8 {
        let subject = fresh_subject();
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(given.user(&subject).await.id);
        }
        let ended = together(6, |task| {
            let (store, subject) = (given.handle(task), subject.clone());
            async move {
                let ended = store.revoke(&subject, None).await.unwrap();
                assert_eq!(listed(&*store, &subject).await, []);
                ended
            }
        });
        assert_eq!(sorted(ended.await.concat()), sorted(ids));
    }
}

async fn clause_12_a_stale_ticket_is_refused_before_anything_else_is_judged(given: Context) {
    let (subject, user) = given.some_user().await;
    let ticket = given.ticket(&subject).await;
    given.store().revoke(&subject, Some(user.id)).await.unwrap();
    let over = json_of(given.store().facts().bounds.value_bytes + 1);
    let large = new_record().with_entries([(name("over"), over)]);
    let id = given.id_of(&subject);
    given
        .store()
        .sign_in(&ticket, id, &large, None)
        .await
        .revoked();
    given.load(user.id).await.live();
}
