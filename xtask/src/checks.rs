//! The steps that are one call to cargo.

use std::process::Command;

use crate::process;
use crate::steps::{Context, Report};

/// Builds the documentation of all crates of ours.
pub(crate) const DOCS: &[&str] = &["doc", "--workspace", "--no-deps", "--all-features"];

pub(crate) fn formatting(context: &Context) -> Report {
    cargo(context, &["fmt", "--all", "--check"])
}

pub(crate) fn build(context: &Context) -> Report {
    cargo(
        context,
        &[
            "test",
            "--workspace",
            "--all-features",
            "--tests",
            "--no-run",
        ],
    )
}

pub(crate) fn lints(context: &Context) -> Report {
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features"];
    cargo(context, &[&clippy[..], &["--", "-D", "warnings"]].concat())
}

pub(crate) fn features(context: &Context) -> Report {
    cargo(context, &["hack", "check", "--workspace", "--each-feature"])
}

pub(crate) fn docs(context: &Context) -> Report {
    // Read by rustdoc alone: nothing is compiled anew for it.
    Report::check(process::show(
        context
            .workspace
            .cargo(DOCS)
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    ))
}

fn cargo(context: &Context, args: &[&str]) -> Report {
    run(&mut context.workspace.cargo(args))
}

fn run(command: &mut Command) -> Report {
    Report::check(
        process::show(command).map_err(|why| format!("{}: {why}", process::shown(command))),
    )
}
