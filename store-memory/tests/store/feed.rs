//! What the feed of this store says besides what the suite asks for.

use session_core::{Change, FeedItem, Renewal, SessionSecret, SessionStore};

use crate::{MINUTE, apply, create, living, new_record, set, sign_in, store};

#[tokio::test]
async fn one_sessions_items_come_in_the_order_in_which_they_happened() {
    let (store, _) = store(|builder| builder);
    let mut feed = store.abilities().watch.unwrap().watch();
    let id = sign_in(&store, "alice").await.unwrap();
    let first = crate::load(&store, id)
        .await
        .unwrap()
        .slots()
        .next()
        .unwrap();
    let renewal = Renewal {
        issue: SessionSecret::generate().hash(),
        replaces: first.hash,
        soft: false,
    };
    apply(&store, id, &Change::new().promote(first.hash))
        .await
        .unwrap();
    apply(&store, id, &set("a", 10).touch()).await.unwrap();
    apply(&store, id, &Change::new().promote(first.hash))
        .await
        .unwrap();
    apply(&store, id, &Change::new().touch()).await.unwrap();
    apply(&store, id, &set("a", 11).renew(renewal))
        .await
        .unwrap();
    store.delete(id).await.unwrap();
    store.delete(id).await.unwrap();
    let other = create(&store, &new_record()).await.unwrap();
    store.delete(other).await.unwrap();
    let expected = [
        FeedItem::Renewed(id),
        FeedItem::Changed(id),
        FeedItem::Renewed(id),
        FeedItem::Changed(id),
        FeedItem::Ended(id),
        FeedItem::Ended(other),
    ];
    for item in expected {
        assert_eq!(feed.next().await, Some(item));
    }
}

#[tokio::test]
async fn an_expired_session_is_told_once_when_it_is_removed() {
    let (store, clock) = store(|builder| builder);
    let mut feed = store.abilities().watch.unwrap().watch();
    let id = create(&store, &living(MINUTE)).await.unwrap();
    clock.advance(MINUTE);
    assert!(!store.delete(id).await.unwrap());
    let purge = store.abilities().purge.unwrap();
    assert_eq!(purge.purge_expired(10).await.unwrap(), 0, "delete looked");
    let other = create(&store, &living(MINUTE)).await.unwrap();
    store.delete(other).await.unwrap();
    clock.advance(MINUTE);
    assert_eq!(purge.purge_expired(10).await.unwrap(), 0);
    let last = create(&store, &new_record()).await.unwrap();
    store.delete(last).await.unwrap();
    assert_eq!(feed.next().await, Some(FeedItem::Expired(id)));
    assert_eq!(feed.next().await, Some(FeedItem::Ended(other)));
    assert_eq!(feed.next().await, Some(FeedItem::Ended(last)));
}

#[tokio::test]
async fn a_feed_ends_with_the_last_clone_of_its_store() {
    let (store, _) = store(|builder| builder);
    let clone = store.clone();
    let mut feed = store.abilities().watch.unwrap().watch();
    drop(store);
    let id = create(&clone, &new_record()).await.unwrap();
    clone.delete(id).await.unwrap();
    drop(clone);
    assert_eq!(feed.next().await, Some(FeedItem::Ended(id)));
    assert_eq!(feed.next().await, None);
}
