//! `cargo xtask soak`: stores under mixed load while their servers fail at random.

use std::time::Duration;

use crate::process;
use crate::workspace::Workspace;

/// How much longer than asked for a run may take: to build, to start and to look at every session.
const AROUND: Duration = Duration::from_secs(20 * 60);

/// What `cargo xtask soak` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// For how long
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// On this kind of server alone
    #[arg(long, value_parser = ["redis", "postgres"])]
    store: Option<String>,
    /// Repeat the run of this seed
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it; `true` when nothing that was acknowledged was lost, nothing ended came back and no call hung.
///
/// # Errors
///
/// When the workspace cannot be read.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let minutes = options.minutes.to_string();
    let mut args: Vec<String> = ["run", "--package", "session-outages", "--bin", "soak", "--"]
        .map(str::to_owned)
        .into();
    args.extend(["--minutes".to_owned(), minutes]);
    if let Some(store) = &options.store {
        args.extend(["--store".to_owned(), store.clone()]);
    }
    if let Some(seed) = options.seed {
        args.extend(["--seed".to_owned(), seed.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let limit = Duration::from_secs(60 * options.minutes.min(1 << 32)) + AROUND;
    let outcome = process::show_for(&mut Workspace::load()?.cargo(&args), limit);
    if let Err(why) = &outcome {
        eprintln!("soak: {why}");
    }
    Ok(outcome.is_ok())
}
