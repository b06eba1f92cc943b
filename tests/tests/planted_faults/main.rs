//! The suite is itself tested: each fault here is a store that breaks one thing, and is caught by the
//! cases named for it. No case is left that catches nothing.

mod abilities;
mod apart;
mod changes;
mod deletes;
mod fault;
mod histories;
mod limits;
mod listing;
mod lives;
mod renewals;
mod revoking;
mod rules;
mod times;
#[path = "../unlocked/mod.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    reason = "shared with the test of linearizability"
)]
mod unlocked;
mod values;
mod whole;

use std::collections::BTreeSet;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use session_conformance::{Outcome, Suite};

/// A store that breaks one thing, and the cases that catch it.
struct Planted {
    fault: &'static str,
    suite: fn() -> Suite,
    caught_by: &'static [&'static str],
}

fn caught(
    fault: &'static str,
    suite: fn() -> Suite,
    caught_by: &'static [&'static str],
) -> Planted {
    Planted {
        fault,
        suite,
        caught_by,
    }
}

fn planted() -> Vec<Planted> {
    let mut planted = Vec::new();
    planted.extend(lives::planted());
    planted.extend(changes::planted());
    planted.extend(whole::planted());
    planted.extend(times::planted());
    planted.extend(renewals::planted());
    planted.extend(listing::planted());
    planted.extend(limits::planted());
    planted.extend(revoking::planted());
    planted.extend(deletes::planted());
    planted.extend(values::planted());
    planted.extend(apart::planted());
    planted.extend(abilities::planted());
    planted.extend(histories::planted());
    planted
}

/// How often a case may miss a fault that does harm only where calls overlap: on a busy machine they may
/// not do so in one run.
const RUNS: usize = 5;

fn catches(case: &str, suite: fn() -> Suite) -> Result<(), Failed> {
    for _ in 0..RUNS {
        match suite().run_case(case) {
            Outcome::Failed(_) => return Ok(()),
            Outcome::Passed => {}
            Outcome::Ignored(reason) => {
                return Err(format!("the case was ignored: {reason}").into());
            }
        }
    }
    Err("the case passes on the broken store".into())
}

/// DESIGN section 4: each clause has a case, and each case is shown to fail.
fn no_case_catches_nothing(planted: &[Planted]) -> Result<(), Failed> {
    let caught_by: BTreeSet<_> = planted
        .iter()
        .flat_map(|fault| fault.caught_by)
        .copied()
        .collect();
    let cases = Suite::case_names();
    let idle: Vec<_> = cases
        .iter()
        .filter(|case| !caught_by.contains(*case))
        .collect();
    if !idle.is_empty() {
        return Err(format!("no fault is planted for {idle:#?}").into());
    }
    for clause in 1..=16 {
        let prefix = format!("clause_{clause:02}_");
        if !cases.iter().any(|case| case.starts_with(&prefix)) {
            return Err(format!("clause {clause} has no case").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let planted = planted();
    let idle = no_case_catches_nothing(&planted);
    let mut trials = vec![Trial::test("every_case_catches_a_fault", move || idle)];
    for fault in planted {
        for case in fault.caught_by {
            let name = format!("{case}::catches::{}", fault.fault);
            trials.push(Trial::test(name, move || catches(case, fault.suite)));
        }
    }
    // Their panics are what is wanted: only one that does not come is worth a line.
    std::panic::set_hook(Box::new(|_| {}));
    libtest_mimic::run(&arguments, trials).exit_code()
}
