//! The steps of a move, and what both stores do together.

use session_core::{
    Admission, Application, Change, Consistency, Creation, Draining, ErrorKind, FeedItem,
    Freshness, Loaded, ManualClock, SessionId, SessionStore, Shard, Sharding,
};
use store_memory::MemoryStore;

use crate::world::{World, ids, new_record};

fn fresh_id() -> SessionId {
    SessionId::generate(Shard::random())
}

async fn is_live(store: &dyn SessionStore, id: SessionId) -> bool {
    let loaded = store.load(id, Freshness::Source).await.unwrap();
    matches!(loaded, Loaded::Live(_))
}

#[tokio::test]
async fn sessions_stay_where_they_were_made_and_both_servers_serve_both() {
    let world = World::new();
    let (before, after) = (fresh_id(), fresh_id());
    world.reading.create(before, &new_record()).await.unwrap();
    world.switched.create(after, &new_record()).await.unwrap();
    assert!(is_live(&world.old, before).await && !is_live(&world.new, before).await);
    assert!(is_live(&world.new, after).await && !is_live(&world.old, after).await);
    for number in 0..2 {
        for id in [before, after] {
            let server = world.server(number);
            let used = server
                .apply(id, &Change::new().touch(), None)
                .await
                .unwrap();
            assert!(matches!(used, Application::Applied { .. }));
            assert!(is_live(server, id).await);
        }
    }
    assert!(world.switched.delete(before).await.unwrap());
    assert!(world.reading.delete(after).await.unwrap());
    for id in [before, after] {
        assert!(!world.switched.delete(id).await.unwrap());
        let loaded = world.reading.load(id, Freshness::Source).await.unwrap();
        assert!(matches!(loaded, Loaded::Ended(_)));
        // And ids that ended in either are refused by both.
        for number in 0..2 {
            let again = world.server(number).create(id, &new_record()).await;
            assert!(matches!(again.unwrap(), Creation::Exists));
        }
    }
}

#[tokio::test]
async fn it_says_when_the_old_store_is_empty() {
    let world = World::new();
    let old: Vec<_> = (0..3).map(|_| fresh_id()).collect();
    for id in &old {
        world.reading.create(*id, &new_record()).await.unwrap();
    }
    world.reading.switch();
    world
        .reading
        .create(fresh_id(), &new_record())
        .await
        .unwrap();
    for left in (1..=3).rev() {
        assert_eq!(world.switched.left(100).await.unwrap(), Some(left));
        assert_eq!(world.switched.left(1).await.unwrap(), Some(1));
        world.switched.delete(old[left - 1]).await.unwrap();
    }
    assert_eq!(world.switched.left(1).await.unwrap(), Some(0));
}

#[tokio::test]
async fn two_stores_that_shard_differently_are_refused() {
    let keyed = Sharding::keyed(&[7; 32]);
    let other = MemoryStore::builder().sharding(keyed).build();
    let error = Draining::new(other, MemoryStore::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_ticket_of_the_old_store_alone_is_good_until_the_switch() {
    let world = World::new();
    let ticket = world.old.ticket(&world.alice).await.unwrap();
    let (_, answer) = world.sign_in(&world.reading, &ticket, None).await;
    assert!(matches!(answer.unwrap(), Admission::Admitted { .. }));
    let (_, answer) = world.sign_in(&world.switched, &ticket, None).await;
    assert!(matches!(answer.unwrap(), Admission::Revoked));
}

/// A ticket of a server that has not switched signs in at one that has, and the other way round.
#[tokio::test]
async fn a_ticket_outlives_the_switch() {
    for (from, to) in [(0, 1), (1, 0)] {
        let world = World::new();
        let ticket = world.server(from).ticket(&world.alice).await.unwrap();
        let (id, answer) = world.sign_in(world.server(to), &ticket, None).await;
        assert!(matches!(answer.unwrap(), Admission::Admitted { .. }));
        // The next try, after another switch, ends what that one made, and refuses it for good.
        let next = ticket.next_attempt();
        let (later, answer) = world.sign_in(world.server(from), &next, None).await;
        let answer = answer.unwrap();
        assert!(matches!(answer, Admission::Admitted { ended, .. } if ended == [id]));
        for number in 0..2 {
            let (_, late) = world.sign_in(world.server(number), &ticket, None).await;
            assert!(matches!(late.unwrap(), Admission::Revoked));
        }
        assert_eq!(world.listed().await, [later]);
    }
}

/// From a first store to a second to a third, each move begun before the one before it is over.
#[tokio::test]
async fn a_store_that_is_draining_can_be_drained() {
    let clock = ManualClock::default();
    let store = || MemoryStore::builder().clock(clock.clone()).build();
    let [first, second, third] = [store(), store(), store()];
    let inner = Draining::new(second.clone(), first.clone()).unwrap();
    let outer = Draining::new(third.clone(), inner.clone()).unwrap();
    let world = World::new();
    let sign_in = async || {
        let ticket = outer.ticket(&world.alice).await.unwrap();
        let id = world.id();
        let limit = crate::world::at_most(3, session_core::LimitPolicy::EndOldest);
        let answer = outer.sign_in(&ticket, id, &new_record(), limit).await;
        let Admission::Admitted { ended, .. } = answer.unwrap() else {
            panic!("it is not admitted");
        };
        clock.advance(std::time::Duration::from_millis(1));
        (id, ended)
    };
    let (a, _) = sign_in().await;
    inner.switch();
    let (b, _) = sign_in().await;
    outer.switch();
    let (c, _) = sign_in().await;
    for (store, id) in [(&first, a), (&second, b), (&third, c)] {
        assert_eq!(ids(store, &world.alice).await, [id]);
        assert!(is_live(&outer, id).await);
    }
    assert_eq!(sign_in().await.1, [a]);
    assert_eq!(inner.left(10).await.unwrap(), Some(0));
    assert_eq!(outer.left(10).await.unwrap(), Some(1));
    outer.revoke(&world.alice, None).await.unwrap();
    assert_eq!(outer.left(10).await.unwrap(), Some(0));
    assert_eq!(ids(&outer, &world.alice).await, []);
}

#[tokio::test]
async fn facts_are_the_weaker_of_both() {
    let world = World::new();
    assert_eq!(world.reading.facts().consistency, Consistency::PerSession);
    assert_eq!(
        world.reading.facts().clock,
        session_core::ClockSource::Injected
    );
}

#[tokio::test]
async fn the_feed_tells_of_both_stores_and_a_scan_walks_both_in_order() {
    let world = World::new();
    let watch = world.switched.abilities().watch.unwrap();
    let mut feed = watch.watch();
    let mut made: Vec<_> = (0..20).map(|_| fresh_id()).collect();
    for (number, id) in made.iter().enumerate() {
        let created = world.server(number).create(*id, &new_record()).await;
        assert!(matches!(created.unwrap(), Creation::Created(_)));
    }
    made.sort();
    let scan = world.reading.abilities().scan.unwrap();
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = scan.scan(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        walked.extend(page.into_iter().map(|(id, _)| id));
    }
    assert_eq!(walked, made);
    let mut told = Vec::new();
    for id in &made {
        assert!(world.reading.delete(*id).await.unwrap());
    }
    for _ in &made {
        match feed.next().await {
            Some(FeedItem::Ended(id)) => told.push(id),
            other => panic!("{other:?}"),
        }
    }
    told.sort();
    assert_eq!(told, made);
}
