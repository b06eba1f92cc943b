//! Which copies are answered from, and how many there are.

use std::time::Duration;

use session_core::{ErrorKind, ManualClock, NewRecord, SessionSecret, SessionStore, Timeouts};
use store_memory::{Cached, CachedBuilder};
use tokio::time::sleep;

use crate::source::Source;
use crate::{BOUND, any, cached_by, create, create_of, leased, set};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn entries_that_another_server_changed_are_seen_within_the_age_of_a_copy() {
    let (source, cache) = cached_by(|builder| builder.max_age(BOUND / 2));
    let id = create(&cache).await;
    leased(&cache).await;
    source.apply(id, &set("a", "1"), None).await.unwrap();
    assert_eq!(any(&cache, id).await.unwrap().get("a"), None);
    sleep(BOUND / 2).await;
    assert_eq!(any(&cache, id).await.unwrap().get("a"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn copies_grow_no_older_than_the_bound_unless_told() {
    let clock = ManualClock::default();
    let source = Source::new(clock.clone());
    let cache = Cached::builder(source.clone(), BOUND).clock(clock).start();
    let cache = cache.unwrap();
    let id = create(&cache).await;
    leased(&cache).await;
    sleep(BOUND - Duration::from_millis(100)).await;
    assert!(any(&cache, id).await.is_some());
    assert_eq!(source.loads(), 0);
    sleep(Duration::from_millis(100)).await;
    assert!(any(&cache, id).await.is_some());
    assert_eq!(source.loads(), 1);
}

/// A session that expired by its copy may have been used elsewhere since: only the source knows.
#[tokio::test(start_paused = true)]
async fn a_copy_that_expired_is_no_answer() {
    let clock = ManualClock::default();
    let source = Source::new(clock.clone());
    let builder = Cached::builder(source.clone(), 60 * MINUTE).clock(clock.clone());
    let cache = builder.max_age(60 * MINUTE).start().unwrap();
    let timeouts = Timeouts::new(60 * MINUTE).with_idle(MINUTE);
    let new = NewRecord::new(SessionSecret::generate().hash(), timeouts);
    let (used, unused) = (create_of(&cache, &new).await, create_of(&cache, &new).await);
    leased(&cache).await;
    clock.advance(MINUTE / 2);
    let touch = session_core::Change::new().touch();
    source.apply(used, &touch, None).await.unwrap();
    clock.advance(MINUTE / 2);
    assert!(cache.usage().holds_lease);
    assert!(any(&cache, used).await.is_some());
    assert!(any(&cache, unused).await.is_none());
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_prolongs_nothing_and_one_set_forward_asks_the_source() {
    let clock = ManualClock::default();
    let source = Source::new(clock.clone());
    let cache = Cached::builder(source.clone(), BOUND).clock(clock.clone());
    let cache = cache.start().unwrap();
    let id = create(&cache).await;
    leased(&cache).await;
    let now = session_core::Clock::now(&clock);
    clock.set(now - MINUTE);
    source.set_way(crate::source::Way::Stuck);
    sleep(BOUND).await;
    assert!(!cache.usage().holds_lease);
    clock.set(now);
    source.set_way(crate::source::Way::Open);
    sleep(BOUND).await;
    assert!(cache.usage().holds_lease);
    clock.advance(BOUND);
    assert!(!cache.usage().holds_lease);
    assert!(any(&cache, id).await.is_some());
}

#[tokio::test]
async fn there_are_no_more_copies_than_told_in_number_and_in_bytes() {
    let many = 2_000;
    for set_up in [
        |builder: CachedBuilder<Source>| builder.max_copies(100),
        |builder: CachedBuilder<Source>| builder.max_bytes(100 * 1_000),
    ] {
        let (source, cache) = cached_by(set_up);
        leased(&cache).await;
        let mut ids = Vec::new();
        for _ in 0..many {
            ids.push(create(&cache).await);
        }
        for id in ids {
            assert!(any(&cache, id).await.is_some(), "a load at most");
        }
        assert!(cache.usage().copies <= 200, "{:?}", cache.usage());
        assert!(source.loads() >= many - 200);
    }
}

#[tokio::test]
async fn a_source_that_tells_nothing_is_refused() {
    let silent = Source::new(ManualClock::default());
    silent.tells_nothing();
    let refused = Cached::builder(silent, BOUND).start().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    let outside = std::thread::spawn(|| {
        let source = store_memory::MemoryStore::new();
        Cached::builder(source, BOUND).start().unwrap_err().kind()
    });
    assert_eq!(outside.join().unwrap(), ErrorKind::Config);
}
