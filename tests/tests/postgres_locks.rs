//! What a store on Postgres does while others hold a lock, or its connection is lost.

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
    Admission, Application, Applied, Change, EntryName, ErrorKind, Freshness, JsonText,
    LimitPolicy, Loaded, NewRecord, Record, Renewal, SecretHash, SessionId, SessionSecret,
    SessionStore, Shard, Sharding, SignInLimit, StoreError, Subject, Timeouts,
};
use sqlx::{Executor as _, PgConnection};
use store_postgres::{PostgresStore, sqlx};
use tokio::task::JoinHandle;

/// Long enough to make and lock a session, short enough to wait for.
const IDLE: Duration = Duration::from_millis(1_500);

fn secret() -> SecretHash {
    SessionSecret::generate().hash()
}

fn edit() -> Change {
    let (name, value) = (EntryName::new("a").unwrap(), JsonText::parse("1").unwrap());
    Change::new().set(name, value).touch()
}

/// A visitor's session that expires after [`IDLE`], and its secret.
async fn short(store: &PostgresStore) -> (SessionId, SecretHash, Record) {
    let (id, secret) = (SessionId::generate(Shard::random()), secret());
    let record = NewRecord::new(secret, Timeouts::default().with_idle(IDLE));
    match store.create(id, &record).await.unwrap() {
        session_core::Creation::Created(record) => (id, secret, record),
        other => panic!("{other:?}"),
    }
}

async fn load(store: &PostgresStore, id: SessionId) -> Loaded {
    store.load(id, Freshness::Source).await.unwrap()
}

impl Schema {
    /// A connection that holds the row of a session.
    async fn holder(&self, id: SessionId) -> PgConnection {
        let mut connection = self.connection().await;
        let hold = "BEGIN; SELECT FROM {}.session_records WHERE id = '\\x{id}' FOR UPDATE";
        let hold = hold.replace("{id}", &id.to_string());
        connection
            .execute(sqlx::raw_sql(self.sql(&hold)))
            .await
            .unwrap();
        connection
    }

    /// Waits until so many statements on the schema's tables wait for a lock.
    async fn until_waiting(&self, number: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '%{}%' AND pid <> pg_backend_pid()";
        self.until(&format!("SELECT ({waiting}) >= {number}")).await;
    }

    async fn until_expired(&self, id: SessionId) {
        let expired = "SELECT {}.session_now(NULL) >= LEAST(deadline, last_seen_at + idle)
            FROM {}.session_records WHERE id = '\\x{id}'";
        self.until(&expired.replace("{id}", &id.to_string())).await;
    }

    async fn until(&self, condition: &str) {
        let waiting = async {
            while !self.value::<bool>(condition).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .expect("what the test waits for happens");
    }
}

/// Runs `step` on a session whose row is held until the session has expired, and gives what it answered.
/// `end` is how the holder lets go.
async fn past_the_expiry<T: Send + 'static>(
    schema: &Schema,
    id: SessionId,
    end: &str,
    step: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut holder = schema.holder(id).await;
    let waiting: JoinHandle<T> = tokio::spawn(step);
    schema.until_waiting(1).await;
    schema.until_expired(id).await;
    let end = end.replace("{id}", &id.to_string());
    holder
        .execute(sqlx::raw_sql(schema.sql(&end)))
        .await
        .unwrap();
    waiting.await.unwrap()
}

/// How a holder may let go: without a change, or with one that makes the waiting statement judge its
/// conditions again.
const ENDS: [&str; 2] = [
    "ROLLBACK",
    "UPDATE {}.session_records SET nonce = 1 WHERE id = '\\x{id}'; COMMIT",
];

/// The trap: what the others here are about would happen to a plain statement.
#[tokio::test]
async fn a_plain_update_that_waited_for_the_lock_revives_what_expired() {
    let schema = Schema::new();
    let store = schema.store().await;
    let (id, ..) = short(&store).await;
    let mut connection = schema.connection().await;
    let plain = "UPDATE {}.session_records SET last_seen_at = {}.session_now(NULL)
        WHERE id = '\\x{id}' AND {}.session_now(NULL) < LEAST(deadline, last_seen_at + idle)";
    let plain = schema.sql(&plain.replace("{id}", &id.to_string()));
    let updated = past_the_expiry(&schema, id, "ROLLBACK", async move {
        let done = sqlx::query(plain).execute(&mut connection).await.unwrap();
        done.rows_affected()
    });
    assert_eq!(updated.await, 1, "it judged the session before it waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_that_waited_past_the_expiry_revives_a_session() {
    let schema = Schema::new();
    let store = schema.store().await;
    for end in ENDS {
        for kind in ["touch", "edit", "edit of a copy", "renewal"] {
            let (id, replaces, seen) = short(&store).await;
            let change = match kind {
                "touch" => Change::new().touch(),
                "renewal" => Change::new().touch().renew(Renewal {
                    issue: secret(),
                    replaces,
                    soft: false,
                }),
                _ => edit(),
            };
            let copy = (kind == "edit of a copy").then_some(seen);
            let applying = store.clone();
            let answer = past_the_expiry(&schema, id, end, async move {
                applying.apply(id, &change, copy.as_ref()).await
            });
            let answer = answer.await.unwrap();
            assert!(matches!(answer, Application::Absent), "{kind}, {end}");
            assert!(matches!(load(&store, id).await, Loaded::Absent), "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_waited_past_the_expiry_ends_nothing() {
    let schema = Schema::new();
    let store = schema.store().await;
    for end in ENDS {
        let (id, ..) = short(&store).await;
        let deleting = store.clone();
        let deleted =
            past_the_expiry(&schema, id, end, async move { deleting.delete(id).await }).await;
        assert!(!deleted.unwrap(), "{end}");
    }
}

/// A touch that is under way when the idle timeout passes is waited for before the session is said to be
/// absent.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_waits_for_the_touch_that_keeps_the_session_alive() {
    let schema = Schema::new();
    let store = schema.store().await;
    let (id, ..) = short(&store).await;
    let loading = store.clone();
    let mut holder = schema.holder(id).await;
    let touch = "UPDATE {}.session_records SET last_seen_at = {}.session_now(NULL) + 60000
        WHERE id = '\\x{id}'";
    let touch = schema.sql(&touch.replace("{id}", &id.to_string()));
    holder.execute(sqlx::raw_sql(touch)).await.unwrap();
    schema.until_expired(id).await;
    let loaded = tokio::spawn(async move { load(&loading, id).await });
    schema.until_waiting(1).await;
    holder.execute("COMMIT").await.unwrap();
    assert!(matches!(loaded.await.unwrap(), Loaded::Live(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_ends_in_time_with_what_is_known_and_reads_go_on() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    let builder = schema.builder().time_limit(Duration::from_secs(2));
    let store = builder.connections(1).connect().await.unwrap();
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(secret(), Timeouts::default());
    store.create(id, &record).await.unwrap();
    let mut holder = schema.holder(id).await;
    let not_applied = |error: StoreError| {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.applied(), Applied::No, "{error:?}");
    };
    for change in [Change::new().touch(), edit()] {
        not_applied(store.apply(id, &change, None).await.unwrap_err());
    }
    not_applied(store.delete(id).await.unwrap_err());
    // The only connection is still good.
    assert!(matches!(load(&store, id).await, Loaded::Live(_)));
    holder.execute("ROLLBACK").await.unwrap();
    assert!(store.delete(id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_connections_wait_and_end_in_time() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    let builder = schema.builder().time_limit(Duration::from_secs(1));
    let store = builder.connections(1).connect().await.unwrap();
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(secret(), Timeouts::default());
    store.create(id, &record).await.unwrap();
    let mut holder = schema.holder(id).await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.apply(id, &Change::new().touch(), None).await })
        })
        .collect();
    for call in calls {
        // Those that got the connection late had no time left to hear of the lock.
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    holder.execute("ROLLBACK").await.unwrap();
    assert!(store.delete(id).await.unwrap());
}

/// The connection is cut while a statement is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_while_a_change_waits_leaves_it_unknown_and_the_store_recovers() {
    let schema = Schema::new();
    let store = schema.store().await;
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(secret(), Timeouts::default());
    store.create(id, &record).await.unwrap();
    let touch = Change::new().touch();
    let mut holder = schema.holder(id).await;
    for change in [edit(), touch.clone()] {
        let changing = store.clone();
        let change = tokio::spawn(async move { changing.apply(id, &change, None).await });
        schema.until_waiting(1).await;
        cut(&schema).await;
        let error = change.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // It waited for the row in a transaction whose end was never asked for.
        assert_eq!(error.applied(), Applied::No);
    }
    holder.execute("ROLLBACK").await.unwrap();

    let mut connection = schema.connection().await;
    let lock = schema.sql("BEGIN; LOCK TABLE {}.session_records IN EXCLUSIVE MODE");
    connection.execute(sqlx::raw_sql(lock)).await.unwrap();
    let changing = store.clone();
    let change = tokio::spawn(async move { changing.apply(id, &touch, None).await });
    schema.until_waiting(1).await;
    cut(&schema).await;
    let error = change.await.unwrap().unwrap_err();
    assert_eq!(error.applied(), Applied::Unknown);

    connection.execute("ROLLBACK").await.unwrap();
    assert!(matches!(load(&store, id).await, Loaded::Live(_)));
    assert!(store.delete(id).await.unwrap());
}

async fn cut(schema: &Schema) {
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%{}%' AND pid <> pg_backend_pid()";
    assert_eq!(schema.value::<i64>(cut).await, 1);
}

/// Every connection that the store holds is closed by the server while idle.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_idle_connections_were_all_closed_recovers_after_one_failure_each_at_most() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = schema.url().parse().unwrap();
    let builder = PostgresStore::builder(options.application_name(schema.name()));
    let store = builder.schema(schema.name()).connect().await.unwrap();
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(secret(), Timeouts::default());
    store.create(id, &record).await.unwrap();
    let many: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { load(&store, id).await })
        })
        .collect();
    for one in many {
        one.await.unwrap();
    }
    let close = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE application_name = '{}' AND pid <> pg_backend_pid()";
    let mut tries = 0..50;
    let error = loop {
        assert!(tries.next().is_some(), "no load met a closed connection");
        assert!(schema.value::<i64>(close).await >= 1);
        // A connection that was being opened meanwhile is another one.
        if let Err(error) = store.load(id, Freshness::Source).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // One lost connection speaks for all that are idle.
    assert!(matches!(load(&store, id).await, Loaded::Live(_)));
}

/// A sign-in that counted before it waited would let too many in.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_whatever_isolation_level_the_role_has() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    schema
        .run(
            "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'secret';
            ALTER ROLE {role} SET default_transaction_isolation = 'serializable'",
        )
        .await;
    let options: sqlx::postgres::PgConnectOptions = schema.url().parse().unwrap();
    let options = options.username(&schema.role()).password("secret");
    let builder = PostgresStore::builder(options)
        .schema(schema.name())
        .connections(20);
    let store = builder.clone().connect().await.unwrap();
    let alice = Subject::new("alice").unwrap();
    let limit = SignInLimit {
        max: NonZeroUsize::new(3).unwrap(),
        policy: LimitPolicy::EndOldest,
    };
    let ticket = store.ticket(&alice).await.unwrap();
    let sign_ins: Vec<_> = (0..50)
        .map(|_| {
            let (store, ticket) = (store.clone(), ticket.clone());
            let id = SessionId::generate(Sharding::default().shard_of(ticket.subject()));
            let record = NewRecord::new(secret(), Timeouts::default());
            tokio::spawn(async move { store.sign_in(&ticket, id, &record, Some(limit)).await })
        })
        .collect();
    for sign_in in sign_ins {
        let admission = sign_in.await.unwrap().unwrap();
        assert!(matches!(admission, Admission::Admitted { .. }));
    }
    assert_eq!(store.sessions_of(&alice).await.unwrap().len(), 3);

    // A store that may not set its connections up refuses rather than miscounts.
    let pooled = builder
        .through_transaction_pooler()
        .without_feed()
        .connect()
        .await
        .unwrap();
    let id = SessionId::generate(Sharding::default().shard_of(&alice));
    let record = NewRecord::new(secret(), Timeouts::default());
    let error = pooled
        .sign_in(&ticket, id, &record, Some(limit))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.applied(), Applied::No);
}
