//! Runs a cluster through faults: `cargo xtask soak --store cluster`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use session_cluster_soak::{Aim, Plan, node, run, why_not};
use session_core::{Clock as _, SystemClock};

/// Runs a cluster of five nodes through faults.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// For how long
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// What to show: all, one after the other and the latter two for a tenth of the time, unless one is named
    #[arg(long, value_enum)]
    show: Option<Show>,
    /// How many operations a second
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// What all that is random follows from
    #[arg(long)]
    seed: Option<u64>,
    /// Stop when the input ends, as it does when whoever holds it is gone
    #[arg(long)]
    attended: bool,
    /// Only say whether a run is possible here, and why not
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Show {
    /// That nothing is lost
    Kept,
    /// That a loss is seen
    Control,
    /// That nothing is lost while nodes of two wire versions run
    Upgrade,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is one node, as its input says
    #[command(hide = true)]
    Node(node::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Node(options)) => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .with_max_level(tracing::Level::WARN)
                .init();
            node::serve(options).await.map(|()| true)
        }
        None if cli.check => {
            if let Some(why) = why_not().await {
                println!("{why}");
            }
            Ok(true)
        }
        None => tokio::select! {
            done = all(&cli) => done,
            () = input_ends(), if cli.attended => Err("nobody waits for this any more".to_owned()),
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Not a task of the runtime, which would wait for the input when it ends.
async fn input_ends() {
    let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended);
    });
    let _ = has_ended.await;
}

async fn all(cli: &Cli) -> Result<bool, String> {
    if let Some(why) = why_not().await {
        return Err(why);
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let seed = cli.seed.unwrap_or_else(|| SystemClock.now().as_millis());
    let length = Duration::from_secs(cli.seconds);
    let plans = match cli.show {
        Some(Show::Kept) => vec![(Aim::Kept, length)],
        Some(Show::Control) => vec![(Aim::Control, length)],
        Some(Show::Upgrade) => vec![(Aim::Upgrade, length)],
        None => vec![
            (Aim::Kept, length),
            (Aim::Control, length / 10),
            (Aim::Upgrade, length / 10),
        ],
    };
    let mut is_good = true;
    for (aim, length) in plans {
        let plan = Plan {
            aim,
            length,
            rate: cli.rate,
            seed,
        };
        let report = run(plan, &program).await?;
        let verdict = if report.is_good() { "good" } else { "NOT GOOD" };
        println!("{report}\n  {verdict}");
        is_good &= report.is_good();
    }
    Ok(is_good)
}
