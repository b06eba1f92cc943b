//! Containers are used where they are asked for, and gone when whoever started them is, however early.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that starts servers in containers.
fn start(servers: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_test-servers"))
        .args(servers)
        .env("SESSION_TEST_SERVERS", "docker")
        .env_remove("SESSION_TEST_REDIS_URL")
        .env_remove("SESSION_TEST_POSTGRES_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The containers that a process has, running or not.
fn containers(process: &Child) -> Vec<String> {
    let label = format!("label=session-test.process={}", process.id());
    let asked = Command::new("docker")
        .args(["ps", "--all", "--quiet", "--filter", &label])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let names = String::from_utf8(asked.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// Whether it becomes so within a minute.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..1200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        is_so()
    })
}

fn kill(process: &mut Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
#[ignore = "needs a Docker engine with images: the step `containers` of cargo xtask test"]
fn a_process_that_is_killed_leaves_no_container() {
    let mut process = start(&["redis", "postgres"]);
    let output = BufReader::new(process.stdout.take().unwrap());
    assert_eq!(output.lines().take(2).flatten().count(), 2);
    assert_eq!(containers(&process).len(), 2);
    kill(&mut process);
    assert!(soon(|| containers(&process).is_empty()));
}

#[test]
#[ignore = "needs a Docker engine with images: the step `containers` of cargo xtask test"]
fn a_process_that_is_killed_while_a_server_starts_leaves_no_container() {
    let mut process = start(&["postgres"]);
    assert!(soon(|| !containers(&process).is_empty()));
    kill(&mut process);
    assert!(soon(|| containers(&process).is_empty()));
}
