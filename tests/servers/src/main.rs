//! Runs servers for tests by hand: `cargo run -p test-servers redis postgres` prints where they are, and
//! ends them when its input ends or it is interrupted.

use std::process::ExitCode;

use test_servers::{PostgresServer, RedisServer};

fn main() -> ExitCode {
    let mut servers: Vec<Box<dyn std::any::Any>> = Vec::new();
    for kind in std::env::args().skip(1) {
        match kind.as_str() {
            "redis" => {
                let server = RedisServer::start(&[]);
                println!("{}", server.url());
                servers.push(Box::new(server));
            }
            "postgres" => {
                let server = PostgresServer::start(&[]);
                println!("{}", server.url());
                servers.push(Box::new(server));
            }
            _ => {
                eprintln!("test-servers [redis] [postgres]");
                return ExitCode::FAILURE;
            }
        }
    }
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}
