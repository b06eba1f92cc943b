//! Clause 11, its last sentence: tries that follow one another under one ticket.

use std::num::NonZeroUsize;

use session_core::{Admission, LimitPolicy, SessionId, SignInLimit, Ticket};

use crate::case::Case;
use crate::context::{Context, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectLoaded};
use crate::sample::{new_record, together};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_11_a_later_try_ends_what_an_earlier_one_made,
        clause_11_a_later_try_takes_the_place_of_an_earlier_one_under_refuse,
        clause_11_an_earlier_try_that_arrives_after_a_later_one_is_refused,
        clause_11_an_earlier_try_is_refused_also_when_the_later_session_has_ended,
        clause_11_a_try_ends_nothing_of_another_ticket,
        clause_11_a_later_try_that_is_refused_ends_nothing,
        clause_11_of_concurrent_tries_the_last_one_is_left: OneNode,
    ]
}

const ONE: Option<SignInLimit> = Some(SignInLimit {
    max: NonZeroUsize::MIN,
    policy: LimitPolicy::Refuse,
});

async fn sign_in(
    given: &Context,
    ticket: &Ticket,
    limit: Option<SignInLimit>,
) -> (SessionId, Vec<SessionId>) {
    let id = given.id_of(ticket.subject());
    let admission = given
        .store()
        .sign_in(ticket, id, &new_record(), limit)
        .await;
    let (record, ended) = admission.admitted();
    let owner = record.header().owner.unwrap();
    assert_eq!(
        (owner.nonce, owner.attempt),
        (ticket.nonce(), ticket.attempt())
    );
    (id, ended)
}

async fn is_refused(given: &Context, ticket: &Ticket) {
    let id = given.id_of(ticket.subject());
    let late = given.store().sign_in(ticket, id, &new_record(), None).await;
    late.revoked();
    given.load(id).await.absent();
}

async fn clause_11_a_later_try_ends_what_an_earlier_one_made(given: Context) {
    let subject = fresh_subject();
    let ticket = given.ticket(&subject).await;
    let (first, ended) = sign_in(&given, &ticket, None).await;
    assert_eq!(ended, []);
    let ticket = ticket.next_attempt();
    let (second, ended) = sign_in(&given, &ticket, None).await;
    assert_eq!(ended, [first]);
    given.load(first).await.ended();
    // The third may come after the second never arrived.
    let (fourth, ended) = sign_in(&given, &ticket.next_attempt().next_attempt(), None).await;
    assert_eq!(ended, [second]);
    assert_eq!(given.listed(&subject).await, [fourth]);
}

async fn clause_11_a_later_try_takes_the_place_of_an_earlier_one_under_refuse(given: Context) {
    let subject = fresh_subject();
    let ticket = given.ticket(&subject).await;
    let (first, _) = sign_in(&given, &ticket, ONE).await;
    let (second, ended) = sign_in(&given, &ticket.next_attempt(), ONE).await;
    assert_eq!(ended, [first]);
    assert_eq!(given.listed(&subject).await, [second]);
}

async fn clause_11_an_earlier_try_that_arrives_after_a_later_one_is_refused(given: Context) {
    let subject = fresh_subject();
    let first = given.ticket(&subject).await;
    let third = first.next_attempt().next_attempt();
    let (id, _) = sign_in(&given, &third, None).await;
    is_refused(&given, &first).await;
    is_refused(&given, &first.next_attempt()).await;
    assert_eq!(given.listed(&subject).await, [id]);
}

async fn clause_11_an_earlier_try_is_refused_also_when_the_later_session_has_ended(given: Context) {
    let subject = fresh_subject();
    let first = given.ticket(&subject).await;
    let (second, _) = sign_in(&given, &first.next_attempt(), None).await;
    assert!(given.store().delete(second).await.unwrap());
    is_refused(&given, &first).await;
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_11_a_try_ends_nothing_of_another_ticket(given: Context) {
    let subject = fresh_subject();
    let (ours, theirs) = (given.ticket(&subject).await, given.ticket(&subject).await);
    assert_ne!(ours.nonce(), theirs.nonce());
    let (kept, _) = sign_in(&given, &theirs, None).await;
    let (first, _) = sign_in(&given, &ours, None).await;
    let (second, ended) = sign_in(&given, &ours.next_attempt(), None).await;
    assert_eq!(ended, [first]);
    assert_eq!(
        given.listed(&subject).await,
        crate::sample::sorted([kept, second])
    );
}

async fn clause_11_a_later_try_that_is_refused_ends_nothing(given: Context) {
    let subject = fresh_subject();
    given.user(&subject).await;
    let ticket = given.ticket(&subject).await;
    let (first, _) = sign_in(&given, &ticket, None).await;
    let id = given.id_of(&subject);
    let again = ticket.next_attempt();
    let refused = given.store().sign_in(&again, id, &new_record(), ONE).await;
    refused.limit_reached();
    given.load(first).await.live();
    assert_eq!(given.listed(&subject).await.len(), 2);
}

async fn clause_11_of_concurrent_tries_the_last_one_is_left(given: Context) {
    for _ in 0..12 {
        let subject = fresh_subject();
        let mut tickets = vec![given.ticket(&subject).await];
        for _ in 0..11 {
            tickets.push(tickets[tickets.len() - 1].next_attempt());
        }
        given.rng().shuffle(&mut tickets);
        let admitted = together(12, |task| {
            let (store, ticket) = (given.handle(task), tickets[task].clone());
            let id = given.id_of(&subject);
            async move {
                match store
                    .sign_in(&ticket, id, &new_record(), ONE)
                    .await
                    .unwrap()
                {
                    Admission::Admitted { .. } => Some((ticket.attempt(), id)),
                    Admission::Revoked => None,
                    other => panic!("a try among others: {other:?}"),
                }
            }
        });
        let last = admitted.await.into_iter().flatten().max().unwrap();
        assert_eq!(last.0, 12, "the last try is always admitted");
        assert_eq!(given.listed(&subject).await, [last.1]);
    }
}
