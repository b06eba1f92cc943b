//! Outages of Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use session_core::ErrorKind;
use session_outages::{Durability, Kind, Machine};
use test_servers::RedisServer;

use crate::scene::{LIMIT, Scene, all_unavailable, refused};

fn done(scene: &Scene, words: &[&str]) {
    let answer = scene.machine.ask(words);
    assert!(!answer.starts_with('-'), "{words:?}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_memory_refuses_what_is_new_and_ends_what_is_to_end() {
    let scene = Scene::on(Kind::Redis).await;
    let mut users = scene.users().await;
    done(&scene, &["CONFIG", "SET", "maxmemory", "1"]);
    let answers = scene.every_verb(&mut users).await;
    // A touch takes no room.
    let grows = ["create", "write", "sign_in", "save", "count"];
    refused(&answers, &grows, ErrorKind::Full);
    done(&scene, &["CONFIG", "SET", "maxmemory", "0"]);
    // What was heard of its memory is a second old at most.
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_replica_is_read_and_writes_wait_for_a_master() {
    let scene = Scene::on(Kind::Redis).await;
    let mut users = scene.users().await;
    done(&scene, &["REPLICAOF", "127.0.0.1", "1"]);
    let answers = scene.every_verb(&mut users).await;
    for (verb, refusal) in &answers {
        let kind = refusal.map(|refusal| refusal.kind);
        let writes = !["load", "ticket", "list"].contains(verb);
        // A call that reads may come upon a connection that another has just found to be a replica's.
        assert!(!writes || kind == Some(ErrorKind::Unavailable), "{verb}");
    }
    done(&scene, &["REPLICAOF", "NO", "ONE"]);
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_connections_are_all_taken() {
    let server = RedisServer::start(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--maxclients",
        "12",
    ]);
    let scene = Scene::with(Machine::Redis(server), LIMIT).await;
    let mut users = scene.users().await;
    let port = scene.machine.port();
    scene.proxy.cut();
    let mut others = Vec::new();
    // Those of the store are gone when there is room for so many; the feed may come back in between.
    while others.len() < 11 {
        let mut other = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut answer = [0; 7];
        other.write_all(b"PING\r\n").unwrap();
        if other.read_exact(&mut answer).is_ok() && answer == *b"+PONG\r\n" {
            others.push(other);
        }
    }
    let other = TcpStream::connect(("127.0.0.1", port));
    all_unavailable(&scene.every_verb(&mut users).await);
    drop((others, other));
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_with_a_script() {
    let scene = Scene::on(Kind::Redis).await;
    let mut users = scene.users().await;
    done(&scene, &["CONFIG", "SET", "lua-time-limit", "50"]);
    let port = scene.machine.port();
    let busy = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .write_all(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
            .unwrap();
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });
    while !scene.machine.ask(&["PING"]).starts_with("-BUSY") {}
    all_unavailable(&scene.every_verb(&mut users).await);
    done(&scene, &["SCRIPT", "KILL"]);
    assert!(busy.join().unwrap().contains("killed by user"));
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_is_told_them_again() {
    let scene = Scene::on(Kind::Redis).await;
    let mut users = scene.users().await;
    done(&scene, &["SCRIPT", "FLUSH"]);
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &[], ErrorKind::Unavailable);
    scene.holds().await;
}

/// Without a log Redis has nothing after a crash: this is what the documentation says of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_has_lost_all_sessions_and_takes_new_ones() {
    let machine = Machine::start(Kind::Redis, Durability::Lossy);
    let mut scene = Scene::with(machine, LIMIT).await;
    let users = scene.users().await;
    scene.machine.kill();
    scene.machine.restart();
    assert!(!scene.store.look(users.reader.id()).await.unwrap_or(false));
    scene.recovers().await;
    let (lost, revived) = scene.lost().await;
    assert!(lost >= 5, "{lost}");
    assert_eq!(revived, 0);
}

/// A copy of the data brings back what ended since: the ledger counts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_an_old_copy_has_sessions_that_had_ended() {
    let machine = Machine::start(Kind::Redis, Durability::Lossy);
    let mut scene = Scene::with(machine, LIMIT).await;
    let mut users = scene.users().await;
    done(&scene, &["SAVE"]);
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &[], ErrorKind::Unavailable);
    scene.machine.kill();
    scene.machine.restart();
    let (lost, revived) = scene.lost().await;
    // The writes and the count since; the one that was ended and the two that were revoked.
    assert!(lost >= 3, "{lost}");
    assert_eq!(revived, 3);
}
