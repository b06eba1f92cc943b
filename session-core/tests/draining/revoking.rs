//! Signing out everywhere, over both stores.

use std::sync::Arc;

use session_core::{Admission, Applied, LimitPolicy, SessionStore};
use tokio::task::yield_now;

use crate::uneven::Fault;
use crate::world::{World, at_most, seeds};

/// Sign-ins under older tickets, with and without a limit, at both servers, while a revoke runs.
#[tokio::test]
async fn no_session_of_an_older_ticket_survives_a_revoke() {
    for seed in seeds(200) {
        let world = Arc::new(World::new());
        for number in 0..2 {
            world.presented(world.server(number)).await;
        }
        world.new.pause(seed);
        world.old.pause(seed + 1);
        let policy = [LimitPolicy::EndOldest, LimitPolicy::Refuse][(seed % 2) as usize];
        let mut tasks = Vec::new();
        for task in 0..8 {
            let ticket = world.server(task).ticket(&world.alice).await.unwrap();
            let world = Arc::clone(&world);
            tasks.push(tokio::spawn(async move {
                for _ in 0..(seed.wrapping_mul(task as u64 + 3) >> 2) % 30 {
                    yield_now().await;
                }
                let limit = at_most(4, policy).filter(|_| task % 4 < 3);
                // The ticket may have been read by the other server.
                let server = world.server(task / 2);
                let (_, answer) = world.sign_in(server, &ticket, limit).await;
                answer.unwrap();
            }));
        }
        for _ in 0..(seed >> 4) % 40 {
            yield_now().await;
        }
        world
            .server((seed >> 1) as usize % 2)
            .revoke(&world.alice, None)
            .await
            .unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        let listed = world.listed().await;
        assert_eq!(
            listed,
            [],
            "seed {seed}: an older ticket's session survived"
        );

        let ticket = world.switched.ticket(&world.alice).await.unwrap();
        let (id, answer) = world.sign_in(&world.switched, &ticket, None).await;
        assert!(matches!(answer.unwrap(), Admission::Admitted { .. }));
        assert_eq!(world.listed().await, [id]);
    }
}

/// The new store first: when the old one fails, no older ticket makes a session any more where sessions are
/// made.
#[tokio::test]
async fn a_revoke_that_the_old_store_fails_is_unknown_and_has_closed_the_new_one() {
    let world = World::new();
    let (old, _new) = (
        world.presented(&world.reading).await,
        world.presented(&world.switched).await,
    );
    let ticket = world.switched.ticket(&world.alice).await.unwrap();
    world.old.go_away();
    let error = world.switched.revoke(&world.alice, None).await.unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);
    world.old.heal();
    assert_eq!(world.listed().await, [old]);
    let (_, answer) = world.sign_in(&world.switched, &ticket, None).await;
    assert!(matches!(answer.unwrap(), Admission::Revoked));
    // And again, to the end.
    assert_eq!(
        world.switched.revoke(&world.alice, None).await.unwrap(),
        [old]
    );
    assert_eq!(world.listed().await, []);
}

#[tokio::test]
async fn a_revoke_that_the_new_store_refuses_has_done_nothing() {
    let world = World::new();
    let old = world.presented(&world.reading).await;
    world.new.fail_at(0, Fault::OutOfReach);
    let error = world.switched.revoke(&world.alice, None).await.unwrap_err();
    assert_eq!(error.applied(), Applied::No);
    world.new.heal();
    assert_eq!(world.listed().await, [old]);
}
