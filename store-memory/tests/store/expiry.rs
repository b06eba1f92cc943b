//! Expired sessions leave memory: unread, in bounded steps, without a walk over the others.

use std::time::Duration;

use session_core::{
    Change, Creation, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Timeouts,
};
use store_memory::MemoryStore;

use crate::{MINUTE, apply, create, living, load, new_record, store};

async fn purge(store: &MemoryStore, batch: usize) -> usize {
    store
        .abilities()
        .purge
        .unwrap()
        .purge_expired(batch)
        .await
        .unwrap()
}

#[tokio::test]
async fn writes_to_one_session_let_all_expired_ones_go() {
    let (store, clock) = store(|builder| builder);
    let kept = create(&store, &living(60 * MINUTE)).await.unwrap();
    for _ in 0..5_000 {
        create(&store, &living(MINUTE)).await.unwrap();
    }
    clock.advance(MINUTE);
    for _ in 0..1_024 {
        apply(&store, kept, &Change::new()).await.unwrap();
    }
    assert_eq!(store.usage().sessions, 1);
}

#[tokio::test]
async fn a_write_lets_some_go_that_share_its_lock() {
    let (store, clock) = store(|builder| builder);
    for _ in 0..4 {
        let id = SessionId::generate(Shard::new(7));
        store.create(id, &living(MINUTE)).await.unwrap();
    }
    clock.advance(MINUTE);
    let id = SessionId::generate(Shard::new(7));
    store.create(id, &living(MINUTE)).await.unwrap();
    assert_eq!(store.usage().sessions, 1);
}

#[tokio::test]
async fn a_store_that_churns_holds_little_more_than_what_lives() {
    let (store, clock) = store(|builder| builder);
    for _ in 0..100 {
        for _ in 0..100 {
            create(&store, &living(MINUTE)).await.unwrap();
        }
        clock.advance(Duration::from_secs(6));
    }
    // 1,000 live at a time, of 10,000.
    assert!(store.usage().sessions < 1_500, "{:?}", store.usage());
}

/// SECURITY 43
#[tokio::test]
async fn a_purge_removes_at_most_its_batch_and_every_one_in_the_end() {
    let (store, clock) = store(|builder| builder);
    for number in 0..300 {
        // Most of them in one place.
        let shard = Shard::new(if number < 250 { 7 } else { number });
        let id = SessionId::generate(shard);
        store.create(id, &living(MINUTE)).await.unwrap();
    }
    let kept = create(&store, &new_record()).await.unwrap();
    assert_eq!(purge(&store, 1_000).await, 0);
    clock.advance(MINUTE);
    assert_eq!(purge(&store, 0).await, 0);
    assert_eq!(purge(&store, 100).await, 100);
    assert_eq!(store.usage().sessions, 201);
    assert_eq!(purge(&store, 1_000).await, 200);
    assert_eq!(purge(&store, 1_000).await, 0);
    assert!(load(&store, kept).await.is_some());
}

#[tokio::test]
async fn a_session_in_use_outlives_its_first_turn_and_goes_at_its_last() {
    let (store, clock) = store(|builder| builder);
    let timeouts = Timeouts::new(60 * MINUTE).with_idle(10 * MINUTE);
    let new = NewRecord::new(SessionSecret::generate().hash(), timeouts);
    let id = create(&store, &new).await.unwrap();
    for _ in 0..5 {
        clock.advance(9 * MINUTE);
        apply(&store, id, &Change::new().touch()).await.unwrap();
        assert_eq!(purge(&store, 10).await, 0);
        assert!(load(&store, id).await.is_some());
    }
    clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert_eq!(purge(&store, 10).await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(purge(&store, 10).await, 1);
}

#[tokio::test]
async fn a_shortened_session_goes_when_it_now_expires() {
    let (store, clock) = store(|builder| builder);
    let id = create(&store, &living(60 * MINUTE)).await.unwrap();
    apply(&store, id, &Change::new().shorten(MINUTE))
        .await
        .unwrap();
    clock.advance(MINUTE);
    assert_eq!(purge(&store, 10).await, 1);
    assert_eq!(store.usage().sessions, 0);
}

#[tokio::test]
async fn what_an_end_leaves_goes_after_a_minute() {
    let (store, clock) = store(|builder| builder);
    let id = create(&store, &living(60 * MINUTE)).await.unwrap();
    assert!(store.delete(id).await.unwrap());
    clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(purge(&store, 10).await, 0);
    assert_eq!(store.usage().ended, 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(purge(&store, 10).await, 0, "it was no session any more");
    assert_eq!(store.usage().ended, 0);
}

#[tokio::test]
async fn an_expired_session_leaves_nothing_behind_under_its_id() {
    let (store, clock) = store(|builder| builder.max_sessions(1_000));
    let ids: Vec<_> = (0..50)
        .map(|_| SessionId::generate(Shard::new(7)))
        .collect();
    for _ in 0..10 {
        // More than one write looks after.
        for id in ids.iter().rev() {
            assert!(load(&store, *id).await.is_none());
            let creation = store.create(*id, &living(MINUTE)).await.unwrap();
            assert!(matches!(creation, Creation::Created(_)));
            assert!(load(&store, *id).await.is_some());
        }
        assert_eq!(store.usage().sessions, ids.len());
        clock.advance(MINUTE);
        assert!(!store.delete(ids[49]).await.unwrap());
    }
    while purge(&store, 10).await > 0 {}
    assert_eq!((store.usage().sessions, store.usage().bytes), (0, 0));
}
