//! The limit over both stores, under many sign-ins at the same time.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use session_core::{Admission, LimitPolicy, SessionStore};
use tokio::task::yield_now;

use crate::world::{World, at_most, ids, new_record, seeds};

const N: usize = 3;

/// Fifty sign-ins at two servers, of which one switches meanwhile or has switched, or both do, while somebody
/// looks at the list all the time.
async fn fifty(policy: LimitPolicy, seed: u64) {
    let world = Arc::new(World::new());
    let mut known = BTreeSet::new();
    for number in 0..(seed % 4) as usize {
        known.insert(world.presented(world.server(number)).await);
    }
    for (store, salt) in [(&world.new, 1), (&world.old, 2)] {
        store.pause(seed.wrapping_mul(31).wrapping_add(salt));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (world, is_over) = (Arc::clone(&world), Arc::clone(&is_over));
        async move {
            let mut most = 0;
            while !is_over.load(Ordering::SeqCst) {
                most = most.max(world.listed().await.len());
                most = most.max(ids(&world.reading, &world.alice).await.len());
                yield_now().await;
            }
            most
        }
    });
    let tasks: Vec<_> = (0..50)
        .map(|task| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for _ in 0..(seed.wrapping_mul(task as u64 + 7) >> 3) % 40 {
                    yield_now().await;
                }
                if task == 25 && seed.is_multiple_of(3) {
                    world.reading.switch();
                }
                let server = world.server(task);
                let ticket = server.ticket(&world.alice).await.unwrap();
                let (id, answer) = world.sign_in(server, &ticket, at_most(N, policy)).await;
                (id, answer.unwrap())
            })
        })
        .collect();
    let (mut ended, mut refused) = (Vec::new(), 0);
    for task in tasks {
        match task.await.unwrap() {
            (id, Admission::Admitted { ended: more, .. }) => {
                known.insert(id);
                ended.extend(more);
            }
            (_, Admission::LimitReached) => refused += 1,
            (_, other) => panic!("seed {seed}: {other:?}"),
        }
    }
    is_over.store(true, Ordering::SeqCst);
    let most = watcher.await.unwrap();
    assert!(most <= N, "seed {seed}: {most} sessions at once");
    let listed = world.listed().await;
    assert_eq!(listed.len(), N, "seed {seed}: {listed:?}");
    let gone: BTreeSet<_> = ended.iter().copied().collect();
    assert_eq!(gone.len(), ended.len(), "seed {seed}: one ended twice");
    let left: Vec<_> = known.difference(&gone).copied().collect();
    assert_eq!(left, listed, "seed {seed}");
    let expected = (seed % 4) as usize + 50 - N;
    match policy {
        LimitPolicy::EndOldest => assert_eq!((ended.len(), refused), (expected, 0)),
        LimitPolicy::Refuse => assert_eq!((ended.len(), refused), (0, expected), "seed {seed}"),
    }
    // Nothing waits behind the list, either.
    let raw = ids(&world.new, &world.alice).await.len() + ids(&world.old, &world.alice).await.len();
    assert_eq!(raw, N, "seed {seed}: somebody still waits");
}

#[tokio::test]
async fn of_fifty_sign_ins_three_are_left_where_the_oldest_make_room() {
    for seed in seeds(100) {
        fifty(LimitPolicy::EndOldest, seed).await;
    }
}

#[tokio::test]
async fn of_fifty_sign_ins_three_are_admitted_where_one_too_many_is_refused() {
    for seed in seeds(100) {
        fifty(LimitPolicy::Refuse, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_in_parallel_as_well() {
    for seed in seeds(30) {
        fifty(LimitPolicy::EndOldest, seed).await;
        fifty(LimitPolicy::Refuse, seed).await;
    }
}

#[tokio::test]
async fn the_oldest_make_room_wherever_they_are() {
    let world = World::new();
    let limit = at_most(N, LimitPolicy::EndOldest);
    let mut sessions = Vec::new();
    for number in [0, 1, 0] {
        sessions.push(world.presented(world.server(number)).await);
    }
    for number in [1, 1, 0, 1] {
        let server = world.server(number);
        let ticket = server.ticket(&world.alice).await.unwrap();
        let (id, answer) = world.sign_in(server, &ticket, limit).await;
        let Admission::Admitted { ended, .. } = answer.unwrap() else {
            panic!("it is not admitted");
        };
        assert_eq!(ended, [sessions.remove(0)]);
        sessions.push(id);
        world.clock.advance(Duration::from_millis(1));
    }
}

/// A server that dies leaves a session that waits: in no list, and in the way of nobody for long.
#[tokio::test(start_paused = true)]
async fn one_that_waits_and_never_goes_on_is_in_no_list_and_is_stopped() {
    for policy in [LimitPolicy::EndOldest, LimitPolicy::Refuse] {
        for (number, next_at) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let world = World::new();
            let kept = world.presented(&world.reading).await;
            let limit = at_most(2, policy);
            let server = world.server(number);
            let ticket = server.ticket(&world.alice).await.unwrap();
            let (id, new) = (world.id(), new_record());
            world.new.pause(7);
            world.old.pause(8);
            let mut call = Box::pin(server.sign_in(&ticket, id, &new, limit));
            let place = [&world.old, &world.new][number];
            while !ids(&place.inner, &world.alice).await.contains(&id) {
                let poll = |context: &mut Context<'_>| Poll::Ready(call.as_mut().poll(context));
                assert!(poll_fn(poll).await.is_pending(), "it ends before it waits");
                yield_now().await;
            }
            drop(call);
            assert_eq!(world.listed().await, [kept]);

            world.clock.advance(Duration::from_millis(1));
            let server = world.server(next_at);
            let ticket = server.ticket(&world.alice).await.unwrap();
            let (next, answer) = world.sign_in(server, &ticket, limit).await;
            let answer = answer.unwrap();
            assert!(matches!(answer, Admission::Admitted { ended, .. } if ended.is_empty()));
            let mut both = [kept, next];
            both.sort();
            assert_eq!(world.listed().await, both);
            assert!(!ids(&place.inner, &world.alice).await.contains(&id));
        }
    }
}
