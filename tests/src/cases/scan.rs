//! The optional `Scan`: walking all sessions.

use session_core::{Record, SessionId, SessionStore, Timeouts};

use crate::case::Case;
use crate::context::{Context, fresh_subject};
use crate::sample::{mins, set, sorted};

pub(super) fn cases() -> Vec<Case> {
    cases![
        scan_finds_every_live_session_in_the_order_of_ids: Scan,
        scan_finds_nothing_that_ended: Scan,
        scan_finds_nothing_that_expired: Scan + Clock,
        scan_keeps_to_its_limit: Scan,
    ]
}

/// All live sessions of `store`, a page at a time.
pub(super) async fn all(store: &dyn SessionStore) -> Vec<(SessionId, Record)> {
    let scan = store.abilities().scan.unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = scan.scan(after, 100).await.unwrap();
        let Some((last, _)) = page.last() else {
            return all;
        };
        after = Some(*last);
        all.extend(page);
    }
}

async fn scan_finds_every_live_session_in_the_order_of_ids(given: Context) {
    let mut ours = Vec::new();
    for round in 0..40 {
        let session = match round % 2 {
            0 => given.visitor().await,
            _ => given.user(&fresh_subject()).await,
        };
        let record = given
            .change(session.id, set("round", round.to_string()))
            .await;
        ours.push((session.id, record));
    }
    let found = all(&**given.store()).await;
    assert!(
        found.windows(2).all(|two| two[0].0 < two[1].0),
        "out of order, or twice"
    );
    for session in ours {
        assert!(
            found.contains(&session),
            "a live session was not found as it is"
        );
    }
}

async fn scan_finds_nothing_that_ended(given: Context) {
    let (subject, user) = given.some_user().await;
    let visitor = given.visitor().await;
    given.store().revoke(&subject, None).await.unwrap();
    assert!(given.store().delete(visitor.id).await.unwrap());
    let found = all(&**given.store()).await;
    assert!(
        found
            .iter()
            .all(|(id, _)| ![user.id, visitor.id].contains(id))
    );
}

async fn scan_finds_nothing_that_expired(given: Context) {
    let visitor = given.visitor_for(Timeouts::new(mins(1))).await;
    given.advance(mins(1));
    let found = all(&**given.store()).await;
    assert!(found.iter().all(|(id, _)| *id != visitor.id));
}

async fn scan_keeps_to_its_limit(given: Context) {
    let mut ours = Vec::new();
    for _ in 0..5 {
        ours.push(given.visitor().await.id);
    }
    let (ours, store) = (sorted(ours), &**given.store());
    let scan = store.abilities().scan.unwrap();
    for limit in 1..4 {
        let page = scan.scan(None, limit).await.unwrap();
        assert_eq!(page.len(), limit);
        for id in &ours {
            let page = scan.scan(Some(*id), limit).await.unwrap();
            assert!(page.len() <= limit);
            assert!(
                page.iter().all(|(found, _)| found > id),
                "ids follow `after`"
            );
        }
    }
    // Others may lie between, but nothing before the next of ours is skipped.
    let next = scan.scan(Some(ours[0]), 1).await.unwrap();
    assert!(next[0].0 <= ours[1]);
}
