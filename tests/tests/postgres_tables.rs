//! The tables on Postgres: how they are made, who may use them, and what a person sees in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::time::Duration;

use postgres::Schema;
use session_core::{
    Admission, Change, EntryName, ErrorKind, Freshness, JsonText, Loaded, NewRecord, PurgeExpired,
    SessionId, SessionSecret, SessionStore, SessionToken, Shard, Sharding, Subject, Timeouts,
    TokenFormat,
};
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store_postgres::{PostgresStore, sqlx};

fn new_record() -> NewRecord {
    NewRecord::new(SessionSecret::generate().hash(), Timeouts::default())
}

fn id_of(subject: &Subject) -> SessionId {
    SessionId::generate(Sharding::default().shard_of(subject))
}

async fn sign_in(store: &PostgresStore, name: &str, record: &NewRecord) -> SessionId {
    let subject = Subject::new(name).unwrap();
    let id = id_of(&subject);
    let ticket = store.ticket(&subject).await.unwrap();
    let admission = store.sign_in(&ticket, id, record, None).await.unwrap();
    assert!(matches!(admission, Admission::Admitted { .. }));
    id
}

/// The options of the schema's role, which may log in, and do what `rights` say.
async fn role(schema: &Schema, rights: &str) -> PgConnectOptions {
    let made = "CREATE ROLE {role} LOGIN PASSWORD 'secret';";
    schema.run(&format!("{made}{rights}")).await;
    let options: PgConnectOptions = schema.url().parse().unwrap();
    options.username(&schema.role()).password("secret")
}

/// Does something of everything.
async fn exercise(store: &PostgresStore) {
    let visitor = SessionId::generate(Shard::random());
    store.create(visitor, &new_record()).await.unwrap();
    let change = Change::new().touch();
    store.apply(visitor, &change, None).await.unwrap();
    let user = sign_in(store, "alice", &new_record()).await;
    let subject = Subject::new("alice").unwrap();
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 1);
    assert_eq!(store.revoke(&subject, None).await.unwrap(), [user]);
    assert!(store.delete(visitor).await.unwrap());
    store.purge_expired(10).await.unwrap();
}

#[tokio::test]
async fn ten_processes_may_migrate_at_once() {
    let schema = Schema::new();
    let migrations: Vec<_> = (0..10)
        .map(|_| {
            let builder = schema.builder();
            tokio::spawn(async move { builder.migrate().await })
        })
        .collect();
    for migration in migrations {
        migration.await.unwrap().unwrap();
    }
    schema.builder().migrate().await.unwrap();
    assert_eq!(
        schema
            .value::<i64>("SELECT version FROM {}.session_meta")
            .await,
        1
    );
    exercise(&schema.store().await).await;
}

#[tokio::test]
async fn a_store_lives_in_a_schema_that_is_there_without_the_right_to_make_one() {
    let schema = Schema::new();
    schema.run("CREATE SCHEMA {}").await;
    let options = role(&schema, "GRANT USAGE, CREATE ON SCHEMA {} TO {role};").await;
    let may_create = schema
        .value::<bool>("SELECT has_database_privilege('{role}', current_database(), 'CREATE')")
        .await;
    assert!(!may_create);
    let builder = PostgresStore::builder(options).schema(schema.name());
    builder.migrate().await.unwrap();
    exercise(&builder.connect().await.unwrap()).await;
}

#[tokio::test]
async fn a_role_that_may_make_no_schema_is_told_so() {
    let schema = Schema::new();
    let options = role(&schema, "").await;
    let builder = PostgresStore::builder(options).schema(schema.name());
    let error = builder.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_role_needs_no_more_than_the_stated_rights() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    let rights = "GRANT USAGE ON SCHEMA {} TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {role};";
    let options = role(&schema, rights).await;
    let builder = PostgresStore::builder(options).schema(schema.name());
    // What is there already takes no right to make.
    builder.migrate().await.unwrap();
    exercise(&builder.connect().await.unwrap()).await;
}

#[tokio::test]
async fn an_applications_pool_lends_its_options() {
    let schema = Schema::new();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(schema.url())
        .await
        .unwrap();
    let builder = PostgresStore::builder(&pool).schema(schema.name());
    builder.migrate().await.unwrap();
    let store = builder.connect().await.unwrap();
    // The pool's only connection stays the application's.
    let _taken = pool.acquire().await.unwrap();
    exercise(&store).await;
}

#[tokio::test]
async fn a_set_up_that_cannot_work_is_refused() {
    let schema = Schema::new();
    let refused = async |builder: store_postgres::PostgresStoreBuilder, why: &str| {
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{why}");
    };
    refused(schema.builder(), "no tables").await;
    schema.builder().migrate().await.unwrap();
    refused(
        schema.builder().sharding(Sharding::keyed(&[7; 32])),
        "another sharding key",
    )
    .await;
    let other = schema.builder().sharding(Sharding::keyed(&[7; 32]));
    assert_eq!(other.migrate().await.unwrap_err().kind(), ErrorKind::Config);
    refused(schema.builder().schema("a\"; DROP TABLE x"), "a bad name").await;
    refused(schema.builder().table_prefix("Bad"), "a bad prefix").await;
    refused(PostgresStore::builder("no url"), "a bad URL").await;
    refused(
        schema.builder().through_transaction_pooler(),
        "nowhere to listen",
    )
    .await;
    schema.run("UPDATE {}.session_meta SET version = 2").await;
    refused(schema.builder(), "tables of another version").await;
}

#[tokio::test]
async fn only_the_sessions_are_unlogged_and_only_if_asked_for() {
    for (is_unlogged, expected) in [(false, "p"), (true, "u")] {
        let schema = Schema::new();
        let builder = schema.builder();
        let builder = if is_unlogged {
            builder.unlogged()
        } else {
            builder
        };
        builder.migrate().await.unwrap();
        for (table, expected) in [("records", expected), ("fences", "p"), ("tries", "p")] {
            let kind = format!(
                "SELECT relpersistence::text FROM pg_class
                WHERE oid = '{{}}.session_{table}'::regclass"
            );
            assert_eq!(schema.value::<String>(&kind).await, expected, "{table}");
        }
        exercise(&builder.connect().await.unwrap()).await;
    }
}

#[tokio::test]
async fn no_password_is_shown() {
    let url = "postgres://alice:hunter2@127.0.0.1:1/none";
    let builder = PostgresStore::builder(url).time_limit(Duration::from_secs(1));
    assert!(!format!("{builder:?}").contains("hunter2"));
    let failure = builder.connect().await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Unavailable);
    let mut error: Option<&dyn std::error::Error> = Some(&failure);
    while let Some(reason) = error {
        assert!(!format!("{reason} {reason:?}").contains("hunter2"));
        error = reason.source();
    }
    let broken = PostgresStore::builder("postgres://alice:hunter2@[");
    assert!(!format!("{broken:?}").contains("hunter2"));
    let failure = broken.connect().await.unwrap_err();
    assert!(!format!("{failure:?}").contains("hunter2"));
}

#[tokio::test]
async fn stores_of_other_prefixes_in_one_schema_keep_apart() {
    let schema = Schema::new();
    let store = schema.store().await;
    let other = schema.builder().table_prefix("other_");
    other.migrate().await.unwrap();
    let other = other.connect().await.unwrap();
    let id = sign_in(&store, "alice", &new_record()).await;
    assert!(matches!(
        other.load(id, Freshness::Source).await.unwrap(),
        Loaded::Absent
    ));
    let alice = Subject::new("alice").unwrap();
    assert!(other.revoke(&alice, None).await.unwrap().is_empty());
    assert_eq!(store.sessions_of(&alice).await.unwrap().len(), 1);
}

/// With `psql` a person can see who is signed in, since when, until when.
#[tokio::test]
async fn a_person_can_read_who_is_signed_in_since_when_until_when() {
    let schema = Schema::new();
    let store = schema.store().await;
    let timeouts = Timeouts::new(Duration::from_secs(3600)).without_idle();
    let record = NewRecord::new(SessionSecret::generate().hash(), timeouts).with_entries([(
        EntryName::new("cart").unwrap(),
        JsonText::parse("[1]").unwrap(),
    )]);
    let id = sign_in(&store, "alice", &record).await;
    let gone = sign_in(&store, "bob", &record).await;
    assert!(store.delete(gone).await.unwrap());
    let Loaded::Live(record) = store.load(id, Freshness::Source).await.unwrap() else {
        panic!("the session lives");
    };

    let mut connection = schema.connection().await;
    let rows = sqlx::query(schema.sql(
        "SELECT id, subject, to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS'),
            (extract(epoch FROM created) * 1000)::bigint,
            (extract(epoch FROM last_seen) * 1000)::bigint,
            (extract(epoch FROM expires) * 1000)::bigint, bytes
        FROM {}.session_list",
    ))
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(rows.len(), 1, "only those that live are listed");
    let row = &rows[0];
    assert_eq!(row.get::<&str, _>(0), id.to_string());
    assert_eq!(row.get::<&str, _>(1), "alice");
    assert!(row.get::<&str, _>(2).starts_with("20"));
    let millis = |column| u64::try_from(row.get::<i64, _>(column)).unwrap();
    assert_eq!(millis(3), record.created_at().as_millis());
    assert_eq!(millis(4), record.last_seen_at().as_millis());
    assert_eq!(millis(5), record.expires_at().as_millis());
    assert!(row.get::<i32, _>(6) > 0);
}

/// SECURITY 3
#[tokio::test]
async fn a_raw_dump_contains_no_usable_token() {
    let schema = Schema::new();
    let store = schema.store().await;
    let secret = SessionSecret::generate();
    let record = NewRecord::new(secret.hash(), Timeouts::default());
    let id = sign_in(&store, "alice", &record).await;
    let hash: String = secret
        .hash()
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();

    let mut connection = schema.connection().await;
    let mut dump = String::new();
    for table in ["records", "fences", "tries", "meta", "list"] {
        let text = format!("SELECT t::text FROM {{}}.session_{table} AS t");
        let rows: Vec<String> = sqlx::query_scalar(schema.sql(&text))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        dump.extend(rows);
    }
    assert!(dump.contains(&hash), "the dump holds the session");
    let token = TokenFormat::default().encode(&SessionToken { id, secret });
    assert!(!dump.contains(&token));
    // What follows the 16 bytes of the public id is the secret.
    let hex: String = sqlx::query_scalar(
        "SELECT encode(decode(translate($1 || '=', '-_', '+/'), 'base64'), 'hex')",
    )
    .bind(&token)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(hex[..32], id.to_string());
    assert!(!dump.contains(&hex[32..]), "the secret is there");
}
