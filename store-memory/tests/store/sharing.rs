//! What is shared, and what is not.

use session_core::{Change, Clock, SessionStore, Subject};
use store_memory::MemoryStore;

use crate::{apply, create, load, new_record, set, sign_in, store};

#[tokio::test]
async fn a_load_hands_out_the_record_itself() {
    let (store, _) = store(|builder| builder);
    let id = create(&store, &new_record()).await.unwrap();
    apply(&store, id, &set("a", 10_000)).await.unwrap();
    let (one, other) = (load(&store, id).await, load(&store, id).await);
    assert!(std::ptr::eq(
        one.unwrap().as_bytes(),
        other.unwrap().as_bytes()
    ));
}

#[tokio::test]
async fn a_touch_within_the_millisecond_of_the_last_one_copies_nothing() {
    let (store, clock) = store(|builder| builder);
    let id = create(&store, &new_record()).await.unwrap();
    let before = load(&store, id).await.unwrap();
    let after = apply(&store, id, &Change::new().touch()).await.unwrap();
    assert!(std::ptr::eq(before.as_bytes(), after.as_bytes()));
    clock.advance(std::time::Duration::from_millis(1));
    let after = apply(&store, id, &Change::new().touch()).await.unwrap();
    assert_eq!(after.last_seen_at(), clock.now());
}

#[tokio::test]
async fn two_stores_share_nothing() {
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let id = sign_in(&one, "alice").await.unwrap();
    assert!(load(&other, id).await.is_none());
    let alice = Subject::new("alice").unwrap();
    assert_eq!(other.revoke(&alice, None).await.unwrap(), []);
    assert!(load(&one, id).await.is_some());
}

#[tokio::test]
async fn a_subject_with_thousands_of_sessions_is_listed_and_revoked_whole() {
    let (store, _) = store(|builder| builder);
    let mut ids = Vec::new();
    for _ in 0..5_000 {
        ids.push(sign_in(&store, "robot").await.unwrap());
    }
    let robot = Subject::new("robot").unwrap();
    assert_eq!(store.sessions_of(&robot).await.unwrap().len(), 5_000);
    let ended = store.revoke(&robot, ids.first().copied()).await.unwrap();
    assert_eq!(ended.len(), 4_999);
    let left = store.sessions_of(&robot).await.unwrap();
    assert_eq!(
        left.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
        ids[..1]
    );
}
