//! What we depend on, judged by `deny.toml`.

use std::time::Duration;

use crate::process;
use crate::steps::{Context, Report};

/// How long fetching the advisory database and judging by it may take.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(120);

/// Licences and sources of everything, tests included; and the edges between crates, where a
/// crate's own tests may use what the crate itself may not.
pub(crate) fn policy(context: &Context) -> Report {
    let deny = |args| process::show(&mut context.workspace.cargo(args));
    let everything = deny(&["deny", "--all-features", "check", "licenses", "sources"]);
    // An edge that may exist need not; which crate is the parent is said without the whole graph.
    let check_edges = [
        "--exclude-dev",
        "check",
        "--hide-inclusion-graph",
        "--allow",
        "unused-wrapper",
        "bans",
    ];
    let edges = deny(&[&["deny", "--all-features"][..], &check_edges].concat());
    Report::check(match (everything, edges) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(_), Ok(())) => Err("licences or sources: see above".to_owned()),
        (Ok(()), Err(_)) => Err("dependency edges: see above".to_owned()),
        (Err(_), Err(_)) => Err("licences or sources, and dependency edges: see above".to_owned()),
    })
}

pub(crate) fn advisories(context: &Context) -> Report {
    let mut command = context
        .workspace
        .cargo(&["deny", "--all-features", "check", "advisories"]);
    // Where the database asks for a password there is nobody to give it.
    command.env("GIT_TERMINAL_PROMPT", "0");
    let outcome = process::capture(&mut command, ADVISORIES_LIMIT);
    if let Ok((_, text)) = &outcome {
        print!("{text}");
    }
    judge(outcome)
}

fn judge(outcome: Result<(bool, String), String>) -> Report {
    match outcome {
        Ok((true, _)) => Report::check(Ok(())),
        Ok((false, text)) if text.contains("failed to fetch advisory database") => {
            Report::ignored("advisory database out of reach")
        }
        Ok((false, _)) => Report::check(Err("see above".to_owned())),
        Err(why) => Report::ignored(format!("advisory database out of reach: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_out_of_reach_is_neither_passed_nor_failed() {
        let text = "2026-01-01 00:00:00 [ERROR] failed to fetch advisory database\n";
        for outcome in [
            Ok((false, text.to_owned())),
            Err("still running after 120 s".to_owned()),
        ] {
            let report = judge(outcome);
            assert_eq!((report.passed, report.failed, report.ignored), (0, 0, 1));
            assert!(
                report
                    .reasons
                    .concat()
                    .contains("advisory database out of reach")
            );
        }
    }

    #[test]
    fn an_advisory_fails_the_step() {
        let text = "error[vulnerability]: a flaw\nadvisories FAILED\n".to_owned();
        assert_eq!(judge(Ok((false, text))).failed, 1);
        assert_eq!(judge(Ok((true, "advisories ok\n".to_owned()))).passed, 1);
    }
}
