//! Runs stores through random outages: `cargo xtask soak`.

#![allow(
    clippy::panic,
    reason = "a test whose server is missing fails by panicking"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use session_core::{Clock as _, LimitPolicy, SignInLimit, Subject, SystemClock};
use session_outages::soak::{self, Plan};
use session_outages::{Durability, Kind, open, sign_in_at_once};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

/// Runs stores through random outages of their servers.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// For how long, in minutes: the last tenth of it on a server that loses what it acknowledged
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// On which kinds of servers: all, at the same time, unless one is named
    #[arg(long)]
    store: Vec<Kind>,
    /// What all that is random follows from
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is one server of an application, as its input says
    #[command(hide = true)]
    Worker,
    /// Signs in many times at once, for each subject that its input names
    #[command(hide = true)]
    SignIn {
        #[arg(long)]
        url: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => all(&cli).await,
        Some(Command::Worker) => soak::work().await.map(|()| true),
        Some(Command::SignIn { url }) => sign_in(&url).await.map(|()| true),
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

async fn all(cli: &Cli) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let seed = cli.seed.unwrap_or_else(|| SystemClock.now().as_millis());
    let kinds = match cli.store.as_slice() {
        [] => &[Kind::Redis, Kind::Postgres],
        some => some,
    };
    let length = Duration::from_secs(60) * u32::try_from(cli.minutes).unwrap_or(u32::MAX);
    let mut runs = JoinSet::new();
    for &kind in kinds {
        runs.spawn(one(kind, length, seed, program.clone()));
    }
    let runs = runs.join_all().await;
    let goods: Vec<bool> = runs.into_iter().collect::<Result<_, _>>()?;
    Ok(goods.into_iter().all(|is_good| is_good))
}

async fn one(kind: Kind, length: Duration, seed: u64, program: PathBuf) -> Result<bool, String> {
    let mut is_good = true;
    for (durability, length) in [
        (Durability::Lossless, length / 10 * 9),
        (Durability::Lossy, length / 10),
    ] {
        let plan = Plan {
            kind,
            durability,
            length,
            seed,
        };
        let report = soak::run(plan, &program).await?;
        let verdict = if report.is_good() { "good" } else { "NOT GOOD" };
        println!("{report}\n  {verdict}");
        is_good &= report.is_good();
    }
    Ok(is_good)
}

/// One line for each line: the subject, the limit, its policy, how many at once; and how many were
/// admitted.
async fn sign_in(url: &str) -> Result<(), String> {
    let store = open(url, Duration::from_secs(10))
        .await
        .map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    println!("ready");
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<_> = line.split(' ').collect();
        let &[subject, max, policy, count] = words.as_slice() else {
            return Err(format!("{line:?} is no order"));
        };
        let subject = Subject::new(subject).map_err(|error| error.to_string())?;
        let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
        let limit = SignInLimit {
            max: max.parse().map_err(|error| format!("{max}: {error}"))?,
            policy: match policy {
                "refuse" => LimitPolicy::Refuse,
                _ => LimitPolicy::EndOldest,
            },
        };
        let admitted = sign_in_at_once(&store, &subject, number(count)?, limit)
            .await
            .map_err(|error| error.to_string())?;
        println!("{admitted}");
    }
    Ok(())
}
