//! Runs servers for tests by hand: `cargo run -p test-servers redis postgres` prints where they are, and
//! ends them when its input ends or it is interrupted.

use std::process::ExitCode;

fn main() -> ExitCode {
    for kind in std::env::args().skip(1) {
        let server = match kind.as_str() {
            "redis" => test_servers::redis(),
            "redis-cluster" => test_servers::redis_cluster(),
            "redis-sentinel" => test_servers::redis_sentinel(),
            "postgres" => test_servers::postgres(),
            _ => {
                eprintln!("test-servers [redis] [redis-cluster] [redis-sentinel] [postgres]");
                return ExitCode::FAILURE;
            }
        };
        println!("{}", server.url());
    }
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}
