//! The histories as cases of the suite.

use crate::case::Case;
use crate::context::Context;

use super::concurrent::{self, Schedule};
use super::sequential::{self, Amount, UnderTest};
use super::{Counts, RACES, dropped};

/// Histories of each kind, unless `SESSION_CONFORMANCE_HISTORIES` says how many.
const HISTORIES: u64 = 150;

/// After so many rounds of concurrent histories each race must have been won by each side.
const ROUNDS: u64 = 10;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        history_random_calls_are_answered_as_the_contract_says: Quiet,
        history_concurrent_calls_have_an_order_that_explains_them: Quiet + OneInstant + OneNode,
        history_a_dropped_call_happens_whole_or_not_at_all: Quiet + OneInstant + OneNode,
    ]
}

fn histories() -> u64 {
    let given = std::env::var("SESSION_CONFORMANCE_HISTORIES").ok();
    given
        .and_then(|number| number.parse().ok())
        .unwrap_or(HISTORIES)
}

/// Whoever chooses the number sees what came of it.
fn show(counts: &Counts) {
    if std::env::var_os("SESSION_CONFORMANCE_HISTORIES").is_some() {
        println!("{counts}");
    }
}

fn under(given: &Context) -> UnderTest {
    UnderTest {
        handles: given.handles.clone(),
        clock: given.clock.clone(),
        reads_copies: true,
    }
}

async fn history_random_calls_are_answered_as_the_contract_says(given: Context) {
    let under = under(&given);
    let (histories, calls) = (histories(), 60);
    let checked = sequential::check(&under, Amount { histories, calls }, given.seed).await;
    let counts = checked.unwrap_or_else(|violation| {
        panic!(
            "{violation}run it again with SESSION_CONFORMANCE_SEED={}",
            violation.seed
        )
    });
    show(&counts);
    if histories >= HISTORIES {
        let short = counts.shortfalls(sequential::tries_bounds(&under));
        assert!(short.is_empty(), "the histories are too tame: {short:#?}");
    }
}

async fn history_concurrent_calls_have_an_order_that_explains_them(given: Context) {
    let under = under(&given);
    let mut counts = Counts::default();
    let (mut seeds, mut seed) = (given.rng(), given.seed);
    for _ in 0..ROUNDS {
        let histories = histories();
        let checked = concurrent::check(&under, histories, Schedule::Interleaved, seed).await;
        counts.add(&checked.unwrap_or_else(|found| {
            panic!(
                "{found}run it again with SESSION_CONFORMANCE_SEED={}",
                found.seed
            )
        }));
        seed = seeds.next();
        if counts.unfair_races(&RACES, 0).is_empty() {
            break;
        }
    }
    show(&counts);
    if counts.histories >= HISTORIES {
        let unfair = counts.unfair_races(&RACES, 0);
        assert!(unfair.is_empty(), "the histories are too tame: {unfair:#?}");
    }
}

async fn history_a_dropped_call_happens_whole_or_not_at_all(given: Context) {
    let mut drops = dropped::Drops::new();
    // How often a call to a server is polled before it ends differs from one time to the next.
    for _ in 0..ROUNDS {
        let more = dropped::check(&under(&given), given.seed).await;
        for (name, [not, happened]) in more.unwrap_or_else(|found| panic!("{found}")) {
            let sum = drops.entry(name).or_default();
            *sum = [sum[0] + not, sum[1] + happened];
        }
        if drops.values().all(|counts| !counts.contains(&0)) {
            break;
        }
    }
    for name in dropped::DROPPED {
        let [not, happened] = drops.get(name).copied().unwrap_or_default();
        assert!(
            not > 0 && happened > 0,
            "{name}: dropped {not} times before and {happened} times after it happened"
        );
    }
}
