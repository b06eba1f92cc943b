//! The project's own commands: `cargo xtask` lists them.
//!
//! A command is a variant of [`Command`] and, unless it is one call to cargo, a module of its own.
//! `test` is a table of steps ([`steps`]), run in order ([`runner`]).

mod bench;
mod checks;
mod counts;
mod dependencies;
mod images;
mod mutants;
mod process;
mod runner;
mod rust_version;
mod soak;
mod statements;
mod steps;
mod suites;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check everything a change is judged by, and run every test
    Test(runner::Options),
    /// Format the code
    Fmt,
    /// Build the API documentation and say where it is
    Docs,
    /// Break session-core's apply path in ten ways: the random histories must catch each
    Mutants,
    /// Make Docker images of the Redis and Postgres on this machine, for tests
    Images,
    /// Stop, kill and cut off servers, and nodes, under load: nothing acknowledged may be missing
    Soak(soak::Options),
    /// Measure our stores beside what they stand on and what users would pick instead
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let Some(command) = Cli::parse().command else {
        print!("{}", command_list());
        return ExitCode::SUCCESS;
    };
    match process::stop_with_us().and_then(|()| execute(&command)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command: whether all that was checked holds, or why the command could not do its work.
fn execute(command: &Command) -> Result<bool, String> {
    match command {
        Command::Test(options) => return runner::test(options),
        Command::Mutants => return mutants::run(),
        Command::Soak(options) => return soak::run(options),
        Command::Bench(options) => bench::run(options)?,
        Command::Images => images::make(&Workspace::load()?)?,
        Command::Fmt => process::show(&mut Workspace::load()?.cargo(&["fmt", "--all"]))?,
        Command::Docs => {
            let workspace = Workspace::load()?;
            process::show(&mut workspace.cargo(checks::DOCS))?;
            println!(
                "{}",
                workspace
                    .target
                    .join("doc/session_core/index.html")
                    .display()
            );
        }
    }
    Ok(true)
}

/// The commands, one line each.
fn command_list() -> String {
    let cli = Cli::command();
    let mut list = String::new();
    for command in cli.get_subcommands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        list.push_str(&format!("cargo xtask {:<7} {about}\n", command.get_name()));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_listed_on_one_line_that_says_what_it_does() {
        let list = command_list();
        for name in ["test", "fmt", "docs", "mutants", "images", "soak", "bench"] {
            let line = list
                .lines()
                .find(|line| line.starts_with(&format!("cargo xtask {name} ")))
                .unwrap_or_else(|| panic!("{name} is not listed"));
            assert!(line.split_whitespace().count() > 4, "{line} says nothing");
        }
        assert_eq!(
            list.lines().count(),
            Cli::command().get_subcommands().count()
        );
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
