//! Smoke.
use session_core::*;
use std::time::Duration;
use store_memory::MemoryStore;

#[tokio::test]
async fn a_session_lives_and_ends() {
    let clock = ManualClock::default();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let alice = Subject::new("alice").unwrap();
    let ticket = store.ticket(&alice).await.unwrap();
    let id = SessionId::generate(store.facts().sharding.shard_of(&alice));
    let secret = SessionSecret::generate();
    let new = NewRecord::new(secret.hash(), Timeouts::default());
    assert!(matches!(
        store.sign_in(&ticket, id, &new, None).await,
        Ok(Admission::Admitted { .. })
    ));
    assert!(matches!(
        store.load(id, Freshness::Any).await,
        Ok(Loaded::Live(_))
    ));
    assert_eq!(store.sessions_of(&alice).await.unwrap().len(), 1);
    let change = Change::new().set(EntryName::new("a").unwrap(), JsonText::parse("1").unwrap());
    assert!(matches!(
        store.apply(id, &change, None).await,
        Ok(Application::Applied { .. })
    ));
    assert_eq!(store.revoke(&alice, None).await.unwrap(), [id]);
    assert!(matches!(
        store.load(id, Freshness::Any).await,
        Ok(Loaded::Ended(_))
    ));
    clock.advance(Duration::from_secs(60));
    assert!(matches!(
        store.load(id, Freshness::Any).await,
        Ok(Loaded::Absent)
    ));
    assert_eq!(
        store
            .abilities()
            .purge
            .unwrap()
            .purge_expired(10)
            .await
            .unwrap(),
        0
    );
    assert_eq!(store.usage().ended, 0);
    assert!(matches!(
        store.sign_in(&ticket, id, &new, None).await,
        Ok(Admission::Revoked)
    ));
}
