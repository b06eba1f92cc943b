//! Each call to either store failing: what the contract says of the outcome.

use session_core::{
    Admission, Application, Applied, Change, Creation, ErrorKind, Freshness, LimitPolicy, Loaded,
    SessionId, SessionStore, Shard, SignInLimit,
};

use crate::uneven::Fault;
use crate::world::{Server, World, at_most, new_record};

const FAULTS: [Fault; 2] = [Fault::OutOfReach, Fault::AnswerLost];

fn fresh_id() -> SessionId {
    SessionId::generate(Shard::random())
}

/// A world with a visitor in each store.
async fn visitors() -> (World, [SessionId; 2]) {
    let world = World::new();
    let visitors = [fresh_id(), fresh_id()];
    world
        .reading
        .create(visitors[0], &new_record())
        .await
        .unwrap();
    world
        .switched
        .create(visitors[1], &new_record())
        .await
        .unwrap();
    (world, visitors)
}

/// "Not there" needs both; a session that is there is served while the other store is out of reach.
#[tokio::test]
async fn while_one_store_is_out_of_reach_the_other_one_serves_its_own_and_nobody_hears_no() {
    for number in 0..2 {
        for gone_is_old in [false, true] {
            let (world, [in_old, in_new]) = visitors().await;
            let server = world.server(number);
            let (gone, theirs, ours) = if gone_is_old {
                (&world.old, in_old, in_new)
            } else {
                (&world.new, in_new, in_old)
            };
            gone.go_away();
            let loaded = server.load(ours, Freshness::Any).await.unwrap();
            assert!(matches!(loaded, Loaded::Live(_)));
            let touched = server.apply(ours, &Change::new().touch(), None).await;
            assert!(matches!(touched.unwrap(), Application::Applied { .. }));
            for id in [theirs, fresh_id()] {
                let kinds = [
                    server.load(id, Freshness::Any).await.err(),
                    server.apply(id, &Change::new().touch(), None).await.err(),
                    server.delete(id).await.err(),
                    server.create(id, &new_record()).await.err(),
                    server.ticket(&world.alice).await.err(),
                    server.sessions_of(&world.alice).await.err(),
                    server.revoke(&world.alice, None).await.err(),
                ]
                .map(|error| error.map(|error| error.kind()));
                assert_eq!(kinds, [Some(ErrorKind::Unavailable); 7]);
            }
            assert!(server.delete(ours).await.unwrap());
            // What ended there is known to have ended.
            let loaded = server.load(ours, Freshness::Source).await.unwrap();
            assert!(matches!(loaded, Loaded::Ended(_)));
            gone.heal();
            let loaded = server.load(theirs, Freshness::Source).await.unwrap();
            assert!(matches!(loaded, Loaded::Live(_)));
        }
    }
}

#[tokio::test]
async fn what_stayed_unknown_in_either_store_stays_unknown() {
    for number in 0..2 {
        for fault in FAULTS {
            let (world, visitors) = visitors().await;
            for (store, id) in [(&world.old, visitors[0]), (&world.new, visitors[1])] {
                store.fail_at(0, fault);
                let change = Change::new().touch();
                let error = world.server(number).apply(id, &change, None).await;
                store.heal();
                let expected = match fault {
                    Fault::OutOfReach => Applied::No,
                    Fault::AnswerLost => Applied::Unknown,
                };
                assert_eq!(error.unwrap_err().applied(), expected);
            }
        }
    }
}

#[tokio::test]
async fn a_create_that_fails_made_nothing_or_is_unknown() {
    for number in 0..2 {
        for fault in FAULTS {
            for fails_in_old in [false, true] {
                let world = World::new();
                let store = if fails_in_old { &world.old } else { &world.new };
                let id = fresh_id();
                store.fail_at(0, fault);
                let answer = world.server(number).create(id, &new_record()).await;
                store.heal();
                let error = answer.unwrap_err();
                let loaded = world.switched.load(id, Freshness::Source).await.unwrap();
                if error.applied() == Applied::No {
                    assert!(matches!(loaded, Loaded::Absent), "{number} {fault:?}");
                }
            }
        }
    }
}

/// One sign-in under a limit of three, with a session in each store and one more, while call number `at` of a
/// store fails. Says whether it was made.
async fn sign_in_fails(
    number: usize,
    fails_in_old: bool,
    at: u64,
    fault: Fault,
    limit: Option<SignInLimit>,
    attempts: u32,
) -> bool {
    let world = World::new();
    let mut before = Vec::new();
    for server in [0, 1, 0] {
        before.push(world.presented(world.server(server)).await);
    }
    let policy = limit.map(|limit| limit.policy);
    if policy == Some(LimitPolicy::Refuse) {
        world.switched.delete(before.remove(0)).await.unwrap();
    }
    before.sort();
    let server: &Server = world.server(number);
    let mut ticket = server.ticket(&world.alice).await.unwrap();
    for _ in 1..attempts {
        ticket = ticket.next_attempt();
    }
    let store = if fails_in_old { &world.old } else { &world.new };
    store.fail_at(at, fault);
    let (id, answer) = world.sign_in(server, &ticket, limit).await;
    let was_made = store.heal() > at;
    let context = format!("server {number}, old {fails_in_old}, call {at}, {fault:?}, {policy:?}");
    let listed = world.listed().await;
    let most = if limit.is_some() { 3 } else { 4 };
    assert!(listed.len() <= most, "{context}: {listed:?}");
    match answer {
        Ok(Admission::Admitted { .. }) => {
            assert!(listed.contains(&id), "{context}");
            assert_eq!(listed.len(), most, "{context}");
        }
        Ok(other) => panic!("{context}: {other:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{context}");
            if error.applied() == Applied::No {
                assert_eq!(listed, before, "{context}: it says that nothing happened");
            }
            // As the lifecycle goes on: the next try.
            let (next, answer) = world.sign_in(server, &ticket.next_attempt(), limit).await;
            assert!(matches!(answer.unwrap(), Admission::Admitted { .. }));
            let listed = world.listed().await;
            assert!(listed.contains(&next) && !listed.contains(&id), "{context}");
            // One that had made room before it failed leaves its place to the next.
            assert_eq!(listed.len(), most, "{context}");
        }
    }
    was_made
}

#[tokio::test]
async fn whichever_call_of_a_sign_in_fails_the_limit_holds_and_the_next_try_gets_on() {
    let limits = [
        None,
        at_most(3, LimitPolicy::EndOldest),
        at_most(3, LimitPolicy::Refuse),
    ];
    let mut failed = 0;
    for limit in limits {
        for attempts in [1, 2] {
            for number in 0..2 {
                for fails_in_old in [false, true] {
                    for fault in FAULTS {
                        let mut at = 0;
                        while sign_in_fails(number, fails_in_old, at, fault, limit, attempts).await
                        {
                            at += 1;
                            failed += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(failed > 100, "{failed} calls failed");
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_wherever_it_is() {
    for number in 0..2 {
        let world = World::new();
        let taken = [
            world.presented(&world.reading).await,
            world.presented(&world.switched).await,
        ];
        for id in taken {
            let server = world.server(number);
            let created = server.create(id, &new_record()).await.unwrap();
            assert!(matches!(created, Creation::Exists));
            for limit in [None, at_most(5, LimitPolicy::Refuse)] {
                let ticket = server.ticket(&world.alice).await.unwrap();
                let answer = server.sign_in(&ticket, id, &new_record(), limit).await;
                assert!(matches!(answer.unwrap(), Admission::Exists));
            }
        }
    }
}
