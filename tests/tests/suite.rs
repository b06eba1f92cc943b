//! How the suite opens a store, and what it says of a case.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_conformance::reference::ReferenceStore;
use session_conformance::{Opened, Outcome, Suite};
use session_core::{Consistency, ManualClock};

const A_CASE: &str = "clause_01_create_never_overwrites_a_live_session";

fn counting() -> (Arc<AtomicUsize>, Suite) {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let suite = Suite::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { ReferenceStore::default() }
    });
    (opened, suite)
}

#[test]
fn the_store_opens_once_and_on_the_first_case() {
    let (opened, suite) = counting();
    assert_eq!(opened.load(Ordering::SeqCst), 0);
    assert_eq!(suite.run_case(A_CASE), Outcome::Passed);
    assert_eq!(suite.run_case(A_CASE), Outcome::Passed);
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_case_that_needs_what_was_not_given_is_ignored_with_the_reason_and_opens_nothing() {
    let (opened, suite) = counting();
    for (case, gives) in [
        ("clause_07_a_touch_never_moves_back", "Suite::clock"),
        (
            "clause_15_one_id_is_two_sessions_in_two_stores",
            "Suite::neighbour",
        ),
        ("bounded_drops_no_live_session", "Suite::bounded"),
    ] {
        let Outcome::Ignored(reason) = suite.run_case(case) else {
            panic!("{case} was not ignored");
        };
        assert!(reason.contains(gives), "{reason}");
    }
    assert_eq!(opened.load(Ordering::SeqCst), 0);
    let Outcome::Ignored(reason) = suite.run_case("clause_16_a_limit_holds_over_all_handles")
    else {
        panic!("one handle is not two");
    };
    assert!(reason.contains("Opened::with_handle"), "{reason}");
}

#[test]
fn a_case_about_a_running_clock_is_ignored_by_a_test_clock() {
    let clock = ManualClock::default();
    let store = ReferenceStore::new(clock.clone());
    let suite = Suite::new(move || std::future::ready(store.clone())).clock(clock);
    let outcome = suite.run_case("clause_08_a_session_expires_by_a_clock_that_runs");
    assert!(matches!(outcome, Outcome::Ignored(_)), "{outcome:?}");
}

#[test]
fn calls_through_several_nodes_are_not_asked_of_an_eventual_store() {
    let suite = Suite::new(|| async {
        let store = ReferenceStore::default();
        Opened::from(store.clone()).with_handle(store)
    });
    let suite = suite.consistency(Consistency::Eventual);
    let outcome = suite.run_case("clause_16_a_limit_holds_over_all_handles");
    assert!(matches!(outcome, Outcome::Ignored(_)), "{outcome:?}");
}

#[test]
fn a_store_that_does_not_open_fails_every_case_and_is_not_opened_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let suite = Suite::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { panic!("no server at 127.0.0.1:1") as ReferenceStore }
    });
    for _ in 0..3 {
        let Outcome::Failed(message) = suite.run_case(A_CASE) else {
            panic!("a case without a store did not fail");
        };
        assert!(message.contains("no server at 127.0.0.1:1"), "{message}");
    }
    assert_eq!(tries.load(Ordering::SeqCst), 1);
}

/// Needs a runtime to end what it holds, as a container's guard does.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        tokio::runtime::Handle::current();
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_guard_is_kept_to_the_end_and_dropped_within_the_runtime() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let suite = Suite::new(move || {
        let guard = Guard(Arc::clone(&count));
        async { Opened::from(ReferenceStore::default()).holding(guard) }
    });
    assert_eq!(suite.run_case(A_CASE), Outcome::Passed);
    assert_eq!(suite.run_case(A_CASE), Outcome::Passed);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(suite);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_case_over_its_time_limit_fails() {
    let (_, suite) = counting();
    let suite = suite.time_limit(Duration::ZERO);
    let outcome = suite.run_case("clause_08_a_session_expires_by_a_clock_that_runs");
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

#[test]
fn a_failure_names_the_seed() {
    let clock = ManualClock::default();
    // The store goes by another clock than the suite was told.
    let suite = Suite::new(|| async { ReferenceStore::default() }).clock(clock);
    let Outcome::Failed(message) = suite.run_case("clause_07_a_touch_never_moves_back") else {
        panic!("a store by another clock passed");
    };
    assert!(message.contains("SESSION_CONFORMANCE_SEED="), "{message}");
}

#[test]
fn names_of_cases_are_unique_and_say_their_clause() {
    let mut names = Suite::case_names();
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]));
    let kinds = [
        "clause_", "watch_", "scan_", "purge_", "bounded_", "facts_", "history_",
    ];
    for name in names {
        assert!(kinds.iter().any(|kind| name.starts_with(kind)), "{name}");
    }
}
