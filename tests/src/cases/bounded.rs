//! A store that holds a stated number of sessions: it refuses, and never drops one.

use std::num::NonZeroUsize;

use session_core::{
    ErrorKind, Freshness, LimitPolicy, SessionId, SharedStore, SignInLimit, Timeouts,
};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectCreation, ExpectLoaded, ExpectRefusal};
use crate::sample::{mins, new_record, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        bounded_refuses_visitors_at_80_percent_and_users_at_100: Bounded,
        bounded_drops_no_live_session: Bounded,
        bounded_takes_new_sessions_once_others_have_ended: Bounded,
        bounded_takes_new_sessions_once_others_have_expired: Bounded + Clock,
        bounded_takes_a_sign_in_that_ends_another: Bounded,
    ]
}

const MAX: usize = 50;

async fn visitor(store: &SharedStore) -> SessionId {
    let id = fresh_id();
    store.create(id, &new_record()).await.created();
    id
}

async fn user(store: &SharedStore) -> SessionId {
    let (id, admission) = try_user(store).await;
    admission.admitted_alone();
    id
}

async fn try_user(
    store: &SharedStore,
) -> (
    SessionId,
    Result<session_core::Admission, session_core::StoreError>,
) {
    let subject = fresh_subject();
    let id = SessionId::generate(store.facts().sharding.shard_of(&subject));
    let ticket = store.ticket(&subject).await.unwrap();
    (id, store.sign_in(&ticket, id, &new_record(), None).await)
}

async fn bounded_refuses_visitors_at_80_percent_and_users_at_100(given: Context) {
    let opened = given.bounded(MAX).await;
    let store = &opened.handles()[0];
    for _ in 0..MAX * 4 / 5 {
        visitor(store).await;
    }
    let id = fresh_id();
    store
        .create(id, &new_record())
        .await
        .refused(ErrorKind::Full);
    store.load(id, Freshness::Source).await.absent();
    for _ in 0..MAX / 5 {
        user(store).await;
    }
    store
        .create(id, &new_record())
        .await
        .refused(ErrorKind::Full);
    let (id, admission) = try_user(store).await;
    admission.refused(ErrorKind::Full);
    store.load(id, Freshness::Source).await.absent();
}

async fn bounded_drops_no_live_session(given: Context) {
    let opened = given.bounded(MAX).await;
    let store = &opened.handles()[0];
    let mut ids = Vec::new();
    for _ in 0..MAX {
        ids.push(user(store).await);
    }
    for _ in 0..3 * MAX {
        store
            .create(fresh_id(), &new_record())
            .await
            .refused(ErrorKind::Full);
        try_user(store).await.1.refused(ErrorKind::Full);
    }
    for id in ids {
        store.load(id, Freshness::Source).await.live();
        store.apply(id, &touch(), None).await.unwrap();
    }
}

async fn bounded_takes_new_sessions_once_others_have_ended(given: Context) {
    let opened = given.bounded(MAX).await;
    let store = &opened.handles()[0];
    for _ in 0..3 {
        let mut ids = Vec::new();
        for _ in 0..MAX {
            ids.push(user(store).await);
        }
        try_user(store).await.1.refused(ErrorKind::Full);
        for id in ids {
            assert!(store.delete(id).await.unwrap());
        }
        let id = visitor(store).await;
        assert!(store.delete(id).await.unwrap());
    }
}

async fn bounded_takes_new_sessions_once_others_have_expired(given: Context) {
    let opened = given.bounded(MAX).await;
    let store = &opened.handles()[0];
    let short = Timeouts::new(mins(1));
    for _ in 0..3 {
        for _ in 0..MAX * 4 / 5 {
            let new = session_core::NewRecord::new(fresh_secret(), short);
            store.create(fresh_id(), &new).await.created();
        }
        store
            .create(fresh_id(), &new_record())
            .await
            .refused(ErrorKind::Full);
        given.advance(mins(1));
    }
    visitor(store).await;
}

async fn bounded_takes_a_sign_in_that_ends_another(given: Context) {
    let opened = given.bounded(MAX).await;
    let store = &opened.handles()[0];
    let subject = fresh_subject();
    let limit = SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let shard = store.facts().sharding.shard_of(&subject);
    let sign_in = async || {
        let (ticket, id) = (
            store.ticket(&subject).await.unwrap(),
            SessionId::generate(shard),
        );
        let admission = store.sign_in(&ticket, id, &new_record(), Some(limit)).await;
        (id, admission.admitted().1)
    };
    let (first, _) = sign_in().await;
    for _ in 1..MAX {
        user(store).await;
    }
    let (_, ended) = sign_in().await;
    assert_eq!(ended, [first]);
}
