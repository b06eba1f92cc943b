//! Outages of Postgres.

use session_core::ErrorKind;
use session_outages::{Durability, Fault, Kind, Machine, prepare};
use store_postgres::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use test_servers::PostgresServer;

use crate::scene::{LIMIT, LONG_LIMIT, Scene, all_unavailable, refused};

async fn admin(scene: &Scene) -> PgConnection {
    PgConnection::connect(&scene.machine.url()).await.unwrap()
}

async fn run(scene: &Scene, sql: &'static str) {
    admin(scene).await.execute(raw_sql(sql)).await.unwrap();
}

const WRITES: [&str; 8] = [
    "create", "write", "touch", "delete", "sign_in", "revoke", "save", "count",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_else_has_locked_is_waited_for_within_the_limit() {
    let machine = Machine::start(Kind::Postgres, Durability::Lossless);
    let scene = Scene::with(machine, LONG_LIMIT).await;
    let mut users = scene.users().await;
    let mut other = admin(&scene).await;
    let lock = format!(
        "BEGIN; SELECT FROM session_records WHERE id = '\\x{}' FOR UPDATE",
        users.writer.id()
    );
    other.execute(raw_sql(AssertSqlSafe(lock))).await.unwrap();
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &["write"], ErrorKind::Unavailable);
    other.execute(raw_sql("ROLLBACK")).await.unwrap();
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_somebody_else_has_locked() {
    let machine = Machine::start(Kind::Postgres, Durability::Lossless);
    let scene = Scene::with(machine, LONG_LIMIT).await;
    let mut users = scene.users().await;
    let mut other = admin(&scene).await;
    let lock = "BEGIN; LOCK TABLE session_records IN ACCESS EXCLUSIVE MODE";
    other.execute(raw_sql(lock)).await.unwrap();
    let answers = scene.every_verb(&mut users).await;
    for (verb, refusal) in &answers {
        // The ticket needs only the table of fences.
        let kind = refusal.map(|refusal| refusal.kind);
        let expected = (*verb != "ticket").then_some(ErrorKind::Unavailable);
        assert_eq!(kind, expected, "{verb}");
    }
    other.execute(raw_sql("ROLLBACK")).await.unwrap();
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_given_up_and_undone() {
    let machine = Machine::start(Kind::Postgres, Durability::Lossless);
    let scene = Scene::with(machine, LONG_LIMIT).await;
    let mut users = scene.users().await;
    run(
        &scene,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON session_records \
         FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await;
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &WRITES, ErrorKind::Unavailable);
    run(&scene, "DROP TRIGGER slow ON session_records").await;
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_read_and_writes_wait_for_a_primary() {
    let scene = Scene::on(Kind::Postgres).await;
    let mut users = scene.users().await;
    run(
        &scene,
        "ALTER SYSTEM SET default_transaction_read_only = on",
    )
    .await;
    run(&scene, "SELECT pg_reload_conf()").await;
    let mut other = admin(&scene).await;
    while other
        .execute(raw_sql("CREATE TABLE IF NOT EXISTS probe ()"))
        .await
        .is_ok()
    {}
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &WRITES, ErrorKind::Unavailable);
    let mut other = admin(&scene).await;
    for sql in [
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ] {
        other.execute(raw_sql(sql)).await.unwrap();
    }
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_connections_are_all_taken() {
    let server = PostgresServer::start(&[
        "max_connections=20",
        "superuser_reserved_connections=0",
        "max_wal_senders=0",
    ]);
    let scene = Scene::with(Machine::Postgres(server), LIMIT).await;
    let mut users = scene.users().await;
    let mut others = Vec::new();
    let url = scene.machine.url();
    scene.proxy.cut();
    for _ in 0..50 {
        match PgConnection::connect(&url).await {
            Ok(other) => others.push(other),
            Err(_) if others.len() >= 20 => break,
            // Those of the store are not gone yet.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    all_unavailable(&scene.every_verb(&mut users).await);
    drop(others);
    scene.recovers().await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_says_so_until_it_has_tables() {
    let scene = Scene::on(Kind::Postgres).await;
    let mut users = scene.users().await;
    run(&scene, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    for (verb, refusal) in scene.every_verb(&mut users).await {
        let kind = refusal.map(|refusal| refusal.kind);
        assert_eq!(kind, Some(ErrorKind::Config), "{verb}");
    }
    prepare(&scene.machine.url()).await.unwrap();
    assert!(!scene.store.look(users.reader.id()).await.unwrap());
    scene.recovers().await;
    let (lost, revived) = scene.lost().await;
    assert!(lost >= 5, "{lost}");
    assert_eq!(revived, 0);
}

/// A commit that does not wait for the disk may be lost in a crash: the documentation says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_wait_for_the_disk_loses_what_it_acknowledged_last() {
    let machine = Machine::start(Kind::Postgres, Durability::Lossy);
    let mut scene = Scene::with(machine, LIMIT).await;
    let mut users = scene.users().await;
    run(&scene, "CHECKPOINT").await;
    let answers = scene.every_verb(&mut users).await;
    refused(&answers, &[], ErrorKind::Unavailable);
    Fault::Killed(std::time::Duration::ZERO)
        .happen(&mut scene.machine, &[])
        .await;
    scene.recovers().await;
    let (lost, revived) = scene.lost().await;
    assert!(lost > 0 && revived > 0, "{lost} lost, {revived} revived");
}
