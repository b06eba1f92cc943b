//! Changes through a cache, and what is known of a session after them.

use session_core::{Application, Change, SessionStore};

use crate::{any, cached, create, leased, set};

#[tokio::test(start_paused = true)]
async fn what_a_change_gave_is_the_copy() {
    let (source, cache) = cached();
    let id = create(&cache).await;
    leased(&cache).await;
    for round in 0..10 {
        let value = round.to_string();
        cache.apply(id, &set("a", &value), None).await.unwrap();
        assert_eq!(any(&cache, id).await.unwrap().get("a"), Some(&*value));
    }
    assert_eq!(source.loads(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_change_is_refused_or_guarded_by_a_copy() {
    let (source, cache) = cached();
    let id = create(&cache).await;
    leased(&cache).await;
    let copy = any(&cache, id).await.unwrap();
    let elsewhere = source.apply(id, &set("a", "1"), None).await.unwrap();
    let Application::Applied { record, .. } = elsewhere else {
        panic!("{elsewhere:?}")
    };
    assert_eq!(any(&cache, id).await.unwrap(), copy, "it is stale");
    let guarded = |revision| set("a", "2").guarded_by(revision);
    let (by_copy, by_source) = (guarded(copy.revision()), guarded(record.revision()));
    let refused = cache.apply(id, &by_copy, Some(&copy)).await;
    assert!(matches!(refused, Ok(Application::Conflict)));
    let applied = cache.apply(id, &by_source, Some(&copy)).await;
    assert!(matches!(applied, Ok(Application::Applied { .. })));

    source.delete(id).await.unwrap();
    let late = cache.apply(id, &Change::new().touch(), Some(&copy)).await;
    assert!(matches!(late, Ok(Application::Absent)));
}

/// A change elsewhere to another entry is not undone by one that begins from a stale copy.
#[tokio::test(start_paused = true)]
async fn no_change_loses_another_because_of_a_copy() {
    let (source, cache) = cached();
    let id = create(&cache).await;
    leased(&cache).await;
    source.apply(id, &set("a", "1"), None).await.unwrap();
    let copy = any(&cache, id).await.unwrap();
    assert_eq!(copy.get("a"), None, "it is stale");
    let applied = cache.apply(id, &set("b", "2"), Some(&copy)).await.unwrap();
    let Application::Applied { record, .. } = applied else {
        panic!("{applied:?}")
    };
    assert_eq!((record.get("a"), record.get("b")), (Some("1"), Some("2")));
    assert_eq!(any(&cache, id).await.unwrap(), record);
}
