//! Instants: arithmetic that neither overflows nor panics (SECURITY 33).

use std::time::Duration;

use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use session_core::{Clock, Fence, ManualClock, Subject, SystemClock, Ticket, Timestamp};

/// 2^53 − 1, the last integer below which every integer is a double of its own.
const LAST: u64 = 9_007_199_254_740_991;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3_u64,
        LAST - 2..LAST + 3,
        u64::MAX - 2..=u64::MAX,
        any::<u64>(),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        number().prop_map(Duration::from_millis),
        number().prop_map(Duration::from_secs),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        proptest::prelude::Just(Duration::MAX),
    ]
}

fn whole_millis(duration: Duration) -> u128 {
    duration.as_millis()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// SECURITY 33: 0, `u64::MAX` and all between them.
    #[test]
    fn sums_and_differences_stay_within_the_type(millis in number(), duration in duration()) {
        let instant = Timestamp::from_millis(millis);
        let exact = u128::from(millis.min(LAST));
        prop_assert_eq!(u128::from(instant.as_millis()), exact);
        let sum = (exact + whole_millis(duration)).min(u128::from(LAST));
        prop_assert_eq!(u128::from((instant + duration).as_millis()), sum);
        let difference = exact.saturating_sub(whole_millis(duration));
        prop_assert_eq!(u128::from((instant - duration).as_millis()), difference);
    }

    #[test]
    fn since_and_plus_agree(early in number(), late in number()) {
        let (early, late) = (Timestamp::from_millis(early), Timestamp::from_millis(late));
        let elapsed = late.since(early);
        prop_assert_eq!(early + elapsed, early.max(late));
        prop_assert!(elapsed.is_zero() || early.since(late).is_zero());
    }

    #[test]
    fn a_shift_moves_by_so_much_or_to_the_bound(millis in number(), delta in any::<i64>()) {
        let instant = Timestamp::from_millis(millis);
        let exact = i128::from(instant.as_millis()) + i128::from(delta);
        let moved = exact.clamp(0, i128::from(LAST));
        prop_assert_eq!(i128::from(instant.shifted(delta).as_millis()), moved);
    }

    /// SECURITY 33: whatever the life of tickets and the clock, no panic; and a ticket is good for its life
    /// and not a millisecond longer.
    #[test]
    fn a_ticket_is_good_for_its_life(at in 0..LAST, life in 1..1_000_000_000_u64) {
        let subject = Subject::new("alice").map_err(|error| {
            proptest::test_runner::TestCaseError::fail(error.to_string())
        })?;
        let issued = Timestamp::from_millis(at);
        let ticket = Ticket::new(subject, Fence::default(), issued);
        let life = Duration::from_millis(life);
        prop_assert!(ticket.is_stale(issued + life, life));
        prop_assert!(!ticket.is_stale(issued, life));
        prop_assert!(!ticket.is_stale((issued + life) - Duration::from_millis(1), life));
        prop_assert!(ticket.is_stale(Timestamp::MAX, Duration::MAX));
        prop_assert!(ticket.is_stale(issued, Duration::ZERO));
    }
}

#[test]
fn the_bounds_are_those_that_every_backend_holds() {
    assert_eq!(Timestamp::MIN.as_millis(), 0);
    assert_eq!(Timestamp::MAX.as_millis(), LAST);
}

#[test]
fn parts_of_a_millisecond_are_dropped() {
    let start = Timestamp::from_millis(7);
    assert_eq!(start + Duration::from_nanos(999_999), start);
    assert_eq!(
        start - Duration::from_nanos(1_000_001),
        Timestamp::from_millis(6)
    );
}

/// SECURITY 33: a clock at either end of time.
#[test]
fn a_clock_may_stand_and_move_anywhere() {
    let clock = ManualClock::at(Timestamp::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
    let shared = clock.clone();
    shared.set(Timestamp::MIN);
    assert_eq!(clock.now(), Timestamp::MIN);
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}

#[test]
fn the_systems_clock_tells_a_time_of_this_century() {
    let now = SystemClock.now().as_millis();
    assert!((1_700_000_000_000..4_100_000_000_000).contains(&now));
}
