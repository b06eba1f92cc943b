//! `cargo xtask test`: the steps in order, what came of each, and one line of counts.

use std::time::Duration;

use crate::process::now;
use crate::steps::{Context, Report, STEPS, Step};
use crate::workspace::Workspace;

/// What `cargo xtask test` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run these steps alone, separated by commas
    #[arg(long, value_name = "STEP", value_delimiter = ',', value_parser = step_names())]
    only: Vec<String>,
    /// Say which steps there are and why, and run none
    #[arg(long)]
    list: bool,
    /// Show the tests that pass, too
    #[arg(long)]
    verbose: bool,
}

fn step_names() -> clap::builder::PossibleValuesParser {
    STEPS
        .iter()
        .map(|step| step.name)
        .collect::<Vec<_>>()
        .into()
}

/// Runs the steps; `true` when nothing failed.
///
/// # Errors
///
/// When the workspace cannot be read.
pub(crate) fn test(options: &Options) -> Result<bool, String> {
    if options.list {
        for step in STEPS {
            println!("{:<13} {}", step.name, step.why);
        }
        return Ok(true);
    }
    let context = Context {
        workspace: Workspace::load()?,
        verbose: options.verbose,
    };
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| options.only.is_empty() || options.only.iter().any(|n| n == step.name))
        .collect();

    let started = now();
    let results = run(&chosen, &context, |line| println!("{line}"));
    println!();
    for line in summary(&results, started.elapsed()) {
        println!("{line}");
    }
    Ok(results.iter().all(|(_, report)| report.failed == 0))
}

/// Runs each step, saying so; after a decisive failure the remaining ones are ignored.
fn run<'a>(
    steps: &[&'a Step],
    context: &Context,
    mut say: impl FnMut(String),
) -> Vec<(&'a str, Report)> {
    let mut results = Vec::new();
    let mut hopeless = None;
    for (position, step) in steps.iter().enumerate() {
        let progress = format!("[{}/{}] {}", position + 1, steps.len(), step.name);
        if let Some(cause) = hopeless {
            results.push((
                step.name,
                Report::ignored(format!("not run, because {cause} failed")),
            ));
            continue;
        }
        say(format!("{progress} ..."));
        let started = now();
        let missing = step
            .needs
            .iter()
            .find_map(|tool| tool.ensure(&context.workspace).err());
        let report = match missing {
            None => (step.run)(context),
            Some(why) => Report::check(Err(why)),
        };
        say(format!(
            "{progress}: {}, {}",
            verdict(&report),
            seconds(started.elapsed())
        ));
        if step.decisive && report.failed > 0 {
            hopeless = Some(step.name);
        }
        results.push((step.name, report));
    }
    results
}

fn verdict(report: &Report) -> String {
    match (report.passed, report.failed, report.ignored) {
        (1, 0, 0) => "passed".to_owned(),
        (0, 0, 1) => format!("ignored ({})", report.reasons.join("; ")),
        (0, 1, 0) => "FAILED".to_owned(),
        (passed, failed, ignored) => {
            format!("{passed} passed, {failed} failed, {ignored} ignored")
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What was ignored and what failed, one line each; in the end, alone on a line, the counts.
fn summary(results: &[(&str, Report)], time: Duration) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, report) in results {
        lines.extend(
            report
                .reasons
                .iter()
                .map(|reason| format!("ignored: {name}: {reason}")),
        );
    }
    for (name, report) in results {
        lines.extend(
            report
                .failures
                .iter()
                .map(|failure| format!("FAILED: {name}: {failure}")),
        );
    }
    lines.push(format!("{} steps in {}", results.len(), seconds(time)));
    let sum = |count: fn(&Report) -> u64| -> u64 {
        results.iter().map(|(_, report)| count(report)).sum()
    };
    lines.push(format!(
        "{} passed, {} failed, {} skipped",
        sum(|report| report.passed),
        sum(|report| report.failed),
        sum(|report| report.ignored)
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::example;

    fn step(name: &'static str, decisive: bool, run: fn(&Context) -> Report) -> Step {
        Step {
            name,
            why: "",
            needs: &[],
            decisive,
            run,
        }
    }

    fn good(_: &Context) -> Report {
        Report {
            passed: 5,
            ignored: 1,
            reasons: vec!["a: later".to_owned()],
            ..Report::default()
        }
    }

    fn bad(_: &Context) -> Report {
        Report::check(Err("see above".to_owned()))
    }

    fn outcome(steps: &[Step]) -> (Vec<String>, Vec<String>) {
        let context = Context {
            workspace: example(),
            verbose: false,
        };
        let mut said = Vec::new();
        let results = run(&steps.iter().collect::<Vec<_>>(), &context, |line| {
            said.push(line);
        });
        (said, summary(&results, Duration::from_millis(1234)))
    }

    #[test]
    fn a_failing_step_does_not_keep_the_others_from_running() {
        let (said, summary) = outcome(&[step("one", false, bad), step("two", false, good)]);
        assert_eq!(said.len(), 4);
        assert!(said[0].starts_with("[1/2] one ..."), "{said:?}");
        assert!(said[1].starts_with("[1/2] one: FAILED, "), "{said:?}");
        assert!(
            said[3].starts_with("[2/2] two: 5 passed, 0 failed, 1 ignored, "),
            "{said:?}"
        );
        assert_eq!(
            summary,
            [
                "ignored: two: a: later",
                "FAILED: one: see above",
                "2 steps in 1.2 s",
                "5 passed, 1 failed, 1 skipped"
            ]
        );
    }

    #[test]
    fn after_a_decisive_failure_the_rest_is_named_as_not_run() {
        let (said, summary) = outcome(&[step("build", true, bad), step("tests", false, good)]);
        assert_eq!(said.len(), 2);
        assert_eq!(summary[0], "ignored: tests: not run, because build failed");
        assert_eq!(
            summary.last().map(String::as_str),
            Some("0 passed, 1 failed, 1 skipped")
        );
    }

    #[test]
    fn a_decisive_step_that_holds_stops_nothing() {
        let (_, summary) = outcome(&[step("build", true, good), step("tests", false, good)]);
        assert_eq!(
            summary.last().map(String::as_str),
            Some("10 passed, 0 failed, 2 skipped")
        );
    }
}
