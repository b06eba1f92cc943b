//! Calls that are made at the same time go together, and what becomes of one is nothing to the others.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use session_core::{
    Application, Applied, ErrorKind, Freshness, Loaded, Record, SessionId, SessionStore, StoreError,
};
use store_redis::RedisStore;
use support::{live, set, visitor, write};
use test_servers::RedisServer;

/// As many calls as one batch holds.
const MANY: usize = 64;

/// A session, and its record as it was loaded.
type Seen = (SessionId, Record);

async fn visitors(store: &RedisStore) -> Vec<Seen> {
    let mut seen = Vec::new();
    for _ in 0..MANY {
        let id = visitor(store).await;
        seen.push((id, live(store, id).await.unwrap()));
    }
    // From now on the server knows the script.
    assert!(write(store, visitor(store).await, "a", "1").await.unwrap());
    seen
}

fn key(id: SessionId) -> String {
    format!("session:{{{:04x}}}:s:{id}", id.shard().number())
}

/// A number among the server's statistics.
fn count(server: &RedisServer, section: &str, name: &str) -> u64 {
    let info = server.ask(&["INFO", section]);
    let found = info.lines().find_map(|line| line.split_once(name));
    let number = found.map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    number.flatten().unwrap_or("0").parse().unwrap()
}

fn scripts_run(server: &RedisServer) -> u64 {
    count(server, "commandstats", "cmdstat_evalsha:calls=")
}

/// Of records, to their places or where they are staged.
fn sets(server: &RedisServer) -> u64 {
    count(server, "commandstats", "cmdstat_set:calls=")
}

fn reads(server: &RedisServer) -> u64 {
    count(server, "stats", "total_reads_processed:")
}

/// Sets an entry of each session, all at the same time. What is `large` is written in another way.
async fn write_all(
    store: &RedisStore,
    seen: &[Seen],
    large: bool,
) -> Vec<Result<Application, StoreError>> {
    let value = format!("\"{}\"", "x".repeat(if large { 5000 } else { 5 }));
    join_all(seen.iter().map(async |(id, record)| {
        let change = set("n", &value).guarded_by(record.revision());
        store.apply(*id, &change, Some(record)).await
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_are_sent_together() {
    let mut server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let seen = visitors(&store).await;
    for large in [false, true] {
        let seen = join_all(seen.iter().map(async |(id, _)| {
            let record = live(&store, *id).await.unwrap();
            (*id, record)
        }))
        .await;
        let (before, run, set) = (reads(&server), scripts_run(&server), sets(&server));
        // All are made before the first is answered.
        server.pause();
        let (written, ()) = join(write_all(&store, &seen, large), async { server.resume() }).await;
        for applied in written {
            assert!(matches!(applied, Ok(Application::Applied { .. })));
        }
        assert_eq!(sets(&server) - set, 64);
        let scripts = scripts_run(&server) - run;
        assert!(scripts < 16, "{scripts} scripts for {MANY} changes");
        let reads = reads(&server) - before;
        // The question itself is one, on a connection of its own. A large batch is read in pieces.
        assert!(large || reads < 32, "{reads} reads for {MANY} changes");
    }
}

/// One key holds what no session is: the server refuses that operation, and takes the others, each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_operation_fails_alone() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for large in [false, true] {
        let seen = visitors(&store).await;
        let poisoned = 17;
        let place = key(seen[poisoned].0);
        assert_eq!(server.ask(&["DEL", &place]), "1");
        assert_eq!(server.ask(&["LPUSH", &place, "poison"]), "1");

        let set = sets(&server);
        let applied = write_all(&store, &seen, large).await;
        let set = sets(&server) - set;
        assert_eq!(set, if large { 64 } else { 63 }, "each was sent once");
        let loaded = join_all(
            seen.iter()
                .map(|(id, _)| store.load(*id, Freshness::Source)),
        )
        .await;
        for (at, (applied, loaded)) in applied.into_iter().zip(loaded).enumerate() {
            if at == poisoned {
                let error = applied.unwrap_err();
                let verdict = (error.kind(), error.applied());
                assert_eq!(verdict, (ErrorKind::Corrupt, Applied::No));
                assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Corrupt);
                continue;
            }
            let Ok(Application::Applied { record, .. }) = applied else {
                panic!("{at}: {applied:?}");
            };
            let Ok(Loaded::Live(stored)) = loaded else {
                panic!("{at}: {loaded:?}");
            };
            assert_eq!(stored, record);
        }
        assert_eq!(server.ask(&["LRANGE", &place, "0", "-1"]), "poison");
    }
}

/// A full server refuses a command that takes many steps, for the sake of one: the others hear what they would
/// hear alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_to_one_is_not_refused_to_others() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let seen = visitors(&store).await;
    for (id, _) in seen.iter().step_by(2) {
        assert!(store.delete(*id).await.unwrap());
    }
    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    for (at, applied) in write_all(&store, &seen, false)
        .await
        .into_iter()
        .enumerate()
    {
        if at % 2 == 0 {
            assert!(
                matches!(applied, Ok(Application::Absent)),
                "{at}: {applied:?}"
            );
            continue;
        }
        let error = applied.unwrap_err();
        let verdict = (error.kind(), error.applied());
        assert_eq!(verdict, (ErrorKind::Full, Applied::No), "{at}");
        assert_eq!(live(&store, seen[at].0).await.unwrap(), seen[at].1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_disturbs_nobody() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for round in 0..20 {
        let seen = visitors(&store).await;
        let calls = seen.iter().enumerate().map(async |(at, (id, record))| {
            let call = store.apply(*id, &set("n", "1"), Some(record)).await;
            (at, call)
        });
        // Every third goes away as soon as it was begun, or a little later.
        let calls = calls.enumerate().map(async |(at, call)| {
            if at % 3 == 0 {
                let soon = Duration::from_micros(50 * round);
                tokio::time::timeout(soon, call).await.ok()
            } else {
                Some(call.await)
            }
        });
        for (at, applied) in join_all(calls).await.into_iter().flatten() {
            assert!(
                matches!(applied, Ok(Application::Applied { .. })),
                "{round}: {at}: {applied:?}"
            );
        }
        for (at, (id, before)) in seen.iter().enumerate() {
            let stored = live(&store, *id).await.unwrap();
            let is_whole = stored.get("n") == Some("1");
            assert!(is_whole || at % 3 == 0, "{round}: {at} is missing");
            assert!(is_whole || stored == *before, "{round}: {at} is cut short");
        }
    }
}

/// More than may wait, at a server that does not answer: those beyond are refused while it still hangs, and
/// the others are answered once it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    const WAITING: usize = 1 << 14;
    const BEYOND: usize = 1000;
    let mut server = RedisServer::start(&[]);
    let builder = RedisStore::builder(&server.url()).time_limit(Duration::from_secs(60));
    let store = builder.connect().await.unwrap();
    let id = visitor(&store).await;
    server.pause();
    let calls = WAITING + 3 * MANY + BEYOND;
    let mut calls: FuturesUnordered<_> = (0..calls)
        .map(|_| store.load(id, Freshness::Source))
        .collect();
    let mut refused = 0;
    while refused < BEYOND {
        let answer = tokio::time::timeout(Duration::from_secs(20), calls.next()).await;
        let error = answer.expect("it is refused").unwrap().unwrap_err();
        let verdict = (error.kind(), error.applied());
        assert_eq!(verdict, (ErrorKind::Unavailable, Applied::No));
        refused += 1;
    }
    server.resume();
    let mut answered = 0;
    while let Some(answer) = calls.next().await {
        match answer {
            Ok(loaded) => {
                assert!(matches!(loaded, Loaded::Live(_)));
                answered += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(answered >= WAITING, "{answered} of {WAITING}");
    assert!(refused <= BEYOND + 3 * MANY, "{refused} were refused");
}

#[tokio::test]
async fn nothing_is_left_of_what_was_staged() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let seen = visitors(&store).await;
    let (id, record) = &seen[0];
    let large = format!("\"{}\"", "x".repeat(5000));

    // It is swapped in; it meets another change, and is made again; its session has ended.
    assert!(write(&store, *id, "a", "1").await.unwrap());
    let change = set("b", &large);
    let met = store.apply(*id, &change, Some(record)).await.unwrap();
    assert!(matches!(met, Application::Applied { .. }));
    let stored = live(&store, *id).await.unwrap();
    assert_eq!(stored.get("a"), Some("1"));
    assert_eq!(stored.get("b"), Some(&*large));
    let left = server.ask(&["PTTL", &key(*id)]);
    assert!(left.parse::<u64>().unwrap() > 60_000, "{left}");
    assert!(store.delete(*id).await.unwrap());
    let late = store.apply(*id, &set("c", &large), Some(&stored)).await;
    assert!(matches!(late, Ok(Application::Absent)));
    assert_eq!(server.ask(&["KEYS", "*:w:*"]), "");

    // A full server refuses it, but for a session that is not there.
    let (id, record) = &seen[1];
    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let full = store.apply(*id, &change, Some(record)).await.unwrap_err();
    assert_eq!(
        (full.kind(), full.applied()),
        (ErrorKind::Full, Applied::No)
    );
    assert!(store.delete(*id).await.unwrap());
    let absent = store.apply(*id, &change, Some(record)).await;
    assert!(matches!(absent, Ok(Application::Absent)));
    assert_eq!(server.ask(&["KEYS", "*:w:*"]), "");
}
