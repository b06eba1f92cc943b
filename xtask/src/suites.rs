//! The steps that run tests.

use std::env;
use std::process::Command;

use crate::counts::{Counts, Line};
use crate::images;
use crate::process;
use crate::steps::{Context, Report};
use crate::tools::{CHROMIUM, OTHER_REDIS, Tool};

/// Everything is built alike for every run of tests, so that nothing is compiled twice.
const TEST: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];

/// Tells the browser test which browser to use; set by hand, it is kept.
const CHROMIUM_VARIABLE: &str = "SESSION_TEST_CHROMIUM";

/// The package and the name of the browser test: a step of its own, because of what it needs.
const BROWSER: (&str, &str) = ("demo", "browser");

/// Whether servers are containers (`docker`) or programs on this machine (`local`); set by hand, it is
/// kept, but where containers are the point.
const SERVERS_VARIABLE: &str = "SESSION_TEST_SERVERS";

/// Take precedence over it.
const URL_VARIABLES: [&str; 4] = [
    "SESSION_TEST_REDIS_URL",
    "SESSION_TEST_REDIS_CLUSTER_URL",
    "SESSION_TEST_REDIS_SENTINEL_URL",
    "SESSION_TEST_POSTGRES_URL",
];

/// The suite on the stores whose servers run in containers, too.
const CONTAINED: [&str; 6] = [
    "redis_test_clock",
    "redis_server_clock",
    "redis_cluster",
    "redis_sentinel",
    "postgres_test_clock",
    "postgres_server_clock",
];

/// Names the program of a Redis server.
const REDIS_VARIABLE: &str = "SESSION_TEST_REDIS_SERVER";

/// The suite on the servers that this runs.
const ON_OTHER_REDIS: [&str; 2] = ["redis_test_clock", "redis_cluster"];

/// The test of containers themselves, which nothing else runs.
const CONTAINERS: &str = "containers";

pub(crate) fn unit(context: &Context) -> Report {
    run(context, &mut test(context, &["--lib", "--bins"]))
}

pub(crate) fn integration(context: &Context) -> Report {
    let targets: Vec<&str> = context
        .workspace
        .test_targets()
        .into_iter()
        .filter(|name| ![BROWSER.1, CONTAINERS].contains(name))
        .flat_map(|name| ["--test", name])
        .collect();
    if targets.is_empty() {
        // Without a name, cargo would run all there is.
        return Report::check(Err("there is no integration test".to_owned()));
    }
    run(context, &mut test(context, &targets))
}

/// What `integration` runs on programs of this machine, in containers.
pub(crate) fn containers(context: &Context) -> Report {
    if let Err(why) = images::engine() {
        return Report::ignored(format!("no Docker engine answers: {why}"));
    }
    if let Err(why) = images::make(&context.workspace) {
        return Report::check(Err(why));
    }
    let contained = CONTAINED.map(|name| ["--test", name]).concat();
    let themselves = ["--test", CONTAINERS, "--", "--include-ignored"];
    let in_containers = |args: &[&str]| {
        let mut command = test(context, args);
        command.env(SERVERS_VARIABLE, "docker");
        for name in URL_VARIABLES {
            command.env_remove(name);
        }
        run(context, &mut command)
    };
    in_containers(&contained).and(in_containers(&themselves))
}

/// The suite on Valkey, and on an older and a newer Redis than Debian's.
pub(crate) fn other_redis(context: &Context) -> Report {
    let on = |server: &Tool| match server.ensure(&context.workspace) {
        Ok(program) => {
            println!("{}:", server.name());
            let suites = ON_OTHER_REDIS.map(|name| ["--test", name]).concat();
            let mut command = test(context, &suites);
            command.env(SERVERS_VARIABLE, "local");
            command.env(REDIS_VARIABLE, program);
            for name in URL_VARIABLES {
                command.env_remove(name);
            }
            run(context, &mut command)
        }
        Err(why) => Report::ignored(why),
    };
    OTHER_REDIS
        .iter()
        .map(on)
        .fold(Report::default(), Report::and)
}

pub(crate) fn doctests(context: &Context) -> Report {
    run(context, &mut test(context, &["--doc"]))
}

pub(crate) fn browser(context: &Context) -> Report {
    if !context.workspace.has_test(BROWSER.0, BROWSER.1) {
        return Report::ignored("no browser test in this checkout");
    }
    let mut command = test(context, &["--test", BROWSER.1, "--", "--include-ignored"]);
    if env::var_os(CHROMIUM_VARIABLE).is_none() {
        match CHROMIUM.ensure(&context.workspace) {
            Ok(path) => command.env(CHROMIUM_VARIABLE, path),
            Err(why) => return Report::check(Err(why)),
        };
    }
    run(context, &mut command)
}

fn test(context: &Context, args: &[&str]) -> Command {
    let mut command = context.workspace.cargo(&TEST);
    // Its lines are read: they must be plain whatever the environment says.
    command.args(args).env("CARGO_TERM_COLOR", "never");
    if env::var_os(SERVERS_VARIABLE).is_none() {
        command.env(SERVERS_VARIABLE, "local");
    }
    command
}

fn run(context: &Context, command: &mut Command) -> Report {
    let mut counts = Counts::default();
    let outcome = process::read(command, |line| {
        if counts.add(line) == Line::Telling || context.verbose {
            println!("{line}");
        }
    });
    counts.end_program();
    report(counts, outcome)
}

/// What was counted, held against how cargo itself ended.
fn report(counts: Counts, outcome: Result<(), String>) -> Report {
    let mut report = Report {
        passed: counts.passed,
        failed: counts.failed,
        ignored: counts.ignored,
        failures: counts.failures,
        reasons: counts.reasons,
    };
    match outcome {
        Err(why) => {
            // A program that crashed has named no test, nor has one that did not compile.
            for program in counts.unfinished {
                report.failed += 1;
                report
                    .failures
                    .push(format!("{program}: ended before all its tests had run"));
            }
            if report.failed == 0 {
                report.failed = 1;
                report
                    .failures
                    .push(format!("cargo test: {why}, but no test failed"));
            }
        }
        Ok(()) if report.passed + report.failed + report.ignored == 0 => {
            report.failed = 1;
            report.failures.push("not one test ran".to_owned());
        }
        Ok(()) => {}
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(passed: u64, failed: u64) -> Counts {
        let mut counts = Counts::default();
        counts.add(&format!(
            "test result: ok. {passed} passed; {failed} failed; 0 ignored;"
        ));
        counts
    }

    #[test]
    fn what_passed_is_reported_as_counted() {
        let report = report(counted(7, 0), Ok(()));
        assert_eq!((report.passed, report.failed), (7, 0));
    }

    #[test]
    fn a_program_that_crashed_is_a_failure_beside_the_tests_that_failed() {
        let mut counts = counted(7, 2);
        counts.add("running 3 tests");
        counts.end_program();
        let report = report(counts, Err("exit status: 101".to_owned()));
        assert_eq!((report.passed, report.failed), (7, 3));
    }

    #[test]
    fn a_run_that_failed_without_naming_a_test_is_a_failure() {
        let report = report(counted(7, 0), Err("exit status: 101".to_owned()));
        assert_eq!((report.passed, report.failed), (7, 1));
        assert!(report.failures.concat().contains("101"));
    }

    #[test]
    fn a_failed_test_is_not_counted_twice() {
        assert_eq!(
            report(counted(7, 2), Err("exit status: 101".to_owned())).failed,
            2
        );
    }

    #[test]
    fn no_test_at_all_is_a_failure() {
        assert_eq!(report(counted(0, 0), Ok(())).failed, 1);
    }
}
