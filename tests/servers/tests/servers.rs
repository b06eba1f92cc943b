//! Servers are found, shared, and gone when whoever started them is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use test_servers::{PostgresServer, RedisCluster, RedisSentinel, RedisServer};

fn asks(port: u16, what: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .ok()?;
    stream.write_all(format!("{what}\r\n").as_bytes()).ok()?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(answer.get(..length)?);
    Some(answer.trim().to_owned())
}

fn is_there(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        is_so()
    })
}

#[test]
fn all_tests_of_a_process_share_one_server() {
    assert_eq!(test_servers::redis().url(), test_servers::redis().url());
    assert!(test_servers::redis().url().starts_with("redis"));
    assert!(test_servers::postgres().url().starts_with("postgres"));
}

#[test]
fn where_the_named_image_cannot_be_had_a_local_program_serves() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_test-servers"))
        .arg("redis")
        .env_remove("SESSION_TEST_SERVERS")
        .env_remove("SESSION_TEST_REDIS_URL")
        // Nobody serves images there.
        .env("SESSION_TEST_REDIS_IMAGE", "localhost:1/absent")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut errors = process.stderr.take().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert!(process.wait().unwrap().success());
    assert!(
        said.contains("no container of Redis: localhost:1/absent: "),
        "{said}"
    );
    assert!(said.contains("Redis for tests: a local program"), "{said}");
}

#[test]
fn a_redis_of_ones_own_is_paused_killed_and_started_again() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let port = server.port();
    assert_eq!(asks(port, "SET key value").as_deref(), Some("+OK"));
    server.pause();
    assert_eq!(asks(port, "GET key"), None);
    server.resume();
    assert_eq!(asks(port, "EXISTS key").as_deref(), Some(":1"));
    server.kill();
    assert!(!is_there(port));
    server.restart();
    assert_eq!(asks(port, "EXISTS key").as_deref(), Some(":1"));
    drop(server);
    assert!(!is_there(port));
}

#[test]
fn a_postgres_of_ones_own_is_killed_and_started_again() {
    let mut server = PostgresServer::start(&[]);
    server.kill();
    assert!(!is_there(server.port()));
    server.restart();
    let port = server.port();
    assert!(is_there(port));
    drop(server);
    assert!(!is_there(port));
}

#[test]
fn a_process_that_is_killed_leaves_no_server_and_no_directory() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_test-servers"))
        .args(["redis", "postgres"])
        .env("SESSION_TEST_SERVERS", "local")
        .env_remove("SESSION_TEST_REDIS_URL")
        .env_remove("SESSION_TEST_POSTGRES_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let urls = BufReader::new(process.stdout.take().unwrap())
        .lines()
        .take(2);
    let ports: Vec<u16> = urls
        .map(|url| {
            let url = url.unwrap();
            let (_, rest) = url.rsplit_once(':').unwrap();
            rest.split('/').next().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.iter().all(|port| is_there(*port)));
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(soon(|| !ports.iter().any(|port| is_there(*port))));
    let left = format!("session-test-{}-", process.id());
    let is_removed = || {
        let mut names = std::env::temp_dir().read_dir().unwrap().flatten();
        !names.any(|entry| entry.file_name().to_string_lossy().starts_with(&left))
    };
    assert!(soon(is_removed));
}

#[test]
fn a_cluster_serves_all_slots_and_replaces_a_master() {
    let mut cluster = RedisCluster::start(true);
    assert!(cluster.url().starts_with("redis-cluster://127.0.0.1:"));
    cluster.masters()[0].kill();
    let replica = &cluster.replicas()[0];
    assert!(soon(|| replica.ask(&["ROLE"]).starts_with("master")));
}

#[test]
fn sentinels_replace_a_master() {
    let mut sentinel = RedisSentinel::start();
    let first = sentinel.master().port();
    sentinel.master().kill();
    assert!(soon(|| sentinel.master().port() != first));
    assert!(sentinel.master().ask(&["ROLE"]).starts_with("master"));
}
