//! Operations on Postgres that arrive at the same time: one statement, and yet each on its own.

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
    Application, Applied, Change, Coalescing, Creation, EntryName, ErrorKind, Freshness, JsonText,
    Loaded, NewRecord, Record, SecretHash, SessionId, SessionSecret, SessionStore, Shard,
    StoreError, Timeouts,
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use store_postgres::{PostgresStore, sqlx};
use tokio::task::JoinHandle;

fn secret() -> SecretHash {
    SessionSecret::generate().hash()
}

fn edit(value: usize) -> Change {
    let value = JsonText::parse(value.to_string()).unwrap();
    Change::new()
        .set(EntryName::new("a").unwrap(), value)
        .touch()
}

async fn created(store: &PostgresStore) -> (SessionId, Record) {
    let id = SessionId::generate(Shard::random());
    let record = NewRecord::new(secret(), Timeouts::default());
    match store.create(id, &record).await.unwrap() {
        Creation::Created(record) => (id, record),
        other => panic!("{other:?}"),
    }
}

async fn many(store: &PostgresStore, number: usize) -> Vec<(SessionId, Record)> {
    let creating = (0..number).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { created(&store).await })
    });
    let mut sessions = Vec::new();
    for session in creating.collect::<Vec<_>>() {
        sessions.push(session.await.unwrap());
    }
    sessions
}

async fn value(store: &PostgresStore, id: SessionId) -> Option<String> {
    match store.load(id, Freshness::Source).await.unwrap() {
        Loaded::Live(record) => record.get("a").map(str::to_owned),
        other => panic!("{other:?}"),
    }
}

type Changing = JoinHandle<Result<Application, StoreError>>;

fn begin_edit(store: &PostgresStore, session: &(SessionId, Record), value: usize) -> Changing {
    let (store, (id, seen)) = (store.clone(), session.clone());
    tokio::spawn(async move { store.apply(id, &edit(value), Some(&seen)).await })
}

/// The table locked, so that every statement that changes it waits until this is dropped.
struct Gate(PgConnection);

impl Gate {
    /// Closed, with one statement of the store on its way, so that what comes now gathers.
    async fn closed(schema: &Schema, store: &PostgresStore) -> (Self, Vec<Changing>) {
        let sessions = many(store, 2).await;
        let mut connection = schema.connection().await;
        let lock = schema.sql("BEGIN; LOCK TABLE {}.session_records IN EXCLUSIVE MODE");
        connection.execute(sqlx::raw_sql(lock)).await.unwrap();
        let mut on_their_way = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            on_their_way.push(begin_edit(store, session, 0));
            schema.until_waiting(number + 1).await;
        }
        (Self(connection), on_their_way)
    }

    async fn open(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

impl Schema {
    /// Waits until so many statements on the schema's tables wait for a lock.
    async fn until_waiting(&self, number: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '%{}%' AND pid <> pg_backend_pid()";
        let wait = async {
            while self.value::<i64>(waiting).await < i64::try_from(number).unwrap() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("the statements wait");
    }

    /// A store that has one statement of a kind under way besides the first, and waits for long.
    async fn narrow(&self) -> PostgresStore {
        self.builder().migrate().await.unwrap();
        let builder = self.builder().time_limit(Duration::from_secs(20));
        let coalescing = Coalescing {
            flights: 1,
            ..Coalescing::default()
        };
        builder.coalescing(coalescing).connect().await.unwrap()
    }

    /// Counts each row that a statement changes, and refuses one of them.
    async fn watch(&self, poisoned: SessionId) {
        let trigger = "
            CREATE TABLE {}.changed (id bytea);
            CREATE FUNCTION {}.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.id = '\\x{id}' THEN RAISE 'poisoned'; END IF;
                INSERT INTO {}.changed VALUES (NEW.id);
                RETURN NEW;
            END $$;
            CREATE TRIGGER watch BEFORE INSERT OR UPDATE ON {}.session_records
            FOR EACH ROW EXECUTE FUNCTION {}.watch()";
        self.run(&trigger.replace("{id}", &poisoned.to_string()))
            .await;
    }

    async fn changed(&self, id: SessionId) -> i64 {
        let count = "SELECT count(*) FROM {}.changed WHERE id = '\\x{id}'";
        self.value(&count.replace("{id}", &id.to_string())).await
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_change_among_64_fails_alone() {
    let schema = Schema::new();
    let store = schema.narrow().await;
    let sessions = many(&store, 64).await;
    let (gate, on_their_way) = Gate::closed(&schema, &store).await;
    let changing = (1..).zip(&sessions);
    let changing: Vec<_> = changing
        .map(|(number, session)| begin_edit(&store, session, number))
        .collect();
    settle().await;
    gate.open().await;
    for change in on_their_way {
        change.await.unwrap().unwrap();
    }
    for change in changing {
        change.await.unwrap().unwrap();
    }

    // Again, and now one of them cannot be written.
    let poisoned = sessions[40].0;
    schema.watch(poisoned).await;
    let mut fresh = Vec::new();
    for (id, _) in &sessions {
        match store.load(*id, Freshness::Source).await.unwrap() {
            Loaded::Live(record) => fresh.push((*id, record)),
            other => panic!("{other:?}"),
        }
    }
    let (gate, on_their_way) = Gate::closed(&schema, &store).await;
    let changing: Vec<_> = (100..)
        .zip(&fresh)
        .map(|(number, session)| begin_edit(&store, session, number))
        .collect();
    settle().await;
    gate.open().await;
    for change in on_their_way {
        change.await.unwrap().unwrap();
    }
    for ((number, (id, _)), change) in (100..).zip(&fresh).zip(changing) {
        let answer = change.await.unwrap();
        if *id == poisoned {
            let error = answer.unwrap_err();
            assert_eq!(error.applied(), Applied::No);
            assert_eq!(schema.changed(*id).await, 0);
            assert_eq!(value(&store, *id).await.unwrap(), "41");
        } else {
            assert!(matches!(answer, Ok(Application::Applied { .. })));
            assert_eq!(schema.changed(*id).await, 1);
            assert_eq!(value(&store, *id).await, Some(number.to_string()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_new_session_among_many_fails_alone() {
    let schema = Schema::new();
    let store = schema.narrow().await;
    let ids: Vec<_> = (0..64)
        .map(|_| SessionId::generate(Shard::random()))
        .collect();
    schema.watch(ids[17]).await;
    let creating = ids.iter().map(|id| {
        let (store, id) = (store.clone(), *id);
        let record = NewRecord::new(secret(), Timeouts::default());
        tokio::spawn(async move { store.create(id, &record).await })
    });
    for (id, creation) in ids.iter().zip(creating.collect::<Vec<_>>()) {
        let creation = creation.await.unwrap();
        assert_eq!(creation.is_ok(), *id != ids[17], "{creation:?}");
        assert_eq!(schema.changed(*id).await, i64::from(*id != ids[17]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_disturbs_nobody() {
    let schema = Schema::new();
    let store = schema.narrow().await;
    let sessions = many(&store, 20).await;
    let (gate, mut on_their_way) = Gate::closed(&schema, &store).await;
    let changing: Vec<_> = (0..20)
        .zip(&sessions)
        .map(|(number, session)| begin_edit(&store, session, number))
        .collect();
    settle().await;
    // The one that went alone, one that is on its way with others, and some that wait.
    on_their_way.remove(0).abort();
    for change in &changing[5..10] {
        change.abort();
    }
    settle().await;
    gate.open().await;
    on_their_way.remove(0).await.unwrap().unwrap();
    for (number, change) in changing.into_iter().enumerate() {
        let (id, _) = sessions[number];
        if (5..10).contains(&number) {
            assert!(change.await.unwrap_err().is_cancelled());
            assert_eq!(value(&store, id).await, None);
        } else {
            change.await.unwrap().unwrap();
            assert_eq!(value(&store, id).await, Some(number.to_string()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_keeps_what_it_has() {
    let schema = Schema::new();
    schema.builder().migrate().await.unwrap();
    let builder = schema.builder().time_limit(Duration::from_secs(20));
    let coalescing = Coalescing {
        flights: 1,
        waiting_operations: 10,
        ..Coalescing::default()
    };
    let store = builder.coalescing(coalescing).connect().await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..11 {
        sessions.push(created(&store).await);
    }
    let (gate, on_their_way) = Gate::closed(&schema, &store).await;
    let waiting: Vec<_> = sessions[..10]
        .iter()
        .map(|session| begin_edit(&store, session, 7))
        .collect();
    settle().await;
    let refused = begin_edit(&store, &sessions[10], 7);
    let error = refused.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.applied(), Applied::No);
    // The others still wait: the refusal waited for nothing.
    assert!(waiting.iter().all(|change| !change.is_finished()));
    gate.open().await;
    for change in on_their_way.into_iter().chain(waiting) {
        change.await.unwrap().unwrap();
    }
    assert_eq!(value(&store, sessions[10].0).await, None);
}

/// A row that somebody holds keeps nobody waiting but those who want it.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_row_keeps_only_its_own_callers_waiting() {
    let schema = Schema::new();
    let store = schema.narrow().await;
    let sessions = many(&store, 30).await;
    let mut holder = schema.connection().await;
    let hold = "BEGIN; SELECT FROM {}.session_records WHERE id = '\\x{id}' FOR UPDATE";
    let hold = hold.replace("{id}", &sessions[3].0.to_string());
    holder
        .execute(sqlx::raw_sql(schema.sql(&hold)))
        .await
        .unwrap();
    let held = begin_edit(&store, &sessions[3], 3);
    for round in 0..3 {
        for (number, session) in sessions.iter().enumerate() {
            if number != 3 {
                begin_edit(&store, session, round).await.unwrap().unwrap();
            }
        }
    }
    assert!(!held.is_finished());
    holder.execute("ROLLBACK").await.unwrap();
    assert!(matches!(
        held.await.unwrap(),
        Ok(Application::Applied { .. })
    ));
    assert_eq!(value(&store, sessions[3].0).await.unwrap(), "3");
}

/// Batches that overlap in every order, on rows that are fought over: no deadlock, no lost change.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_fight_over_a_few_sessions_are_all_kept() {
    let schema = Schema::new();
    let store = schema.store().await;
    let sessions = many(&store, 8).await;
    let workers: Vec<_> = (0..32)
        .map(|worker: usize| {
            let (store, sessions) = (store.clone(), sessions.clone());
            tokio::spawn(async move {
                let name = EntryName::new(format!("worker {worker}")).unwrap();
                for round in 0..10 {
                    for at in 0..sessions.len() {
                        let (id, seen) = &sessions[(at * (2 * worker + 1) + worker) % 8];
                        let value = JsonText::parse(round.to_string()).unwrap();
                        let change = Change::new().set(name.clone(), value);
                        let done = store.apply(*id, &change, Some(seen)).await.unwrap();
                        assert!(matches!(done, Application::Applied { .. }));
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    for (id, _) in sessions {
        let Loaded::Live(record) = store.load(id, Freshness::Source).await.unwrap() else {
            panic!("it lives");
        };
        assert_eq!(record.entries().count(), 32);
        assert!(record.entries().all(|(_, value)| value == "9"));
    }
}
