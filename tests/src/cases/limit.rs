//! Clause 11: at most so many sessions for a subject.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{
    Admission, ErrorKind, LimitPolicy, NewRecord, SessionId, SessionStore, SignInLimit, StoreError,
    Subject, Timeouts,
};
use tokio::task::yield_now;

use crate::case::Case;
use crate::context::{Context, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectLoaded, ExpectRefusal};
use crate::sample::{
    Session, json_of, listed, millis, mins, name, new_record, promote, secs, sorted, together,
    touch,
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_11_one_too_many_ends_the_oldest,
        clause_11_the_oldest_is_the_one_that_signed_in_first: Clock,
        clause_11_one_too_many_is_refused_and_changes_nothing,
        clause_11_n_plus_fifty_concurrent_sign_ins_leave_exactly_n: OneNode,
        clause_11_n_plus_fifty_concurrent_sign_ins_admit_exactly_n: OneNode,
        clause_11_no_list_ever_shows_more_than_the_limit: OneNode,
        clause_11_a_limit_concerns_its_subject_only,
        clause_11_without_a_limit_nothing_ends,
        clause_11_a_lower_limit_ends_as_many_as_it_takes,
        clause_11_the_dead_do_not_count,
        clause_11_the_expired_do_not_count: Clock,
        clause_11_refused_sign_ins_are_refused_before_their_size_is_judged,
    ]
}

const fn at_most(max: usize, policy: LimitPolicy) -> Option<SignInLimit> {
    match NonZeroUsize::new(max) {
        Some(max) => Some(SignInLimit { max, policy }),
        None => None,
    }
}

pub(super) const fn end_oldest(max: usize) -> Option<SignInLimit> {
    at_most(max, LimitPolicy::EndOldest)
}

pub(super) const fn refuse(max: usize) -> Option<SignInLimit> {
    at_most(max, LimitPolicy::Refuse)
}

pub(super) async fn try_sign_in(
    store: &dyn SessionStore,
    subject: &Subject,
    new: &NewRecord,
    limit: Option<SignInLimit>,
) -> (SessionId, Result<Admission, StoreError>) {
    let id = SessionId::generate(store.facts().sharding.shard_of(subject));
    let ticket = store.ticket(subject).await.unwrap();
    (id, store.sign_in(&ticket, id, new, limit).await)
}

/// A presented session, signed in without a limit, with `predecessor`.
pub(super) async fn presented(
    given: &Context,
    subject: &Subject,
    predecessor: Option<SessionId>,
) -> Session {
    let secret = fresh_secret();
    let new = NewRecord::new(secret, Timeouts::default()).with_predecessor(predecessor);
    let (id, admission) = try_sign_in(&**given.store(), subject, &new, None).await;
    admission.admitted_alone();
    let record = given.change(id, promote(secret)).await;
    Session { id, secret, record }
}

/// Another presented session, which begins measurably later where there is a clock that says so.
async fn later(given: &Context, subject: &Subject) -> Session {
    match &given.clock {
        Some(_) => {}
        None => tokio::time::sleep(millis(3)).await,
    }
    presented(given, subject, None).await
}

/// `sessions` from the oldest to the newest, as the contract orders them: by creation, then id.
fn oldest_first(sessions: &[Session]) -> Vec<SessionId> {
    let mut order: Vec<_> = sessions
        .iter()
        .map(|one| (one.record.created_at(), one.id))
        .collect();
    order.sort();
    order.into_iter().map(|(_, id)| id).collect()
}

pub(super) async fn sign_in(
    given: &Context,
    subject: &Subject,
    limit: Option<SignInLimit>,
) -> (SessionId, Vec<SessionId>) {
    let (id, admission) = try_sign_in(&**given.store(), subject, &new_record(), limit).await;
    (id, admission.admitted().1)
}

pub(super) async fn is_refused(given: &Context, subject: &Subject, limit: Option<SignInLimit>) {
    let before = given.listed(subject).await;
    let (id, admission) = try_sign_in(&**given.store(), subject, &new_record(), limit).await;
    admission.limit_reached();
    given.load(id).await.absent();
    assert_eq!(given.listed(subject).await, before);
}

async fn clause_11_one_too_many_ends_the_oldest(given: Context) {
    let subject = fresh_subject();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(later(&given, &subject).await);
    }
    for _ in 0..4 {
        let oldest = oldest_first(&sessions)[0];
        let (id, ended) = sign_in(&given, &subject, end_oldest(3)).await;
        assert_eq!(ended, [oldest]);
        given.load(oldest).await.ended();
        let (secret, record) = (fresh_secret(), given.load(id).await.live());
        sessions.retain(|session| session.id != oldest);
        sessions.push(Session { id, secret, record });
        assert_eq!(given.listed(&subject).await.len(), 3);
    }
}

async fn clause_11_the_oldest_is_the_one_that_signed_in_first(given: Context) {
    let subject = fresh_subject();
    let mut ids = Vec::new();
    for _ in 0..4 {
        given.advance(millis(1));
        ids.push(presented(&given, &subject, None).await.id);
    }
    given.advance(mins(5));
    for id in ids.iter().rev() {
        given.advance(secs(1));
        given.change(*id, touch()).await;
    }
    for oldest in ids {
        given.advance(millis(1));
        assert_eq!(sign_in(&given, &subject, end_oldest(4)).await.1, [oldest]);
    }
}

async fn clause_11_one_too_many_is_refused_and_changes_nothing(given: Context) {
    let subject = fresh_subject();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let (_, admission) =
            try_sign_in(&**given.store(), &subject, &new_record(), refuse(3)).await;
        admission.admitted_alone();
    }
    for (id, record) in given.store().sessions_of(&subject).await.unwrap() {
        sessions.push((id, record));
    }
    for _ in 0..3 {
        is_refused(&given, &subject, refuse(3)).await;
    }
    for (id, record) in &sessions {
        assert_eq!(given.load(*id).await.live(), *record);
    }
    assert!(given.store().delete(sessions[1].0).await.unwrap());
    let (_, ended) = sign_in(&given, &subject, refuse(3)).await;
    assert_eq!(ended, []);
    is_refused(&given, &subject, refuse(3)).await;
}

const N: usize = 3;

/// SECURITY 38
async fn clause_11_n_plus_fifty_concurrent_sign_ins_leave_exactly_n(given: Context) {
    for _ in 0..4 {
        let subject = fresh_subject();
        let answers = together(N + 50, |task| {
            let (store, subject) = (given.handle(task), subject.clone());
            async move {
                let new = new_record();
                let (id, admission) = try_sign_in(&*store, &subject, &new, end_oldest(N)).await;
                (id, admission.admitted().1)
            }
        });
        let answers = answers.await;
        let admitted: BTreeSet<_> = answers.iter().map(|(id, _)| *id).collect();
        let ended: Vec<_> = answers.into_iter().flat_map(|(_, ended)| ended).collect();
        let ended_once: BTreeSet<_> = ended.iter().copied().collect();
        assert_eq!(
            ended.len(),
            50,
            "each sign-in beyond the limit ends one session"
        );
        assert_eq!(ended_once.len(), 50, "no session is ended twice");
        let left: Vec<_> = admitted.difference(&ended_once).copied().collect();
        assert_eq!(given.listed(&subject).await, left);
        for id in &ended {
            given.load(*id).await.dead();
        }
        for id in &left {
            given.load(*id).await.live();
        }
    }
}

/// SECURITY 38
async fn clause_11_n_plus_fifty_concurrent_sign_ins_admit_exactly_n(given: Context) {
    for _ in 0..4 {
        let subject = fresh_subject();
        let admitted = together(N + 50, |task| {
            let (store, subject) = (given.handle(task), subject.clone());
            async move {
                let new = new_record();
                match try_sign_in(&*store, &subject, &new, refuse(N)).await {
                    (id, Ok(Admission::Admitted { ended, .. })) => {
                        assert_eq!(ended, []);
                        Some(id)
                    }
                    (_, Ok(Admission::LimitReached)) => None,
                    (_, other) => panic!("neither admitted nor refused: {other:?}"),
                }
            }
        });
        let admitted = sorted(admitted.await.into_iter().flatten());
        assert_eq!(
            admitted.len(),
            N,
            "exactly as many as the limit are admitted"
        );
        assert_eq!(given.listed(&subject).await, admitted);
    }
}

async fn clause_11_no_list_ever_shows_more_than_the_limit(given: Context) {
    for limit in [end_oldest(N), refuse(N)] {
        let subject = fresh_subject();
        let is_over = Arc::new(AtomicBool::new(false));
        let most = together(14, |task| {
            let (store, subject) = (given.handle(task), subject.clone());
            let is_over = Arc::clone(&is_over);
            async move {
                let mut most = 0;
                if task < 12 {
                    for _ in 0..6 {
                        try_sign_in(&*store, &subject, &new_record(), limit)
                            .await
                            .1
                            .unwrap();
                        yield_now().await;
                    }
                    is_over.store(true, Ordering::SeqCst);
                }
                while !is_over.load(Ordering::SeqCst) {
                    most = most.max(listed(&*store, &subject).await.len());
                    yield_now().await;
                }
                most
            }
        });
        let most = most.await.into_iter().max().unwrap();
        assert!(most <= N, "{most} sessions were usable at once");
        assert_eq!(given.listed(&subject).await.len(), N);
    }
}

async fn clause_11_a_limit_concerns_its_subject_only(given: Context) {
    let (other, kept) = given.some_user().await;
    let visitor = given.visitor().await;
    let subject = fresh_subject();
    for _ in 0..3 {
        sign_in(&given, &subject, end_oldest(1)).await;
    }
    assert_eq!(given.listed(&subject).await.len(), 1);
    assert_eq!(given.listed(&other).await, [kept.id]);
    given.load(visitor.id).await.live();
    given.load(kept.id).await.live();
}

async fn clause_11_without_a_limit_nothing_ends(given: Context) {
    let subject = fresh_subject();
    for count in 1..=20 {
        let (_, ended) = sign_in(&given, &subject, None).await;
        assert_eq!(ended, []);
        assert_eq!(given.listed(&subject).await.len(), count);
    }
}

async fn clause_11_a_lower_limit_ends_as_many_as_it_takes(given: Context) {
    let subject = fresh_subject();
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(later(&given, &subject).await);
    }
    is_refused(&given, &subject, refuse(2)).await;
    let (id, ended) = sign_in(&given, &subject, end_oldest(2)).await;
    let order = oldest_first(&sessions);
    assert_eq!(sorted(ended), sorted(order[..4].iter().copied()));
    assert_eq!(given.listed(&subject).await, sorted([order[4], id]));
}

async fn clause_11_the_dead_do_not_count(given: Context) {
    let subject = fresh_subject();
    let first = presented(&given, &subject, None).await;
    let second = presented(&given, &subject, None).await;
    assert!(given.store().delete(first.id).await.unwrap());
    let (third, ended) = sign_in(&given, &subject, refuse(2)).await;
    assert_eq!(ended, []);
    is_refused(&given, &subject, refuse(2)).await;
    given.store().revoke(&subject, Some(third)).await.unwrap();
    given.load(second.id).await.dead();
    let (_, ended) = sign_in(&given, &subject, end_oldest(2)).await;
    assert_eq!(ended, []);
}

async fn clause_11_the_expired_do_not_count(given: Context) {
    for limit in [refuse(2), end_oldest(2)] {
        let subject = fresh_subject();
        let short = Timeouts::new(mins(5));
        for _ in 0..2 {
            given.user_for(&subject, short).await;
        }
        given.advance(mins(5));
        for _ in 0..2 {
            let (_, ended) = sign_in(&given, &subject, limit).await;
            assert_eq!(ended, []);
        }
        assert_eq!(given.listed(&subject).await.len(), 2);
    }
}

async fn clause_11_refused_sign_ins_are_refused_before_their_size_is_judged(given: Context) {
    let subject = fresh_subject();
    let user = presented(&given, &subject, None).await;
    let over = json_of(given.store().facts().bounds.value_bytes + 1);
    let large = new_record().with_entries([(name("over"), over)]);
    let store = &**given.store();
    try_sign_in(store, &subject, &large, refuse(1))
        .await
        .1
        .limit_reached();
    let (_, too_large) = try_sign_in(store, &subject, &large, end_oldest(1)).await;
    too_large.refused(ErrorKind::TooLarge);
    assert_eq!(given.load(user.id).await.live(), user.record);
    assert_eq!(given.listed(&subject).await, [user.id]);
}
