//! Bounds by count and by bytes: exact, kept under concurrency, and never at a live session's cost.

use std::num::NonZeroUsize;

use session_core::{
    Abilities, Admission, Bounds, Change, Creation, ErrorKind, LimitPolicy, Renewal, SessionId,
    SessionSecret, SessionStore, Shard, SignInLimit, Subject,
};

use crate::{MINUTE, apply, create, entry, living, load, new_record, set, sign_in, store};

#[tokio::test]
async fn visitors_are_refused_at_four_fifths_and_users_at_the_bound() {
    let (store, _) = store(|builder| builder.max_sessions(10));
    for _ in 0..8 {
        create(&store, &new_record()).await.unwrap();
    }
    assert_eq!(create(&store, &new_record()).await, Err(ErrorKind::Full));
    sign_in(&store, "alice").await.unwrap();
    assert_eq!(create(&store, &new_record()).await, Err(ErrorKind::Full));
    sign_in(&store, "bob").await.unwrap();
    assert_eq!(sign_in(&store, "carol").await, Err(ErrorKind::Full));
    assert_eq!(store.usage().sessions, 10);
}

#[tokio::test]
async fn the_smallest_bounds_still_let_a_visitor_in() {
    for (max, visitors) in [(0, 0), (1, 1), (4, 4), (5, 4), (50, 40)] {
        let (store, _) = store(|builder| builder.max_sessions(max));
        let mut created = 0;
        while create(&store, &new_record()).await.is_ok() {
            created += 1;
        }
        assert_eq!(created, visitors, "of at most {max}");
    }
}

#[tokio::test]
async fn nobody_is_signed_out_by_a_flood() {
    let (store, _) = store(|builder| builder.max_sessions(20).max_bytes(1 << 20));
    let alice = sign_in(&store, "alice").await.unwrap();
    for _ in 0..1_000 {
        let _ = create(&store, &new_record()).await;
        let _ = sign_in(&store, "mallory").await;
    }
    assert!(load(&store, alice).await.is_some());
    assert_eq!(store.usage().sessions, 20);
}

#[tokio::test]
async fn other_refusals_take_no_room() {
    let bounds = Bounds {
        value_bytes: 1 << 20,
        session_bytes: 4 << 20,
        entries: 1,
    };
    let (store, _) = store(|builder| builder.max_sessions(5).bounds(bounds));
    let alice = sign_in(&store, "alice").await.unwrap();
    let ticket = store.ticket(&Subject::new("alice").unwrap()).await.unwrap();
    let refuse = Some(SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::Refuse,
    });
    let too_large = new_record().with_entries([entry("a", 9), entry("b", 9)]);
    for _ in 0..10 {
        let taken = store.create(alice, &new_record()).await.unwrap();
        assert!(matches!(taken, Creation::Exists));
        assert_eq!(create(&store, &too_large).await, Err(ErrorKind::TooLarge));
        let other = SessionId::generate(alice.shard());
        let refused = store.sign_in(&ticket, other, &new_record(), refuse).await;
        assert!(matches!(refused, Ok(Admission::LimitReached)));
    }
    for _ in 0..3 {
        create(&store, &new_record()).await.unwrap();
    }
    sign_in(&store, "bob").await.unwrap();
}

#[tokio::test]
async fn a_sign_in_that_replaces_a_session_needs_no_more_room() {
    let (store, _) = store(|builder| builder.max_sessions(1));
    let first = sign_in(&store, "alice").await.unwrap();
    let ticket = store.ticket(&Subject::new("alice").unwrap()).await.unwrap();
    let second = SessionId::generate(first.shard());
    let limit = Some(SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    });
    let admission = store.sign_in(&ticket, second, &new_record(), limit).await;
    assert!(matches!(admission, Ok(Admission::Admitted { ended, .. }) if ended == [first]));
    assert!(load(&store, second).await.is_some());
}

#[tokio::test]
async fn a_refused_sign_in_ends_nothing() {
    let (store, _) = store(|builder| builder.max_bytes(2_000));
    let first = sign_in(&store, "alice").await.unwrap();
    let ticket = store.ticket(&Subject::new("alice").unwrap()).await.unwrap();
    let limit = Some(SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    });
    let large = new_record().with_entries([entry("a", 2_000)]);
    let second = SessionId::generate(first.shard());
    let refused = store.sign_in(&ticket, second, &large, limit).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    assert!(load(&store, first).await.is_some());
}

#[tokio::test]
async fn an_edit_beyond_the_bound_is_refused_whole() {
    let (store, _) = store(|builder| builder.max_bytes(10_000));
    let alice = sign_in(&store, "alice").await.unwrap();
    let before = apply(&store, alice, &set("a", 4_000)).await.unwrap();
    let (name, value) = entry("b", 9_700);
    let change = set("a", 2).set(name, value);
    assert_eq!(apply(&store, alice, &change).await, Err(ErrorKind::Full));
    assert_eq!(load(&store, alice).await, Some(before));
    apply(&store, alice, &set("b", 4_000)).await.unwrap();
    assert!(store.usage().bytes <= 10_000);
}

#[tokio::test]
async fn visitors_edits_stop_at_four_fifths_too() {
    let (store, _) = store(|builder| builder.max_bytes(10_000));
    let visitor = create(&store, &new_record()).await.unwrap();
    apply(&store, visitor, &set("a", 7_000)).await.unwrap();
    let more = set("b", 1_000);
    assert_eq!(apply(&store, visitor, &more).await, Err(ErrorKind::Full));
    let alice = sign_in(&store, "alice").await.unwrap();
    apply(&store, alice, &more).await.unwrap();
}

#[tokio::test]
async fn a_visitor_may_edit_while_users_hold_the_last_places() {
    let (store, _) = store(|builder| builder.max_sessions(5));
    let visitor = create(&store, &new_record()).await.unwrap();
    for name in ["alice", "bob", "carol", "dave"] {
        sign_in(&store, name).await.unwrap();
    }
    apply(&store, visitor, &set("a", 1_000)).await.unwrap();
}

#[tokio::test]
async fn a_visitor_may_shrink_while_users_hold_the_last_bytes() {
    let (store, _) = store(|builder| builder.max_bytes(10_000));
    let visitor = create(&store, &new_record()).await.unwrap();
    apply(&store, visitor, &set("a", 1_000)).await.unwrap();
    let alice = sign_in(&store, "alice").await.unwrap();
    apply(&store, alice, &set("a", 7_500)).await.unwrap();
    assert!(store.usage().bytes > 8_000);
    apply(&store, visitor, &set("a", 900)).await.unwrap();
    assert!(store.usage().bytes > 8_000);
}

#[tokio::test]
async fn sessions_that_made_room_take_bytes_for_a_minute_too() {
    let (store, clock) = store(|builder| builder.max_bytes(10_000));
    let alice = Subject::new("alice").unwrap();
    let limit = Some(SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    });
    let sign_in = async || {
        let ticket = store.ticket(&alice).await.unwrap();
        let id = SessionId::generate(store.facts().sharding.shard_of(&alice));
        store.sign_in(&ticket, id, &new_record(), limit).await
    };
    for _ in 0..100 {
        let Err(error) = sign_in().await else {
            assert!(store.usage().bytes <= 10_000);
            continue;
        };
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(store.usage().ended > 20);
        clock.advance(MINUTE);
        sign_in().await.unwrap();
        return;
    }
    panic!("what sessions leave behind was not counted");
}

#[tokio::test]
async fn a_full_store_still_renews_touches_shrinks_and_ends() {
    let (store, clock) = store(|builder| builder.max_bytes(2_000));
    let alice = sign_in(&store, "alice").await.unwrap();
    apply(&store, alice, &set("a", 900)).await.unwrap();
    // An entry takes 8 bytes besides its name and its value.
    let rest = 2_000 - store.usage().bytes - 8 - "b".len();
    apply(&store, alice, &set("b", rest)).await.unwrap();
    assert_eq!(store.usage().bytes, 2_000);
    for _ in 0..5 {
        clock.advance(MINUTE);
        let replaces = load(&store, alice).await.unwrap().slots().last().unwrap();
        let renewal = Renewal {
            issue: SessionSecret::generate().hash(),
            replaces: replaces.hash,
            soft: false,
        };
        let change = Change::new()
            .promote(replaces.hash)
            .renew(renewal)
            .shorten(20 * MINUTE)
            .touch();
        apply(&store, alice, &change).await.unwrap();
    }
    assert_eq!(load(&store, alice).await.unwrap().slots().count(), 4);
    assert_eq!(store.usage().bytes, 2_000);
    apply(&store, alice, &set("a", 10)).await.unwrap();
    assert!(store.usage().bytes < 2_000);
    assert!(store.delete(alice).await.unwrap());
}

#[tokio::test]
async fn expired_sessions_give_way_before_any_is_refused() {
    let (store, clock) = store(|builder| builder.max_sessions(100));
    for _ in 0..80 {
        create(&store, &living(MINUTE)).await.unwrap();
    }
    assert_eq!(create(&store, &living(MINUTE)).await, Err(ErrorKind::Full));
    clock.advance(MINUTE);
    for _ in 0..80 {
        create(&store, &living(MINUTE)).await.unwrap();
    }
    assert_eq!(store.usage().sessions, 80);
}

#[tokio::test]
async fn many_small_expired_sessions_give_way_to_one_large_edit() {
    let (store, clock) = store(|builder| builder.max_bytes(1 << 20));
    let alice = sign_in(&store, "alice").await.unwrap();
    while create(&store, &living(MINUTE)).await.is_ok() {}
    clock.advance(MINUTE);
    apply(&store, alice, &set("a", 1_000_000)).await.unwrap();
}

#[tokio::test]
async fn ended_sessions_take_bytes_for_a_minute_and_no_place() {
    let (store, clock) = store(|builder| builder.max_sessions(1).max_bytes(1_500));
    let mut ended = 0;
    while let Ok(id) = create(&store, &new_record()).await {
        assert!(store.delete(id).await.unwrap());
        ended += 1;
    }
    assert!(ended > 1, "the place was free at once");
    assert_eq!((store.usage().sessions, store.usage().ended), (0, ended));
    clock.advance(MINUTE);
    create(&store, &new_record()).await.unwrap();
    assert!(store.usage().ended < ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_sign_ins_fill_the_store_to_the_last_place() {
    let (store, _) = store(|builder| builder.max_sessions(1_000).max_bytes(1 << 30));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut admitted = 0;
                for at in 0..200 {
                    admitted += usize::from(sign_in(&store, &format!("{task}/{at}")).await.is_ok());
                    tokio::task::yield_now().await;
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap();
    }
    assert_eq!((admitted, store.usage().sessions), (1_000, 1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_one_is_refused_while_expired_sessions_hold_the_places() {
    for _ in 0..50 {
        let (store, clock) = store(|builder| builder.max_sessions(80));
        // In one stripe, so that one call collects what several need.
        for _ in 0..64 {
            let id = SessionId::generate(Shard::new(7));
            store.create(id, &living(MINUTE)).await.unwrap();
        }
        clock.advance(MINUTE);
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { create(&store, &new_record()).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_counted_returns_to_nothing() {
    let (store, clock) = store(|builder| builder.max_sessions(1_000).max_bytes(1 << 20));
    for at in 0..200 {
        let id = create(&store, &living(MINUTE)).await.unwrap();
        apply(&store, id, &set("a", 10 + at)).await.unwrap();
        let id = sign_in(&store, &format!("user {at}")).await.unwrap();
        apply(&store, id, &set("a", 10 + at)).await.unwrap();
        if at % 3 == 0 {
            store.delete(id).await.unwrap();
        }
    }
    let subject = Subject::new("user 1").unwrap();
    assert_eq!(store.revoke(&subject, None).await.unwrap().len(), 1);
    clock.advance(30 * MINUTE);
    let Abilities { purge, .. } = store.abilities();
    let purge = purge.unwrap();
    while purge.purge_expired(1_000).await.unwrap() > 0 {}
    assert_eq!(store.usage().sessions, 0);
    assert_eq!(store.usage().ended, 0);
    assert_eq!(store.usage().bytes, 0);
    // The bound has forgotten them too: as many fit as into an empty store.
    while create(&store, &new_record()).await.is_ok() {}
    assert_eq!(store.usage().sessions, 800);
}
