//! The program: flags, a socket, and an end that loses no request.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use clap::Parser;
use demo::Config;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .init();
    let config = Config::parse();
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    // Port 0 means any: whoever started the program reads here which one it is.
    writeln!(
        io::stdout(),
        "http://{} — alice / wonderland, bob / builder — Ctrl-C stops it",
        listener.local_addr()?
    )?;
    demo::serve(listener, config, told_to_stop()).await
}

/// Resolves at Ctrl-C and, where there is such a thing, at SIGTERM.
async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
