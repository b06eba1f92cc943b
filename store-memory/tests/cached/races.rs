//! Loads, changes and ends that overtake each other, by seeds: one seed, one order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Application, Freshness, SessionId, SessionStore};
use store_memory::Cached;

use crate::rng::Rng;
use crate::source::Source;
use crate::{any, cached, create, heard, leased, load, new_record, set};

const SEEDS: u64 = 1000;

async fn after_a_while(rng: &mut Rng) {
    for _ in 0..rng.below(16) {
        tokio::task::yield_now().await;
    }
}

/// Fills race with the end of a session, through this cache or through another. From when the end was
/// acknowledged here, or heard, the session is dead to every later question, and no late fill revives it.
#[tokio::test(start_paused = true)]
async fn no_fill_that_races_with_an_end_outlives_it() {
    let (mut filled_before, mut found_dead, mut filled_across) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::new(seed);
        let (source, cache) = cached();
        let id = create(&source).await;
        leased(&cache).await;
        source.pause_by(seed);
        let ended = Arc::new(AtomicBool::new(false));
        let fills: Vec<_> = (0..4)
            .map(|fill| {
                let (cache, ended) = (cache.clone(), Arc::clone(&ended));
                let mut rng = Rng::new(seed ^ fill << 32);
                tokio::spawn(async move {
                    let mut answers = Vec::new();
                    for _ in 0..4 {
                        after_a_while(&mut rng).await;
                        let was_ended = ended.load(Ordering::SeqCst);
                        let freshness = match rng.below(3) {
                            0 => Freshness::Source,
                            _ => Freshness::Any,
                        };
                        let is_live = load(&cache, id, freshness).await.is_some();
                        let is_ended = ended.load(Ordering::SeqCst);
                        answers.push((was_ended, is_live, is_ended));
                    }
                    answers
                })
            })
            .collect();
        let changes = tokio::spawn({
            let (cache, mut rng) = (cache.clone(), Rng::new(!seed));
            async move {
                after_a_while(&mut rng).await;
                cache.apply(id, &set("a", "1"), None).await.unwrap();
            }
        });
        after_a_while(&mut rng).await;
        // Some fills that have read the living session come back with it only after its end.
        source.hold_loads(seed % 3 == 0);
        after_a_while(&mut rng).await;
        if seed % 2 == 0 {
            assert!(cache.delete(id).await.unwrap());
        } else {
            assert!(source.delete(id).await.unwrap());
            // Long enough for what is told to be heard, not for all that is under way.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
        ended.store(true, Ordering::SeqCst);
        source.hold_loads(false);
        assert!(any(&cache, id).await.is_none(), "seed {seed}");
        for fill in fills {
            for (was_ended, is_live, is_ended) in fill.await.unwrap() {
                assert!(!(was_ended && is_live), "seed {seed}: live after its end");
                filled_before += u32::from(is_live && !is_ended);
                filled_across += u32::from(is_live && is_ended);
                found_dead += u32::from(!is_live);
            }
        }
        changes.await.unwrap();
        heard().await;
        for _ in 0..2 {
            assert!(any(&cache, id).await.is_none(), "seed {seed}: revived");
        }
    }
    let counts = [filled_before, filled_across, found_dead];
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

/// Changes through one cache race with each other and with fills. Whoever reads after a change was
/// acknowledged reads it, whatever was on its way meanwhile.
#[tokio::test(start_paused = true)]
async fn no_copy_is_older_than_a_change_that_was_acknowledged() {
    let mut hits = 0;
    for seed in 0..SEEDS {
        let (source, cache) = cached();
        let id = create(&source).await;
        leased(&cache).await;
        source.pause_by(seed);
        let tasks: Vec<_> = (0..4)
            .map(|task| tokio::spawn(change_and_read(cache.clone(), id, task, seed)))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let record = any(&cache, id).await.unwrap();
        assert_eq!(record.entries().count(), 4, "seed {seed}");
        hits += cache.usage().hits;
    }
    assert!(hits > SEEDS, "{hits}");
}

async fn change_and_read(cache: Cached<Source>, id: SessionId, task: u64, seed: u64) {
    let mut rng = Rng::new(seed ^ task << 32);
    let name = format!("of-{task}");
    for number in 0..4 {
        after_a_while(&mut rng).await;
        let value = number.to_string();
        let applied = cache.apply(id, &set(&name, &value), None).await.unwrap();
        assert!(matches!(applied, Application::Applied { .. }));
        for _ in 0..3 {
            let record = any(&cache, id).await.unwrap();
            assert_eq!(record.get(&name), Some(&*value), "seed {seed}");
            after_a_while(&mut rng).await;
        }
    }
}

/// A change whose caller goes away may or may not have been made: what was known before is forgotten.
#[tokio::test(start_paused = true)]
async fn a_dropped_change_leaves_no_copy_of_before() {
    for seed in 0..200 {
        let (source, cache) = cached();
        let id = create(&cache).await;
        leased(&cache).await;
        source.pause_by(seed);
        let change = tokio::spawn({
            let cache = cache.clone();
            async move { cache.apply(id, &set("a", "1"), None).await }
        });
        after_a_while(&mut Rng::new(seed)).await;
        change.abort();
        let _ = change.await;
        let stored = load(&source, id, Freshness::Source).await.unwrap();
        let copied = any(&cache, id).await.unwrap();
        assert_eq!(copied.get("a"), stored.get("a"), "seed {seed}");
    }
}

/// Sessions that a revoke or another sign-in ended are dead here when it returns, before that is heard.
#[tokio::test(start_paused = true)]
async fn what_a_revoke_or_a_sign_in_ended_is_dead_when_it_returns() {
    let (source, cache) = cached();
    leased(&cache).await;
    let subject = session_core::Subject::new("alice").unwrap();
    let fresh = || {
        let shard = cache.facts().sharding.shard_of(&subject);
        SessionId::generate(shard)
    };
    source.set_way(crate::source::Way::Stuck);
    let limit = Some(session_core::SignInLimit {
        max: std::num::NonZeroUsize::MIN,
        policy: session_core::LimitPolicy::EndOldest,
    });
    let (first, second) = (fresh(), fresh());
    for id in [first, second] {
        let ticket = cache.ticket(&subject).await.unwrap();
        let admission = cache.sign_in(&ticket, id, &new_record(), limit).await;
        assert!(matches!(
            admission,
            Ok(session_core::Admission::Admitted { .. })
        ));
        let loads = source.loads();
        assert!(any(&cache, id).await.is_some());
        assert_eq!(source.loads(), loads, "its copy is there at once");
    }
    assert!(any(&cache, first).await.is_none());
    assert_eq!(cache.revoke(&subject, None).await.unwrap(), [second]);
    assert!(any(&cache, second).await.is_none());
}
