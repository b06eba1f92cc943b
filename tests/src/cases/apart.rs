//! Clause 15: stores with different names never see each other. Clause 16: handles share state.

use session_core::{Consistency, FeedItem, Freshness, SessionStore, SharedStore};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectApplication, ExpectCreation, ExpectLoaded};
use crate::sample::{listed, new_record, promote, renew, set, sorted, together, touch};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_15_one_id_is_two_sessions_in_two_stores: Neighbour,
        clause_15_a_neighbour_neither_reads_nor_ends_anything: Neighbour,
        clause_15_a_subject_is_two_subjects_in_two_stores: Neighbour,
        clause_15_a_neighbours_end_refuses_no_id: Neighbour,
        clause_15_a_neighbour_scans_its_own_sessions_only: Neighbour + Scan,
        clause_15_a_neighbours_feed_tells_of_its_own_sessions_only: Neighbour + Watch + Quiet,
        clause_16_what_one_handle_wrote_the_other_reads: SecondHandle,
        clause_16_what_one_handle_ended_is_dead_to_the_other: SecondHandle,
        clause_16_a_limit_holds_over_all_handles: SecondHandle,
        clause_16_a_ticket_and_a_fence_hold_over_all_handles: SecondHandle,
        clause_16_a_burst_of_calls_ends_with_an_answer_to_each,
        facts_state_what_the_store_is,
    ]
}

async fn clause_15_one_id_is_two_sessions_in_two_stores(given: Context) {
    let (ours, theirs, id) = (given.store(), given.neighbour(), fresh_id());
    ours.create(id, &new_record()).await.created();
    theirs.load(id, Freshness::Source).await.absent();
    theirs.create(id, &new_record()).await.created();
    ours.apply(id, &set("a", "1"), None).await.applied();
    theirs.apply(id, &set("a", "2"), None).await.applied();
    assert_eq!(
        ours.load(id, Freshness::Source).await.live().get("a"),
        Some("1")
    );
    assert_eq!(
        theirs.load(id, Freshness::Source).await.live().get("a"),
        Some("2")
    );
    assert!(theirs.delete(id).await.unwrap());
    assert_eq!(
        ours.load(id, Freshness::Source).await.live().get("a"),
        Some("1")
    );
}

async fn clause_15_a_neighbour_neither_reads_nor_ends_anything(given: Context) {
    let (subject, user) = given.some_user().await;
    let visitor = given.visitor().await;
    let theirs = given.neighbour();
    for session in [&user, &visitor] {
        for freshness in [Freshness::Any, Freshness::Source] {
            theirs.load(session.id, freshness).await.absent();
        }
        let seen = Some(&session.record);
        theirs
            .apply(session.id, &set("a", "1"), seen)
            .await
            .absent();
        theirs.apply(session.id, &touch(), seen).await.absent();
        assert!(!theirs.delete(session.id).await.unwrap());
    }
    assert_eq!(theirs.revoke(&subject, None).await.unwrap(), []);
    for session in [user, visitor] {
        assert_eq!(given.load(session.id).await.live(), session.record);
    }
}

async fn user_of(store: &SharedStore, subject: &session_core::Subject) -> session_core::SessionId {
    let id = session_core::SessionId::generate(store.facts().sharding.shard_of(subject));
    let ticket = store.ticket(subject).await.unwrap();
    store
        .sign_in(&ticket, id, &new_record(), None)
        .await
        .admitted_alone();
    id
}

async fn clause_15_a_subject_is_two_subjects_in_two_stores(given: Context) {
    let (ours, theirs, subject) = (given.store(), given.neighbour(), fresh_subject());
    let ticket = ours.ticket(&subject).await.unwrap();
    let our_id = user_of(ours, &subject).await;
    let their_id = user_of(theirs, &subject).await;
    assert_eq!(listed(&**ours, &subject).await, [our_id]);
    assert_eq!(listed(&**theirs, &subject).await, [their_id]);
    assert_eq!(theirs.revoke(&subject, None).await.unwrap(), [their_id]);
    assert_eq!(listed(&**ours, &subject).await, [our_id]);
    // Their fence rose, and ours did not.
    let id = given.id_of(&subject);
    ours.sign_in(&ticket, id, &new_record(), None)
        .await
        .admitted_alone();
}

async fn clause_15_a_neighbours_end_refuses_no_id(given: Context) {
    let (ours, theirs, id) = (given.store(), given.neighbour(), fresh_id());
    theirs.create(id, &new_record()).await.created();
    assert!(theirs.delete(id).await.unwrap());
    ours.load(id, Freshness::Source).await.absent();
    ours.create(id, &new_record()).await.created();
    theirs.load(id, Freshness::Source).await.ended();
}

async fn clause_15_a_neighbour_scans_its_own_sessions_only(given: Context) {
    let ours = given.visitor().await.id;
    let theirs = fresh_id();
    given
        .neighbour()
        .create(theirs, &new_record())
        .await
        .created();
    let seen_there = super::scan::all(&**given.neighbour()).await;
    let seen_here = super::scan::all(&**given.store()).await;
    let there: Vec<_> = seen_there.iter().map(|(id, _)| *id).collect();
    let here: Vec<_> = seen_here.iter().map(|(id, _)| *id).collect();
    assert!(there.contains(&theirs) && !there.contains(&ours));
    assert!(here.contains(&ours) && !here.contains(&theirs));
}

async fn clause_15_a_neighbours_feed_tells_of_its_own_sessions_only(given: Context) {
    let theirs = given.neighbour();
    let mut feed = theirs.abilities().watch.unwrap().watch();
    let (_, user) = given.some_user().await;
    let next = fresh_secret();
    given.change(user.id, renew(user.secret, next)).await;
    given.change(user.id, promote(next)).await;
    assert!(given.store().delete(user.id).await.unwrap());
    let id = fresh_id();
    theirs.create(id, &new_record()).await.created();
    assert!(theirs.delete(id).await.unwrap());
    assert_eq!(super::watch::next(&mut feed).await, FeedItem::Ended(id));
}

async fn clause_16_what_one_handle_wrote_the_other_reads(given: Context) {
    let (one, two) = (given.handle(0), given.handle(1));
    let (subject, id) = (fresh_subject(), fresh_id());
    one.create(id, &new_record()).await.created();
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 {
            (&one, &two)
        } else {
            (&two, &one)
        };
        let record = writer
            .apply(id, &set("a", round.to_string()), None)
            .await
            .applied();
        assert_eq!(reader.load(id, Freshness::Source).await.live(), record);
        assert_eq!(reader.load(id, Freshness::Source).await.live(), record);
    }
    two.create(id, &new_record()).await.exists();
    let first = user_of(&one, &subject).await;
    let second = user_of(&two, &subject).await;
    for handle in [&one, &two] {
        assert_eq!(listed(&**handle, &subject).await, sorted([first, second]));
    }
}

async fn clause_16_what_one_handle_ended_is_dead_to_the_other(given: Context) {
    for (one, two) in [
        (given.handle(0), given.handle(1)),
        (given.handle(1), given.handle(0)),
    ] {
        let subject = fresh_subject();
        let (deleted, revoked) = (user_of(&one, &subject).await, user_of(&one, &subject).await);
        two.load(deleted, Freshness::Source).await.live();
        two.load(revoked, Freshness::Source).await.live();
        assert!(one.delete(deleted).await.unwrap());
        two.load(deleted, Freshness::Source).await.ended();
        assert!(!two.delete(deleted).await.unwrap());
        two.create(deleted, &new_record()).await.exists();
        assert_eq!(two.revoke(&subject, None).await.unwrap(), [revoked]);
        one.load(revoked, Freshness::Source).await.ended();
        one.apply(revoked, &touch(), None).await.absent();
        assert_eq!(listed(&*one, &subject).await, []);
    }
}

async fn clause_16_a_limit_holds_over_all_handles(given: Context) {
    let subject = fresh_subject();
    let limit = session_core::SignInLimit {
        max: std::num::NonZeroUsize::MIN,
        policy: session_core::LimitPolicy::EndOldest,
    };
    let mut before = None;
    for round in 0..6 {
        let store = given.handle(round);
        let (ticket, id) = (store.ticket(&subject).await.unwrap(), given.id_of(&subject));
        let admission = store.sign_in(&ticket, id, &new_record(), Some(limit)).await;
        assert_eq!(admission.admitted().1, Vec::from_iter(before.replace(id)));
    }
}

async fn clause_16_a_ticket_and_a_fence_hold_over_all_handles(given: Context) {
    let (one, two, subject) = (given.handle(0), given.handle(1), fresh_subject());
    let good = one.ticket(&subject).await.unwrap();
    let id = given.id_of(&subject);
    two.sign_in(&good, id, &new_record(), None)
        .await
        .admitted_alone();
    let late = one.ticket(&subject).await.unwrap();
    assert_eq!(two.revoke(&subject, None).await.unwrap(), [id]);
    one.sign_in(&late, given.id_of(&subject), &new_record(), None)
        .await
        .revoked();
    let younger = one.ticket(&subject).await.unwrap();
    let id = given.id_of(&subject);
    two.sign_in(&younger, id, &new_record(), None)
        .await
        .admitted_alone();
}

async fn clause_16_a_burst_of_calls_ends_with_an_answer_to_each(given: Context) {
    let id = given.visitor().await.id;
    let subject = fresh_subject();
    let answers = together(200, |task| {
        let (given, subject) = (given.clone(), subject.clone());
        async move {
            let store = given.handle(task);
            match task % 5 {
                0 => drop(store.load(id, Freshness::Any).await.live()),
                1 => drop(
                    store
                        .apply(id, &set(format!("{task}"), "1"), None)
                        .await
                        .applied(),
                ),
                2 => drop(user_of(&store, &subject).await),
                3 => drop(store.sessions_of(&subject).await.unwrap()),
                _ => drop(store.create(fresh_id(), &new_record()).await.created()),
            }
        }
    });
    assert_eq!(answers.await.len(), 200);
    assert_eq!(given.load(id).await.live().entries().count(), 40);
    assert_eq!(given.listed(&subject).await.len(), 40);
}

async fn facts_state_what_the_store_is(given: Context) {
    for handle in &given.handles {
        let facts = handle.facts();
        assert!(!facts.name.is_empty());
        assert!(!facts.ticket_life.is_zero());
        assert_eq!(
            facts.consistency, given.consistency,
            "Suite::consistency says otherwise"
        );
        assert_eq!(facts.sharding, given.store().facts().sharding);
        assert_eq!(facts.bounds, given.store().facts().bounds);
    }
    let store: &dyn SessionStore = &**given.store();
    let over = crate::sample::json_of(store.facts().bounds.value_bytes + 1);
    let new = new_record().with_entries([(crate::sample::name("a"), over)]);
    let error = store.create(fresh_id(), &new).await.unwrap_err();
    // A store over several says which of them it was.
    if given.consistency != Consistency::PerSession {
        assert_eq!(error.store(), store.facts().name);
    }
    assert!(
        std::error::Error::source(&error).is_some(),
        "the reason stays as the source"
    );
}
