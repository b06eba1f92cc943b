//! Clause 9, when several renew or present at once.

use session_core::{Application, SecretHash, Standing};

use crate::case::Case;
use crate::context::{Context, fresh_secret};
use crate::expect::{ExpectApplication, ExpectLoaded};
use crate::sample::{promote, renew, renew_softly, set, together};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_09_of_concurrent_soft_renewals_exactly_one_mints: OneNode,
        clause_09_of_concurrent_guarded_renewals_exactly_one_succeeds: OneNode,
        clause_09_concurrent_explicit_renewals_all_leave_the_current_one,
        clause_09_a_concurrent_presentation_promotes_once: OneNode,
        clause_09_concurrent_renewals_and_edits_are_all_kept,
    ]
}

async fn clause_09_of_concurrent_soft_renewals_exactly_one_mints(given: Context) {
    for _ in 0..12 {
        let session = given.visitor().await;
        let minted = together(16, |task| {
            let (store, session) = (given.handle(task), session.clone());
            async move {
                let issue = fresh_secret();
                let change = renew_softly(session.secret, issue);
                let seen = Some(&session.record);
                let record = store.apply(session.id, &change, seen).await.applied();
                record
                    .slots()
                    .any(|slot| slot.hash == issue)
                    .then_some(issue)
            }
        });
        let minted: Vec<_> = minted.await.into_iter().flatten().collect();
        assert_eq!(minted.len(), 1, "one renewal mints, the rest find it");
        let record = given.load(session.id).await.live();
        let hashes: Vec<_> = record.slots().map(|slot| slot.hash).collect();
        assert_eq!(hashes, [session.secret, minted[0]]);
    }
}

/// SECURITY 27
async fn clause_09_of_concurrent_guarded_renewals_exactly_one_succeeds(given: Context) {
    for _ in 0..12 {
        let session = given.visitor().await;
        let issued = together(16, |task| {
            let (store, session) = (given.handle(task), session.clone());
            async move {
                let issue = fresh_secret();
                let seen = &session.record;
                let change = renew(session.secret, issue).guarded_by(seen.revision());
                match store.apply(session.id, &change, Some(seen)).await.unwrap() {
                    Application::Applied { .. } => Some(issue),
                    Application::Conflict => None,
                    Application::Absent => panic!("the session lives"),
                }
            }
        });
        let issued: Vec<_> = issued.await.into_iter().flatten().collect();
        let hashes: Vec<_> = given
            .load(session.id)
            .await
            .live()
            .slots()
            .map(|slot| slot.hash)
            .collect();
        assert_eq!(hashes, [&[session.secret], &*issued].concat());
        assert_eq!(issued.len(), 1, "exactly one guarded renewal succeeds");
    }
}

async fn clause_09_concurrent_explicit_renewals_all_leave_the_current_one(given: Context) {
    for _ in 0..8 {
        let session = given.visitor().await;
        let renewals = together(16, |task| {
            let (store, session) = (given.handle(task), session.clone());
            async move {
                let change = renew(session.secret, fresh_secret());
                store.apply(session.id, &change, None).await.applied();
            }
        });
        renewals.await;
        let record = given.load(session.id).await.live();
        assert_eq!(record.slots().count(), 4);
        let current: Vec<_> = record
            .slots()
            .filter(|slot| slot.standing == Standing::Current)
            .map(|slot| slot.hash)
            .collect();
        assert_eq!(current, [session.secret]);
    }
}

async fn clause_09_a_concurrent_presentation_promotes_once(given: Context) {
    for _ in 0..8 {
        let session = given.visitor().await;
        let next = fresh_secret();
        given.change(session.id, renew(session.secret, next)).await;
        let steps = together(16, |task| {
            let (store, id) = (given.handle(task), session.id);
            async move { store.apply(id, &promote(next), None).await.step() }
        });
        let steps = steps.await;
        let promoted = steps
            .iter()
            .filter(|(before, after)| !before.slots().eq(after.slots()))
            .count();
        assert_eq!(promoted, 1, "the first presentation promotes, no other");
        let latest = given.load(session.id).await.live();
        let slot = latest.slots().next().unwrap();
        assert_eq!(slot.standing, Standing::Former);
    }
}

async fn clause_09_concurrent_renewals_and_edits_are_all_kept(given: Context) {
    for _ in 0..8 {
        let session = given.visitor().await;
        let issued: Vec<_> = (0..3).map(|_| fresh_secret()).collect();
        let changes = together(12, |task| {
            let (store, session) = (given.handle(task), session.clone());
            let change = match issued.get(task) {
                Some(issue) => renew(session.secret, *issue),
                None => set(format!("entry-{task}"), "1"),
            };
            async move {
                let seen = Some(&session.record);
                store.apply(session.id, &change, seen).await.applied();
            }
        });
        changes.await;
        let record = given.load(session.id).await.live();
        assert_eq!(record.entries().count(), 9);
        assert_eq!(record.slots().count(), 4);
        let knows = |secret: &SecretHash| record.slots().any(|slot| slot.hash == *secret);
        assert!(issued.iter().all(knows));
    }
}
