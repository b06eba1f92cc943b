//! The bound, whatever becomes of the feed. Time is paused: seconds pass at once.

use std::time::Duration;

use session_core::{FeedItem, SessionStore};
use tokio::time::sleep;

use crate::rng::Rng;
use crate::source::Way;
use crate::{BOUND, any, cached, create, heard, leased};

const STEP: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn it_answers_from_memory_while_the_feed_is_open_or_not_too_slow() {
    for way in [Way::Open, Way::Slow(BOUND / 10), Way::Slow(BOUND / 2)] {
        let (source, cache) = cached();
        source.set_way(way);
        let id = create(&cache).await;
        sleep(BOUND).await;
        let loads = source.loads();
        for _ in 0..1000 {
            assert!(any(&cache, id).await.is_some());
            sleep(STEP).await;
        }
        assert_eq!(source.loads(), loads, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_falls_back_to_the_source_when_the_feed_is_cut_or_stuck_or_slower_than_the_bound() {
    for way in [Way::Cut, Way::Stuck, Way::Slow(BOUND)] {
        let (source, cache) = cached();
        let id = create(&cache).await;
        leased(&cache).await;
        source.set_way(way);
        sleep(BOUND).await;
        let loads = source.loads();
        for asked in 1..=100 {
            assert!(any(&cache, id).await.is_some());
            sleep(STEP).await;
            assert_eq!(source.loads(), loads + asked, "{way:?}");
        }
        // And it comes back.
        source.set_way(Way::Open);
        sleep(BOUND).await;
        assert!(cache.usage().holds_lease);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_elsewhere_is_refused_at_once_when_that_is_told() {
    let (source, cache) = cached();
    let id = create(&cache).await;
    leased(&cache).await;
    assert!(any(&cache, id).await.is_some());
    source.delete(id).await.unwrap();
    heard().await;
    assert!(any(&cache, id).await.is_none());
}

/// The way changes at random, and with it what becomes of what is on it. Nothing that ended is ever served
/// for longer than the bound.
#[tokio::test(start_paused = true)]
async fn no_end_is_missed_for_longer_than_the_bound_whatever_becomes_of_the_feed() {
    let (mut served_late, mut longest) = (0, Duration::ZERO);
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let (source, cache) = cached();
        let id = create(&cache).await;
        let ends_at = STEP * u32::try_from(50 + rng.below(200)).unwrap();
        let (mut at, mut next_way) = (Duration::ZERO, Duration::ZERO);
        while at < ends_at + BOUND * 2 {
            if at >= next_way {
                source.set_way(match rng.below(6) {
                    0 => Way::Cut,
                    1 => Way::Stuck,
                    2 | 3 => Way::Slow(STEP * u32::try_from(rng.below(110)).unwrap()),
                    _ => Way::Open,
                });
                next_way = at + STEP * u32::try_from(1 + rng.below(80)).unwrap();
            }
            if at == ends_at {
                assert!(source.delete(id).await.unwrap());
            }
            let is_live = any(&cache, id).await.is_some();
            if at < ends_at {
                assert!(is_live, "seed {seed}: a live session was refused at {at:?}");
            } else if is_live {
                let late = at - ends_at;
                assert!(late < BOUND, "seed {seed}: served {late:?} after its end");
                served_late += 1;
                longest = longest.max(late);
            }
            sleep(STEP).await;
            at += STEP;
        }
    }
    // The faults were such that it mattered.
    assert!(served_late > 1000, "{served_late}");
    assert!(longest > BOUND * 9 / 10, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_takes_all_copies_and_the_lease() {
    let (source, cache) = cached();
    let id = create(&cache).await;
    leased(&cache).await;
    let loads = source.loads();
    assert!(any(&cache, id).await.is_some());
    assert_eq!(source.loads(), loads);
    source.tell(FeedItem::Gap);
    heard().await;
    assert!(!cache.usage().holds_lease);
    assert!(any(&cache, id).await.is_some());
    assert_eq!(source.loads(), loads + 1);
    sleep(BOUND).await;
    assert!(any(&cache, id).await.is_some());
    assert_eq!(source.loads(), loads + 1, "loaded since, so a copy again");
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_the_last_clone() {
    let (source, cache) = cached();
    let clone = cache.clone();
    drop(cache);
    sleep(BOUND).await;
    assert!(clone.usage().holds_lease);
    drop(clone);
    let mut feed = session_core::Watch::watch(&source);
    let nothing = tokio::time::timeout(BOUND, feed.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}
