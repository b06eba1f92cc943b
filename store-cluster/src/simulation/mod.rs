//! Whole clusters in simulated time. One seed is one schedule: of what clients do, of how frames travel,
//! of what goes wrong.
//!
//! `CLUSTER_SEEDS` sets how many are run, `CLUSTER_SEED` runs one alone. Of a seed that fails, the least
//! that still does is told.

mod checks;
mod clients;
mod ledger;
mod links;
mod mishaps;
mod plan;
mod rng;
mod wires;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::plan::{Plan, number};
use self::world::{Event, World};
use crate::core::Fault;

/// What one schedule came to.
#[derive(Debug, Default)]
struct Outcome {
    acked: usize,
    answers: usize,
    violation: Option<String>,
}

fn run(plan: &Plan, fault: Option<Fault>) -> Outcome {
    let mut world = World::new(plan, fault);
    world.run_until(1_000);
    world.at(0, Event::Client);
    if plan.size < 6 {
        // Two at a time.
        world.at(3, Event::Client);
    }
    world.at(500, Event::Fault);
    world.run_until(1_000 + plan.lasts);
    world.come_to_rest(40_000);
    world.check_at_rest();
    Outcome {
        acked: world.ledger.acked,
        answers: world.ledger.answers,
        violation: world.violation,
    }
}

/// Runs seeds from `first` on, on all cores, until `stop` says so; what each came to.
fn run_all(
    first: u64,
    seeds: u64,
    fault: Option<Fault>,
    stop: impl Fn(&Outcome) -> bool + Sync,
) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(first);
    let end = AtomicU64::new(first + seeds);
    let outcomes = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end.load(Ordering::SeqCst) {
                        return;
                    }
                    let outcome = run(&Plan::of(seed), fault);
                    if stop(&outcome) {
                        end.fetch_min(seed, Ordering::SeqCst);
                    }
                    outcomes.lock().unwrap().push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes
}

#[test]
fn whatever_goes_wrong_nothing_promised_is_lost_and_nothing_ended_comes_back() {
    if let Some(plan) = Plan::asked_for() {
        let Outcome { violation, .. } = run(&plan, None);
        assert_eq!(violation, None);
        return;
    }
    let seeds = number("CLUSTER_SEEDS").unwrap_or(1_000);
    let outcomes = run_all(1, seeds, None, |_| false);
    let acked: usize = outcomes.iter().map(|(_, outcome)| outcome.acked).sum();
    let answers: usize = outcomes.iter().map(|(_, outcome)| outcome.answers).sum();
    println!("{seeds} seeds: {acked} acknowledgements, {answers} loads checked");
    let failures = outcomes
        .iter()
        .filter_map(|(seed, outcome)| Some((*seed, outcome.violation.as_ref()?)));
    let told: Vec<_> = failures
        .take(10)
        .map(|(seed, violation)| {
            let least = Plan::of(seed).minimised(|plan| run(plan, None).violation.is_some());
            format!("seed {seed}: {violation}\n    {}", least.command())
        })
        .collect();
    assert!(told.is_empty(), "seeds that failed:\n{}", told.join("\n"));
}

#[test]
fn of_a_schedule_that_fails_the_least_that_still_does_is_told() {
    let fails = |plan: &Plan| run(plan, Some(Fault::LastWriteWins)).violation.is_some();
    let whole = (1..100).map(Plan::of).find(fails).expect("one that fails");
    let least = whole.clone().minimised(fails);
    assert!(fails(&least), "{least:?}");
    assert!(
        least.without.len() > 3 && least.lasts <= whole.lasts,
        "{least:?}"
    );
}

#[test]
fn every_planted_fault_is_caught() {
    let budget = number("CLUSTER_FAULT_SEEDS").unwrap_or(1_000);
    let mut missed = Vec::new();
    let mut took = Vec::new();
    for fault in Fault::ALL {
        let outcomes = run_all(1, budget, Some(fault), |it| it.violation.is_some());
        let caught = outcomes
            .iter()
            .find_map(|(seed, outcome)| Some((*seed, outcome.violation.as_ref()?)));
        match caught {
            Some((seed, violation)) => {
                let violation: String = violation.chars().take(150).collect();
                println!("{fault:?}: {seed} seeds; {violation}");
                took.push(seed);
            }
            None => {
                println!("{fault:?}: not caught within {budget} seeds");
                missed.push(fault);
            }
        }
    }
    took.sort_unstable();
    println!(
        "{} of {} caught, {} seeds in the median",
        took.len(),
        Fault::ALL.len(),
        took[took.len() / 2]
    );
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
