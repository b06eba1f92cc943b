//! Clause 6: what a store could not say is settled from the source.

use session_core::{CommitOutcome, HandlerOutcome, SessionError, SessionStore};

use crate::scripted::{Fault, Verb};
use crate::support::{Jar, World, subject_of};

async fn increment(world: &World, jar: &Jar) -> Result<u32, SessionError> {
    world
        .request(jar)
        .update("n", async |n: Option<u32>| n.unwrap_or(0) + 1)
        .await
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_applied_and_not_sent_twice() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    for fault in [Fault::AnswerLost, Fault::CallLost] {
        let before = world.read(&mut jar, "n").await.unwrap();
        world.store.fail(Verb::Apply, fault);
        assert_eq!(increment(&world, &jar).await.unwrap(), before + 1);
        assert_eq!(
            world.read(&mut jar, "n").await,
            Some(before + 1),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_is_settled() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    for (value, fault) in [(2, Fault::AnswerLost), (3, Fault::CallLost)] {
        world.store.fail(Verb::Apply, fault);
        let commit = world.write(&mut jar, "n", value).await;
        assert!(matches!(commit.outcome, CommitOutcome::Done));
        assert_eq!(world.read(&mut jar, "n").await, Some(value));
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_settled_is_said_to_be_unknown() {
    let world = World::new();
    let mut jar = Jar::default();
    world.write(&mut jar, "n", 1).await;
    let session = world.request(&jar);
    session.insert("n", &2).await.unwrap();
    world.store.fail(Verb::Apply, Fault::AnswerLost);
    world.store.fail(Verb::Load, Fault::OutOfReach);
    let CommitOutcome::Failed(error) = session.commit(HandlerOutcome::Answered).await.outcome
    else {
        panic!("not failed")
    };
    assert_eq!(error.applied(), session_core::Applied::Unknown);
}

#[tokio::test]
async fn a_create_whose_outcome_is_unknown_is_abandoned_for_a_new_id() {
    let world = World::new();
    for fault in [Fault::AnswerLost, Fault::CallLost] {
        let mut jar = Jar::default();
        world.store.fail(Verb::Create, fault);
        world.write(&mut jar, "n", 1).await;
        assert_eq!(world.read(&mut jar, "n").await, Some(1));
    }
}

#[tokio::test]
async fn a_sign_in_whose_outcome_is_unknown_leaves_exactly_one_session() {
    let world = World::new();
    for (subject, fault) in [("alice", Fault::AnswerLost), ("bob", Fault::CallLost)] {
        let mut jar = Jar::default();
        world.store.fail(Verb::SignIn, fault);
        world.sign_in(&mut jar, subject).await;
        assert_eq!(world.who(&mut jar).await.as_deref(), Some(subject));
        let listed = world
            .store
            .inner
            .sessions_of(&subject_of(subject))
            .await
            .unwrap();
        assert_eq!(listed.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_end_whose_outcome_is_unknown_is_sent_again() {
    let world = World::new();
    for fault in [Fault::AnswerLost, Fault::CallLost] {
        let mut jar = Jar::default();
        world.sign_in(&mut jar, "alice").await;
        world.store.fail(Verb::Delete, fault);
        world.request(&jar).destroy().await.unwrap();
        assert_eq!(world.who(&mut jar).await, None, "{fault:?}");
    }
    for fault in [Fault::AnswerLost, Fault::CallLost] {
        let mut jar = Jar::default();
        world.sign_in(&mut jar, "alice").await;
        world.store.fail(Verb::Revoke, fault);
        world.request(&jar).sign_out_everywhere().await.unwrap();
        assert_eq!(world.who(&mut jar).await, None, "{fault:?}");
    }
}

#[tokio::test]
async fn an_end_that_the_store_refuses_is_an_error_and_the_session_lives() {
    let world = World::new();
    let mut jar = Jar::default();
    world.sign_in(&mut jar, "alice").await;
    let session = world.request(&jar);
    world.store.fail(Verb::Delete, Fault::OutOfReach);
    assert!(matches!(
        session.destroy().await,
        Err(SessionError::Store(_))
    ));
    jar.take(
        &session.commit(HandlerOutcome::Answered).await,
        &world.sessions,
    );
    assert_eq!(world.who(&mut jar).await.as_deref(), Some("alice"));
}
