//! The ledger finds each kind of fault that is planted, and none where there is none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod lying;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lying::{Lie, Lying};
use parking_lot::Mutex;
use session_core::SharedStore;
use session_outages::worker::{self, Load};
use session_outages::{Finding, Findings, Journal, Ledger, Recorded, Timed};
use store_memory::MemoryStore;

/// Two servers of mixed load on a store that tells this lie now and then.
async fn findings(lie: Lie, seed: u64) -> Findings {
    println!("seed {seed}");
    let honest: SharedStore = Arc::new(MemoryStore::new());
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let into = Arc::clone(&ledger);
    let journal: Journal = Arc::new(move |event| into.lock().add(event));
    let counters = {
        let store = Recorded::new(SharedStore::clone(&honest), Arc::clone(&journal));
        vec![store.create(None).await.unwrap().token]
    };
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..2)
        .map(|number| {
            let lying: SharedStore = Arc::new(Lying::new(SharedStore::clone(&honest), lie));
            let limit = Duration::from_millis(500);
            let store = Timed::new(lying, limit, limit, Arc::clone(&journal));
            let load = Load {
                seed: seed + number,
                name: format!("worker{number}"),
                actors: 24,
                pace: Duration::from_millis(2),
                counters: counters.clone(),
            };
            let store = Recorded::new(Arc::new(store), Arc::clone(&journal));
            tokio::spawn(worker::run(store, load, Arc::clone(&stop)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    Ledger::audit(&ledger, honest).await.unwrap();
    ledger.lock().findings()
}

/// The lie is found, as what it is and as nothing else. Some do harm only when calls happen to overlap, so
/// not every round of load shows them.
async fn finds(lie: Lie, finding: Finding) {
    const ROUNDS: usize = 8;
    for seed in (7..).step_by(10).take(ROUNDS) {
        let findings = findings(lie, seed).await;
        let count = findings.count(finding);
        assert_eq!(count, findings.broken.len(), "{lie:?}: {findings}");
        if count > 0 {
            return;
        }
    }
    panic!("{lie:?} was not found in {ROUNDS} rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_where_nothing_is_wrong() {
    let findings = findings(Lie::None, 7).await;
    assert!(findings.broken.is_empty(), "{findings}");
    assert!(findings.acknowledged > 500, "{findings}");
    assert!(findings.reads > 500, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_where_answers_are_lost_and_the_store_says_so() {
    let findings = findings(Lie::LosesAnswers, 7).await;
    assert!(findings.broken.is_empty(), "{findings}");
    assert!(findings.unknown > 20, "{findings}");
}

macro_rules! found {
    ($($name:ident: $lie:ident is $finding:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            finds(Lie::$lie, Finding::$finding).await;
        })*
    };
}

found! {
    a_write_that_is_acknowledged_and_not_done: LosesWrites is Lost,
    a_write_that_arrives_after_a_later_one: ArrivesLate is Lost,
    a_touch_that_is_acknowledged_and_not_done: LosesTouches is Lost,
    a_session_that_is_denied: DeniesLive is Lost,
    a_session_that_is_not_listed: ListsAllButOne is Lost,
    a_session_that_ends_by_itself: EndsByItself is Lost,
    an_end_that_is_acknowledged_and_not_done: DeletesNothing is Revived,
    a_revocation_that_leaves_a_session: RevokesAllButOne is Revived,
    a_sign_in_from_before_a_revocation: AdmitsStale is Revived,
    an_increment_that_is_done_twice: Doubles is Doubled,
    a_limit_that_is_not_kept: ForgetsLimits is OverLimit,
    a_call_that_never_ends: Hangs is Hung,
}
