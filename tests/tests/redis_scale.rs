//! What the steps on Redis cost where there are many sessions: nothing walks keys, nothing takes longer.
//!
//! `SESSION_TEST_SESSIONS` sets how many sessions there are, 20,000 unless set.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use session_core::{
    Admission, Application, Change, Creation, EntryName, Freshness, JsonText, LimitPolicy, Loaded,
    NewRecord, Renewal, SecretHash, SessionId, SessionSecret, SessionStore, Shard, SignInLimit,
    Subject, Timeouts,
};
use store_redis::RedisStore;
use test_servers::RedisServer;

fn sessions() -> usize {
    let given = std::env::var("SESSION_TEST_SESSIONS").ok();
    given.and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

fn secret() -> SecretHash {
    SessionSecret::generate().hash()
}

fn entry(name: &str, length: usize) -> (EntryName, JsonText) {
    let value = format!("\"{}\"", "x".repeat(length));
    (
        EntryName::new(name).unwrap(),
        JsonText::parse(value).unwrap(),
    )
}

fn subject(number: usize) -> Subject {
    Subject::new(format!("user {number}")).unwrap()
}

async fn sign_in(store: &RedisStore, subject: &Subject, limit: Option<usize>) -> SessionId {
    let limit = limit.and_then(NonZeroUsize::new).map(|max| SignInLimit {
        max,
        policy: LimitPolicy::EndOldest,
    });
    let ticket = store.ticket(subject).await.unwrap();
    let id = SessionId::generate(store.facts().sharding.shard_of(subject));
    let record = NewRecord::new(secret(), Timeouts::default()).with_entries([entry("a", 150)]);
    match store.sign_in(&ticket, id, &record, limit).await.unwrap() {
        Admission::Admitted { .. } => id,
        other => panic!("{other:?}"),
    }
}

/// Half of the sessions have no subject. The others belong to subjects that have four each.
async fn fill(store: &RedisStore, count: usize) {
    let done = stream::iter(0..count).map(|number| async move {
        if number % 2 == 0 {
            let id = SessionId::generate(Shard::random());
            let record = NewRecord::new(secret(), Timeouts::default());
            let created = store.create(id, &record).await.unwrap();
            assert!(matches!(created, Creation::Created(_)));
        } else {
            sign_in(store, &subject(number / 8), None).await;
        }
    });
    done.buffer_unordered(256).collect::<Vec<()>>().await;
}

/// Every verb, on subjects that have a few sessions each, but the walk over all.
async fn exercise(store: &RedisStore, round: usize) {
    let mut feed = store.abilities().watch.expect("a feed").watch();
    let (visitor, first) = (SessionId::generate(Shard::random()), secret());
    let record = NewRecord::new(first, Timeouts::default());
    store.create(visitor, &record).await.unwrap();
    let Loaded::Live(seen) = store.load(visitor, Freshness::Source).await.unwrap() else {
        panic!("the session lives");
    };
    let renewal = Change::new().renew(Renewal {
        issue: secret(),
        replaces: first,
        soft: false,
    });
    let set = |length| {
        let (name, value) = entry("b", length);
        Change::new().set(name, value).touch()
    };
    let touch = Change::new().touch();
    for (change, seen) in [
        (&set(100), Some(&seen)),
        (&renewal, None),
        (&set(5000), None),
        // It meets another change.
        (&set(100), Some(&seen)),
        (&touch, None),
    ] {
        let applied = store.apply(visitor, change, seen).await.unwrap();
        assert!(matches!(applied, Application::Applied { .. }));
    }
    assert!(store.delete(visitor).await.unwrap());
    feed.next().await.expect("it is told of");

    let subject = subject(round);
    for limit in [None, Some(3), Some(12)] {
        sign_in(store, &subject, limit).await;
    }
    let listed = store.sessions_of(&subject).await.unwrap();
    assert!((1..=12).contains(&listed.len()), "{}", listed.len());
    let ended = store.revoke(&subject, Some(listed[0].0)).await.unwrap();
    assert_eq!(ended.len() + 1, listed.len());
}

/// A command as it stands in the log of slow ones: all stand there.
struct Logged {
    micros: u64,
    words: Vec<String>,
}

/// Everything that the server was asked since the log was last emptied.
fn log(server: &RedisServer) -> Vec<Logged> {
    let answer = server.ask(&["EVAL", LOG, "0"]);
    let logged: Vec<_> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            Logged {
                micros: words.next().unwrap().parse().unwrap(),
                words: words.collect(),
            }
        })
        .collect();
    assert_eq!(server.ask(&["SLOWLOG", "RESET"]), "OK");
    logged
}

/// One line for each entry: its time, and its first four words.
const LOG: &str = "
    local lines = {}
    for _, entry in ipairs(redis.call('SLOWLOG', 'GET', -1)) do
        local line = '# ' .. entry[3]
        for i = 1, math.min(#entry[4], 4) do
            line = line .. ' ' .. entry[4][i]:sub(1, 100):gsub('%s', '_')
        end
        lines[#lines + 1] = line
    end
    return lines";

/// How often each command ran, those within scripts too.
fn calls(server: &RedisServer) -> BTreeMap<String, u64> {
    let info = server.ask(&["INFO", "commandstats"]);
    info.lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            Some((name.to_uppercase(), calls))
        })
        .collect()
}

/// What may be asked of a server however much stands on it, by a step or within one: its cost hangs on one
/// session, or on the sessions of one subject.
const BOUNDED: [&str; 24] = [
    "GET",
    "SET",
    "DEL",
    "GETRANGE",
    "SETRANGE",
    "RENAME",
    "PEXPIREAT",
    "PTTL",
    "TIME",
    "ZADD",
    "ZREM",
    "ZRANGE",
    "ZSCORE",
    "ZRANDMEMBER",
    "PUBLISH",
    "SUBSCRIBE",
    "PING",
    "EVAL",
    "EVALSHA",
    "INFO",
    "CLIENT|SETINFO",
    "SLOWLOG|RESET",
    "SLOWLOG|GET",
    "CONFIG|RESETSTAT",
];

/// The middle of the times that scripts and loads took.
fn median(logged: &[Logged]) -> u64 {
    let mut times: Vec<_> = logged
        .iter()
        .filter(|one| ["GET", "EVALSHA"].contains(&&*one.words[0]))
        .map(|one| one.micros)
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_walks_keys_however_many_sessions_there_are() {
    const ROUNDS: usize = 50;
    let server = RedisServer::start(&["--slowlog-log-slower-than", "0"]);
    assert_eq!(
        server.ask(&["CONFIG", "SET", "slowlog-max-len", "20000"]),
        "OK"
    );
    let store = Arc::new(RedisStore::connect(&server.url()).await.unwrap());
    let begin = || {
        assert_eq!(server.ask(&["CONFIG", "RESETSTAT"]), "OK");
        assert_eq!(server.ask(&["SLOWLOG", "RESET"]), "OK");
    };
    begin();
    for round in 0..ROUNDS {
        exercise(&store, round).await;
    }
    let (few, few_calls) = (log(&server), calls(&server));
    let count = sessions();
    fill(&store, count).await;
    begin();
    // Subjects of the filled ones: each has four sessions by now.
    for round in ROUNDS..2 * ROUNDS {
        exercise(&store, round).await;
    }
    let (many, many_calls) = (log(&server), calls(&server));

    for calls in [&few_calls, &many_calls] {
        for name in calls.keys() {
            assert!(
                BOUNDED.contains(&&**name),
                "{name} is asked: what does it cost where there are many sessions?"
            );
        }
    }
    // As many steps, each of as many commands, but for the sessions that a subject has.
    let sum = |calls: &BTreeMap<String, u64>, name: &str| calls.get(name).copied().unwrap_or(0);
    for name in ["GET", "SET", "SETRANGE", "GETRANGE", "EVALSHA", "ZRANGE"] {
        let (few, many) = (sum(&few_calls, name), sum(&many_calls, name));
        assert!(many <= 3 * few + 100, "{name}: {few}, then {many}");
    }
    let longest = many.iter().max_by_key(|one| one.micros).unwrap();
    println!(
        "{count} sessions: the median of a step takes {} µs, with none {} µs; the longest, {}, {} µs",
        median(&many),
        median(&few),
        longest.words[0],
        longest.micros,
    );

    // The walk over all is the one that scans, by a thousand keys a step.
    begin();
    let scan = store.abilities().scan.expect("a walk");
    let page = scan.scan(None, 100).await.unwrap();
    assert_eq!(page.len(), 100.min(count));
    let walked = log(&server);
    let scans = walked.iter().filter(|one| one.words[0] == "SCAN");
    for one in scans.clone() {
        assert_eq!(one.words[2], "MATCH");
    }
    let keys: usize = server.ask(&["DBSIZE"]).parse().unwrap();
    assert!(
        scans.count() >= keys / 2000,
        "a step looks at a thousand keys"
    );
    let others = calls(&server);
    let others: Vec<_> = others
        .keys()
        .filter(|name| !BOUNDED.contains(&&***name) && *name != "SCAN" && *name != "DBSIZE")
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
