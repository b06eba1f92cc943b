//! `cargo xtask soak`: stores under mixed load while their servers, or their nodes, fail at random.

use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::tools::{IP, IPTABLES, is_root};
use crate::workspace::Workspace;

/// How much longer than asked for a run may take: to build, to start and to look at every session.
const AROUND: Duration = Duration::from_secs(20 * 60);

/// What `cargo xtask soak` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// For how long
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// On this kind of server, or on a cluster, alone
    #[arg(long, value_parser = ["redis", "postgres", CLUSTER])]
    store: Option<String>,
    /// Repeat the run of this seed
    #[arg(long)]
    seed: Option<u64>,
}

/// The store that needs no server.
const CLUSTER: &str = "cluster";

/// Runs it; `true` when nothing that was acknowledged was lost, nothing ended came back and no call hung.
///
/// # Errors
///
/// When the workspace cannot be read.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let workspace = Workspace::load()?;
    let mut is_good = true;
    if options.store.as_deref() != Some(CLUSTER) {
        is_good &= told(&servers(options, &workspace));
    }
    if options
        .store
        .as_deref()
        .is_none_or(|store| store == CLUSTER)
    {
        is_good &= told(&cluster(options, &workspace));
    }
    Ok(is_good)
}

fn told(outcome: &Result<(), String>) -> bool {
    if let Err(why) = outcome {
        eprintln!("soak: {why}");
    }
    outcome.is_ok()
}

/// Stores on servers.
fn servers(options: &Options, workspace: &Workspace) -> Result<(), String> {
    let run = ["run", "--package", "session-outages", "--bin", "soak", "--"];
    let mut command = workspace.cargo(&run);
    command.args(["--minutes", &options.minutes.to_string()]);
    if let Some(store) = &options.store {
        command.args(["--store", store]);
    }
    seeded(&mut command, options);
    process::show_for(&mut command, limit(options))
}

/// Nodes that are processes with addresses of their own, which takes a network for each.
fn cluster(options: &Options, workspace: &Workspace) -> Result<(), String> {
    for tool in [IP, IPTABLES] {
        tool.ensure(workspace)?;
    }
    let build = ["build", "--release", "--package", "session-cluster-soak"];
    process::show(&mut workspace.cargo(&build))?;
    let program = workspace.target.join("release/session-cluster-soak");
    let mut command = if is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.arg("-n").arg(program);
        command
    };
    command.args(["--seconds", &options.minutes.saturating_mul(60).to_string()]);
    seeded(&mut command, options);
    process::show_for(&mut command, limit(options))
}

fn seeded(command: &mut Command, options: &Options) {
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
}

fn limit(options: &Options) -> Duration {
    // The runs that go with that of a cluster take a fifth more.
    Duration::from_secs(72 * options.minutes.min(1 << 32)) + AROUND
}
