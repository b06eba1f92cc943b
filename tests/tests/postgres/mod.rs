//! A schema of its own for each test program, on the Postgres that tests share.

#![allow(dead_code, reason = "each test program uses some of it")]

use session_core::ManualClock;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use store_postgres::{PostgresStore, PostgresStoreBuilder, sqlx};

/// A schema that nobody else uses. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub(crate) struct Schema {
    url: String,
    name: String,
}

impl Schema {
    /// A name for a schema, which is made by the first migration.
    pub(crate) fn new() -> Self {
        Self::on(test_servers::postgres().url())
    }

    pub(crate) fn on(url: impl Into<String>) -> Self {
        let id = session_core::SessionId::generate(session_core::Shard::random()).to_string();
        Self {
            url: url.into(),
            name: format!("test_{}", &id[..16]),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn builder(&self) -> PostgresStoreBuilder {
        PostgresStore::builder(self.url()).schema(self.name())
    }

    /// A store with its tables made.
    pub(crate) async fn store(&self) -> PostgresStore {
        self.builder().migrate().await.expect("the tables are made");
        self.builder()
            .connect()
            .await
            .expect("the store is connected")
    }

    /// Two stores by a test clock, with connections of their own, as on two servers.
    pub(crate) async fn two(&self, clock: ManualClock) -> [PostgresStore; 2] {
        let builder = self.builder().test_clock(clock);
        builder.migrate().await.expect("the tables are made");
        let first = builder.clone().connect().await.expect("a store");
        let second = builder.connect().await.expect("a store");
        [first, second]
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.url())
            .await
            .expect("the server is there")
    }

    /// `text` with `{}` as the schema's name, and `{role}` as that of a role that tests may make.
    pub(crate) fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        let text = text.replace("{role}", &self.role());
        AssertSqlSafe(text.replace("{}", self.name()))
    }

    pub(crate) fn role(&self) -> String {
        format!("{}_app", self.name())
    }

    /// Runs statements, as the superuser.
    pub(crate) async fn run(&self, text: &str) {
        let mut connection = self.connection().await;
        let statements = sqlx::raw_sql(self.sql(text));
        connection.execute(statements).await.expect("valid SQL");
    }

    /// The first column of the first row, as the superuser sees it.
    pub(crate) async fn value<T>(&self, text: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = self.connection().await;
        sqlx::query_scalar(self.sql(text))
            .fetch_one(&mut connection)
            .await
            .expect("a value")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                // Best effort: the server may be gone, or a test may still hold a lock.
                if let Ok(mut connection) = PgConnection::connect(&url).await {
                    let drop = format!(
                        "SET lock_timeout = '5s'; DROP SCHEMA IF EXISTS \"{name}\" CASCADE; \
                         DROP ROLE IF EXISTS \"{name}_app\""
                    );
                    let _ = sqlx::raw_sql(AssertSqlSafe(drop))
                        .execute(&mut connection)
                        .await;
                }
            });
        });
        let _ = dropping.join();
    }
}
