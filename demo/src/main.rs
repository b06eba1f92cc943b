//! The program: flags, a socket, and an end that loses no request.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demo::{App, Certificates, Config};
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(name = "demo", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    config: Config,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Certs(Certificates),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(CommandLine::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if that fails.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(told: CommandLine) -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .init();
    let CommandLine { config, command } = told;
    if let Some(Command::Certs(certificates)) = command {
        writeln!(io::stdout(), "{}", certificates.make()?)?;
        return Ok(());
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let mut stop = Box::pin(told_to_stop()?);
    let app = tokio::select! {
        app = App::open(config) => app?,
        () = &mut stop => return Ok(()),
    };
    // Only now, with its store open, does it serve: whoever started the program waits for this line, and
    // reads in it which port it is, for port 0 means any.
    writeln!(
        io::stdout(),
        "http://{} — alice / wonderland, bob / builder — Ctrl-C stops it",
        listener.local_addr()?
    )?;
    app.serve(listener, stop).await
}

/// Resolves at Ctrl-C and at SIGTERM, which end nothing by themselves from now on.
#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
