//! `cargo xtask bench`: our stores, what they stand on, and other people's, measured side by side.

use std::time::Duration;

use crate::process;
use crate::tools::{POSTGRES, REDIS, WRK};
use crate::workspace::Workspace;

/// How long a whole run may take, its build with other people's stores included.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// What `cargo xtask bench` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure: memory, redis/load, postgres/write/2KB/64, http, cluster, cluster/heal, bytes;
    /// everything without it
    filter: Option<String>,
    /// A short form, for a look
    #[arg(long)]
    quick: bool,
    /// The seed of the order in which sessions and subjects have their turns
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it, prints the tables, and keeps them in `target/bench`; those of a whole run also in the bench's README.
///
/// # Errors
///
/// When a tool is missing, or the package of the peers does not build or run.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let workspace = Workspace::load()?;
    for tool in [REDIS, POSTGRES, WRK] {
        tool.ensure(&workspace)?;
    }
    let manifest = workspace.root.join("benches/peers/Cargo.toml");
    let results = workspace.target.join("bench");
    let mut command = workspace.cargo(&["run", "--release", "--manifest-path"]);
    command
        .arg(manifest)
        // What the workspace has built in this profile need not be built again.
        .arg("--target-dir")
        .arg(&workspace.target)
        .arg("--")
        .arg("--results")
        .arg(results);
    command.args(&options.filter);
    if options.quick {
        command.arg("--quick");
    } else if options.filter.is_none() {
        command
            .arg("--page")
            .arg(workspace.root.join("benches/README.md"));
    }
    if let Some(seed) = options.seed {
        command.arg("--seed").arg(seed.to_string());
    }
    process::show_for(&mut command, LIMIT)
}
