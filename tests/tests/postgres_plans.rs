//! What the statements on Postgres cost: no scans of whole tables, and touches that no index sees.
//!
//! `SESSION_TEST_ROWS` sets how many sessions there are, 100,000 unless set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::num::NonZeroUsize;
use std::time::Duration;

use postgres::Schema;
use session_core::{
    Admission, Application, Change, EntryName, Freshness, JsonText, LimitPolicy, Loaded, NewRecord,
    PurgeExpired, Renewal, Scan, SecretHash, SessionId, SessionSecret, SessionStore, Shard,
    Sharding, SignInLimit, Subject, Timeouts,
};
use sqlx::Connection as _;
use store_postgres::{PostgresStore, sqlx};

/// Sessions, ten for each subject, a few of them due to be removed; as many fences and tries.
const FILL: &str = "
    INSERT INTO {}.session_records (created_at, last_seen_at, deadline, due_at, revision, idle,
        nonce, attempt, presented, id, secrets, subject, entries)
    SELECT at, at, at + 86400000, CASE WHEN n <= 100 THEN at ELSE at + 1800000 + n % 100000 END,
        n, CASE WHEN n <= 50 THEN 0 ELSE 1800000 END, n, 1, true,
        decode(md5(n::text), 'hex'), decode(repeat('ab', 48) || '01', 'hex'), 'user ' || n / 10,
        int4send(1) || int4send(1) || int4send(202) || convert_to('a\"', 'UTF8')
            || convert_to(repeat(md5(n::text), 6) || 'filling\"', 'UTF8')
    FROM generate_series(1, ROWS) AS n, {}.session_now(NULL) AS at;
    INSERT INTO {}.session_fences (subject, fence)
    SELECT 'other ' || n, at + n FROM generate_series(1, ROWS) AS n, {}.session_now(NULL) AS at;
    INSERT INTO {}.session_tries (nonce, attempt, tried_at)
    SELECT n, 2, at + n FROM generate_series(1, ROWS) AS n, {}.session_now(NULL) AS at;
    ";

fn rows() -> i64 {
    let given = std::env::var("SESSION_TEST_ROWS").ok();
    given.and_then(|rows| rows.parse().ok()).unwrap_or(100_000)
}

async fn filled(schema: &Schema) -> PostgresStore {
    let store = schema.store().await;
    schema.run(&FILL.replace("ROWS", &rows().to_string())).await;
    let mut connection = schema.connection().await;
    for table in ["records", "fences", "tries"] {
        // By one process: a container may have little memory to share among several.
        let vacuum = format!("VACUUM (ANALYZE, PARALLEL 0) {{}}.session_{table}");
        sqlx::query(schema.sql(&vacuum))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    store
}

fn secret() -> SecretHash {
    SessionSecret::generate().hash()
}

fn new_record() -> NewRecord {
    let entry = (EntryName::new("a").unwrap(), JsonText::parse("1").unwrap());
    NewRecord::new(secret(), Timeouts::default()).with_entries([entry])
}

/// How often each table was read from end to end, and by an index, once the store's connections have
/// said so.
async fn scans(schema: &Schema) -> Vec<(String, i64, i64)> {
    // Connections report when they are idle for a while, and at their end at the latest.
    let reported = "SELECT count(*) = 0 FROM pg_stat_activity
        WHERE query LIKE '%{}%' AND pid <> pg_backend_pid()";
    let waiting = async {
        while !schema.value::<bool>(reported).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("the connections end");
    let mut connection = schema.connection().await;
    let scans = sqlx::query_as(schema.sql(
        "SELECT relname::text, seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables
        WHERE schemaname = '{}' AND relname <> 'session_meta' ORDER BY relname",
    ))
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    scans
}

async fn exercise(store: &PostgresStore) {
    // Each connection plans a statement anew for the first five times: both kinds of plan are tried.
    for round in 0..12 {
        let (visitor, first) = (SessionId::generate(Shard::random()), secret());
        let record = NewRecord::new(first, Timeouts::default());
        store.create(visitor, &record).await.unwrap();
        let Loaded::Live(seen) = store.load(visitor, Freshness::Source).await.unwrap() else {
            panic!("the session lives");
        };
        let (name, value) = (EntryName::new("b").unwrap(), JsonText::parse("2").unwrap());
        let edit = Change::new().set(name, value).touch();
        let renewal = Change::new().renew(Renewal {
            issue: secret(),
            replaces: first,
            soft: false,
        });
        for (change, seen) in [(&edit, Some(&seen)), (&renewal, None), (&edit, None)] {
            let applied = store.apply(visitor, change, seen).await.unwrap();
            assert!(matches!(applied, Application::Applied { .. }));
        }
        let touch = Change::new().touch();
        store.apply(visitor, &touch, None).await.unwrap();
        assert!(store.delete(visitor).await.unwrap());

        let subject = Subject::new(format!("user {round}")).unwrap();
        for max in [None, Some(3), Some(12)] {
            let limit = max.and_then(NonZeroUsize::new).map(|max| SignInLimit {
                max,
                policy: LimitPolicy::EndOldest,
            });
            let ticket = store.ticket(&subject).await.unwrap();
            for ticket in [ticket.clone(), ticket.next_attempt()] {
                let id = SessionId::generate(Sharding::default().shard_of(&subject));
                let before = store.sessions_of(&subject).await.unwrap();
                let record = new_record().with_predecessor(before.first().map(|(id, _)| *id));
                let admission = store.sign_in(&ticket, id, &record, limit).await.unwrap();
                assert!(matches!(admission, Admission::Admitted { .. }));
            }
        }
        store.revoke(&subject, None).await.unwrap();
        store.scan(Some(visitor), 10).await.unwrap();
        store.purge_expired(10).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_a_whole_table() {
    let schema = Schema::new();
    drop(filled(&schema).await);
    let before = scans(&schema).await;
    let store = schema.builder().connect().await.unwrap();
    exercise(&store).await;
    drop(store);
    let after = scans(&schema).await;
    assert_eq!(before.len(), 3);
    for ((table, whole_before, by_index_before), (_, whole, by_index)) in before.iter().zip(&after)
    {
        assert_eq!(whole, whole_before, "{table} was read from end to end");
        assert!(by_index > by_index_before, "{table} was not read");
    }
}

/// A heap-only update writes no index, and leaves nothing to vacuum.
#[tokio::test(flavor = "multi_thread")]
async fn touches_write_no_index() {
    let schema = Schema::new();
    let store = filled(&schema).await;
    let mut connection = schema.connection().await;
    let spread = "SELECT id FROM {}.session_records
        WHERE revision > 100 AND revision % (1 + ROWS / 400) = 0";
    let spread = spread.replace("ROWS", &rows().to_string());
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(schema.sql(&spread))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    drop(connection);
    let touch = Change::new().touch();
    for _ in 0..5 {
        for id in &ids {
            let id = SessionId::from_bytes(id.as_slice().try_into().unwrap());
            let touched = store.apply(id, &touch, None).await.unwrap();
            assert!(matches!(touched, Application::Applied { .. }));
        }
    }
    drop(store);
    scans(&schema).await;
    let written = "SELECT n_tup_upd FROM pg_stat_user_tables
        WHERE schemaname = '{}' AND relname = 'session_records'";
    let written = schema.value::<i64>(written).await;
    let heap_only = "SELECT n_tup_hot_upd FROM pg_stat_user_tables
        WHERE schemaname = '{}' AND relname = 'session_records'";
    let heap_only = schema.value::<i64>(heap_only).await;
    assert!(written >= i64::try_from(ids.len()).unwrap(), "{written}");
    assert_eq!(heap_only, written);
}
