//! Who shares a load with whom.

use session_core::{ErrorKind, Freshness, SessionId, SessionStore, Shard};
use tokio::task::JoinHandle;

use crate::{any, cached, create, heard, leased};

type Asking = JoinHandle<Result<session_core::Loaded, session_core::StoreError>>;

fn asks(cache: &store_memory::Cached<crate::source::Source>, id: SessionId) -> Asking {
    let cache = cache.clone();
    tokio::spawn(async move { cache.load(id, Freshness::Source).await })
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_while_a_load_runs_share_the_next_one() {
    let (source, cache) = cached();
    let id = create(&source).await;
    source.hold_loads(true);
    let first = asks(&cache, id);
    heard().await;
    assert_eq!(source.loads(), 1);
    let others: Vec<_> = (0..50).map(|_| asks(&cache, id)).collect();
    let elsewhere = asks(&cache, create(&source).await);
    heard().await;
    assert_eq!(source.loads(), 2, "another session waits for nobody");
    source.hold_loads(false);
    for asking in others.into_iter().chain([first, elsewhere]) {
        let loaded = asking.await.unwrap().unwrap();
        assert!(matches!(loaded, session_core::Loaded::Live(_)));
    }
    assert_eq!(source.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_question_is_answered_by_a_load_that_began_before_it() {
    let (source, cache) = cached();
    let id = create(&source).await;
    source.hold_loads(true);
    let before = asks(&cache, id);
    heard().await;
    assert!(source.delete(id).await.unwrap());
    let after = asks(&cache, id);
    heard().await;
    source.hold_loads(false);
    let before = before.await.unwrap().unwrap();
    assert!(matches!(before, session_core::Loaded::Live(_)));
    let after = after.await.unwrap().unwrap();
    assert!(matches!(after, session_core::Loaded::Ended(_)), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_no_is_asked_for_each_time() {
    let (source, cache) = cached();
    leased(&cache).await;
    let id = SessionId::generate(Shard::random());
    for asked in 1..=10 {
        assert!(any(&cache, id).await.is_none());
        assert_eq!(source.loads(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_goes_away_takes_the_answer_from_nobody() {
    let (source, cache) = cached();
    let id = create(&source).await;
    source.hold_loads(true);
    let first = asks(&cache, id);
    heard().await;
    let second = asks(&cache, id);
    heard().await;
    first.abort();
    heard().await;
    source.hold_loads(false);
    assert!(second.await.unwrap().is_ok());
    assert!(asks(&cache, id).await.unwrap().is_ok());
    assert_eq!(source.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn all_who_share_a_load_are_told_why_it_failed() {
    let (source, cache) = cached();
    let id = create(&source).await;
    source.hold_loads(true);
    source.fail_loads(Some(ErrorKind::Corrupt));
    let asking: Vec<_> = (0..5).map(|_| asks(&cache, id)).collect();
    heard().await;
    source.hold_loads(false);
    for asking in asking {
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let mut reasons = vec![error.to_string()];
        let mut reason = std::error::Error::source(&error);
        while let Some(because) = reason {
            reasons.push(because.to_string());
            reason = because.source();
        }
        assert!(
            reasons.iter().any(|why| why == "told to fail"),
            "{reasons:?}"
        );
    }
    source.fail_loads(None);
    assert!(asks(&cache, id).await.unwrap().is_ok());
}
