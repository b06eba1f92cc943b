//! The minimum Rust version: stated by all our crates alike, kept by all dependencies, and seen to
//! work where that very version runs.

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::steps::{Context, Report};
use crate::workspace::Workspace;

/// How long rustc may take to say its version.
const LIMIT: Duration = Duration::from_secs(60);

/// A version of Rust: `1.95` is `1.95.0`.
type Version = (u64, u64, u64);

pub(crate) fn check(context: &Context) -> Report {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    match process::capture(Command::new(rustc).arg("--version"), LIMIT) {
        Ok((true, text)) => judge(&context.workspace, text.trim()),
        Ok((false, text)) => Report::check(Err(text)),
        Err(why) => Report::check(Err(why)),
    }
}

/// `rustc` is what `rustc --version` says.
fn judge(workspace: &Workspace, rustc: &str) -> Report {
    let (stated, minimum) = match stated(workspace) {
        Ok(stated) => stated,
        Err(why) => return Report::check(Err(why)),
    };
    let newer: Vec<String> = workspace
        .dependencies()
        .filter_map(|package| {
            let needs = package.rust_version.as_deref()?;
            let fits = parse(needs).is_some_and(|needs| needs <= minimum);
            (!fits).then(|| format!("{} {} needs Rust {needs}", package.name, package.version))
        })
        .collect();
    if !newer.is_empty() {
        return Report::check(Err(format!(
            "more than the stated {stated}: {}",
            newer.join(", ")
        )));
    }
    let running = rustc.split_whitespace().nth(1).unwrap_or_default();
    match parse(running) {
        Some((major, minor, _)) if (major, minor) == (minimum.0, minimum.1) => {
            println!("{running} is the minimum, and is what ran here");
            Report::check(Ok(()))
        }
        _ => Report::ignored(format!(
            "{stated} is the minimum, {running} is what ran here"
        )),
    }
}

/// The version that all our crates state.
fn stated(workspace: &Workspace) -> Result<(&str, Version), String> {
    let mut all = None;
    for member in workspace.members() {
        let Some(stated) = member.rust_version.as_deref() else {
            return Err(format!("{} states no rust-version", member.name));
        };
        let Some(version) = parse(stated) else {
            return Err(format!("{} states the rust-version {stated}", member.name));
        };
        match all {
            None => all = Some((stated, version)),
            Some((_, other)) if other == version => {}
            Some((other, _)) => {
                return Err(format!(
                    "{} states {stated}, others state {other}",
                    member.name
                ));
            }
        }
    }
    all.ok_or_else(|| "no crate states a rust-version".to_owned())
}

/// Reads a released version; `None` for a beta or a nightly too, which are no version one has.
fn parse(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = (
        parts.next()??,
        parts.next()??,
        parts.next().unwrap_or(Some(0))?,
    );
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::example;

    const RUSTC: &str = "rustc 1.95.0 (59807616e 2026-04-14)";

    #[test]
    fn the_minimum_itself_verifies_it() {
        assert_eq!(judge(&example(), RUSTC), Report::check(Ok(())));
        assert_eq!(judge(&example(), "rustc 1.95.1 (0 2026-05-01)").passed, 1);
    }

    #[test]
    fn another_compiler_verifies_nothing() {
        for rustc in [
            "rustc 1.97.0 (0 2026-07-01)",
            "rustc 1.95.0-nightly (0 2026-02-01)",
            "",
        ] {
            let report = judge(&example(), rustc);
            assert_eq!(
                (report.passed, report.failed, report.ignored),
                (0, 0, 1),
                "{rustc}"
            );
        }
    }

    #[test]
    fn a_dependency_that_needs_more_is_named() {
        let report = judge(&example().with_rust_version("dep", Some("1.95.1")), RUSTC);
        assert_eq!(report.failed, 1);
        assert!(
            report
                .failures
                .concat()
                .contains("dep 3.2.1 needs Rust 1.95.1"),
            "{report:?}"
        );
        assert_eq!(
            judge(&example().with_rust_version("dep", None), RUSTC).passed,
            1
        );
    }

    #[test]
    fn our_crates_must_state_one_and_the_same() {
        for other in [None, Some("1.94"), Some("stable")] {
            let report = judge(&example().with_rust_version("core", other), RUSTC);
            assert_eq!(report.failed, 1, "{other:?}");
            assert!(report.failures.concat().contains("core"), "{report:?}");
        }
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!(parse("1.9"), Some((1, 9, 0)));
        assert!(parse("1.9") < parse("1.10.3"));
        for bad in ["", "1", "1.x", "1.2.3.4", "1.95.0-beta.2"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
