//! Clause 10: `sessions_of` lists exactly what lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{NewRecord, SessionId, Subject, Timeouts};
use tokio::task::yield_now;

use super::limit::end_oldest;
use crate::case::Case;
use crate::context::{Context, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectCreation, ExpectLoaded};
use crate::sample::{listed, mins, new_record, promote, renew, set, sorted, together};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_10_every_live_session_of_the_subject_is_listed_and_no_other,
        clause_10_what_is_listed_is_what_load_reads,
        clause_10_what_ended_is_listed_no_more,
        clause_10_an_anonymous_session_is_never_listed,
        clause_10_three_hundred_sessions_are_all_listed,
        clause_10_a_session_that_lives_throughout_is_in_every_list,
        clause_10_a_session_is_listed_once_its_sign_in_has_returned,
        clause_10_a_session_is_not_listed_once_its_end_has_returned,
        clause_10_a_session_under_the_id_of_one_that_expired_is_listed: Clock + IdsAgain,
    ]
}

/// An id that expired, unlike one that ended, may be had again at once.
async fn clause_10_a_session_under_the_id_of_one_that_expired_is_listed(given: Context) {
    for limit in [None, end_oldest(2)] {
        let subject = fresh_subject();
        let mut session = given.user_for(&subject, Timeouts::new(mins(1))).await;
        for _ in 0..2 {
            given.advance(mins(1));
            let ticket = given.ticket(&subject).await;
            let new = NewRecord::new(fresh_secret(), Timeouts::new(mins(1)));
            let sent = given.store().sign_in(&ticket, session.id, &new, limit);
            session.record = sent.await.admitted_alone();
            assert_eq!(given.load(session.id).await.live(), session.record);
            assert_eq!(given.listed(&subject).await, [session.id]);
        }
    }
}

async fn clause_10_every_live_session_of_the_subject_is_listed_and_no_other(given: Context) {
    let (subject, other) = (fresh_subject(), fresh_subject());
    assert_eq!(given.listed(&subject).await, []);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(given.user(&subject).await.id);
        given.user(&other).await;
        assert_eq!(given.listed(&subject).await, sorted(ids.clone()));
    }
    assert_eq!(given.listed(&other).await.len(), 5);
}

async fn clause_10_what_is_listed_is_what_load_reads(given: Context) {
    let (subject, first) = given.some_user().await;
    let second = given.user(&subject).await;
    let next = fresh_secret();
    given.change(first.id, set("a", "1.0").touch()).await;
    given.change(first.id, renew(first.secret, next)).await;
    given.change(first.id, promote(next)).await;
    given.change(second.id, promote(second.secret)).await;
    let sessions = given.store().sessions_of(&subject).await.unwrap();
    assert_eq!(sessions.len(), 2);
    for (id, record) in sessions {
        assert_eq!(given.load(id).await.live(), record);
        assert_eq!(record.subject(), Some(subject.as_str()));
    }
}

async fn clause_10_what_ended_is_listed_no_more(given: Context) {
    let subject = fresh_subject();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(given.user(&subject).await.id);
    }
    while let Some(id) = ids.pop() {
        assert!(given.store().delete(id).await.unwrap());
        assert_eq!(given.listed(&subject).await, sorted(ids.clone()));
    }
    let kept = given.user(&subject).await.id;
    given.user(&subject).await;
    given.store().revoke(&subject, Some(kept)).await.unwrap();
    assert_eq!(given.listed(&subject).await, [kept]);
    given.store().revoke(&subject, None).await.unwrap();
    assert_eq!(given.listed(&subject).await, []);
}

async fn clause_10_an_anonymous_session_is_never_listed(given: Context) {
    let subject = fresh_subject();
    let id = given.id_of(&subject);
    let new = new_record().with_predecessor(Some(given.id_of(&subject)));
    given.store().create(id, &new).await.created();
    assert_eq!(given.listed(&subject).await, []);
    assert_eq!(given.store().revoke(&subject, None).await.unwrap(), []);
    given.load(id).await.live();
}

async fn clause_10_three_hundred_sessions_are_all_listed(given: Context) {
    let subject = fresh_subject();
    let ids = together(30, |task| {
        let (store, subject) = (given.handle(task), subject.clone());
        let ids: Vec<_> = (0..10).map(|_| given.id_of(&subject)).collect();
        async move {
            let ticket = store.ticket(&subject).await.unwrap();
            for id in &ids {
                // One ticket each: a later try under one ends what the earlier one made.
                let ticket = session_core::Ticket::new(
                    subject.clone(),
                    ticket.fence().clone(),
                    ticket.issued_at(),
                );
                store
                    .sign_in(&ticket, *id, &new_record(), None)
                    .await
                    .admitted_alone();
            }
            ids
        }
    });
    let ids = sorted(ids.await.concat());
    assert_eq!(given.listed(&subject).await, ids);
    let ended = given.store().revoke(&subject, Some(ids[0])).await.unwrap();
    assert_eq!(sorted(ended), ids[1..]);
}

async fn clause_10_a_session_that_lives_throughout_is_in_every_list(given: Context) {
    let subject = fresh_subject();
    let mut steady = Vec::new();
    for _ in 0..3 {
        steady.push(given.user(&subject).await.id);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let lists = together(8, |task| {
        let (given, subject) = (given.clone(), subject.clone());
        let (store, is_over) = (given.handle(task), Arc::clone(&is_over));
        async move {
            if task < 6 {
                churn(&given, &subject, task).await;
                is_over.store(true, Ordering::SeqCst);
            }
            let mut lists = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                lists.push(listed(&*store, &subject).await);
                yield_now().await;
            }
            lists
        }
    });
    for list in lists.await.concat() {
        let unique = list.windows(2).all(|two| two[0] != two[1]);
        assert!(unique, "a session is listed twice");
        for id in &steady {
            assert!(list.contains(id), "a session that lives was not listed");
        }
    }
    assert_eq!(given.listed(&subject).await, sorted(steady));
}

/// Signs in, changes and destroys sessions of `subject` in turn.
async fn churn(given: &Context, subject: &Subject, task: usize) {
    let store = given.handle(task);
    for _ in 0..12 {
        let ticket = store.ticket(subject).await.unwrap();
        let id = given.id_of(subject);
        store
            .sign_in(&ticket, id, &new_record(), None)
            .await
            .admitted_alone();
        store.apply(id, &set("a", "1").touch(), None).await.unwrap();
        yield_now().await;
        assert!(store.delete(id).await.unwrap());
    }
}

async fn clause_10_a_session_is_listed_once_its_sign_in_has_returned(given: Context) {
    let subject = fresh_subject();
    let answers = together(12, |task| {
        let (given, subject) = (given.clone(), subject.clone());
        async move {
            let (store, other) = (given.handle(task), given.handle(task + 1));
            for _ in 0..8 {
                let ticket = store.ticket(&subject).await.unwrap();
                let id: SessionId = given.id_of(&subject);
                store
                    .sign_in(&ticket, id, &new_record(), None)
                    .await
                    .admitted_alone();
                assert!(listed(&*other, &subject).await.contains(&id));
            }
        }
    });
    answers.await;
    assert_eq!(given.listed(&subject).await.len(), 12 * 8);
}

async fn clause_10_a_session_is_not_listed_once_its_end_has_returned(given: Context) {
    let subject = fresh_subject();
    let mut ids = Vec::new();
    for _ in 0..24 {
        ids.push(given.user(&subject).await.id);
    }
    let answers = together(12, |task| {
        let (store, other) = (given.handle(task), given.handle(task + 1));
        let (subject, own) = (subject.clone(), [ids[task * 2], ids[task * 2 + 1]]);
        async move {
            for id in own {
                assert!(store.delete(id).await.unwrap());
                assert!(!listed(&*other, &subject).await.contains(&id));
            }
        }
    });
    answers.await;
    assert_eq!(given.listed(&subject).await, []);
}
