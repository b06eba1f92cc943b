//! Making the tables, and checking that they are what this version of the store works with.

use std::time::Duration;

use session_core::{Applied, ErrorKind, Sharding, StoreError};
use sqlx::{Executor as _, PgConnection, Row as _};

use crate::failure::Failure;
use crate::names::Names;
use crate::store::NAME;

/// The versions of the tables, oldest first. What was published is never edited, only followed.
const VERSIONS: [&str; 1] = [include_str!("sql/schema_1.sql")];

/// How long a migration may take, waiting for others that migrate included.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

const META: &str = "CREATE TABLE {meta} (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL,
    sharding bytea NOT NULL
)";

/// Brings the tables to the newest version, whole or not at all. Of several at a time, one works and the
/// others wait.
pub(crate) async fn migrate(
    connection: &mut PgConnection,
    names: &Names,
    sharding: &Sharding,
    is_unlogged: bool,
) -> Result<(), StoreError> {
    let failed = |error| Failure::of(error, Applied::No).error;
    simple(connection, names, "BEGIN ISOLATION LEVEL READ COMMITTED")
        .await
        .map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('sessions in ' || $1, 0))")
        .bind(names.schema())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    make_meta(connection, names, sharding)
        .await
        .map_err(failed)?;
    let present = Present::read(connection, names).await.map_err(failed)?;
    present.check_sharding(sharding)?;
    let done = usize::try_from(present.version).unwrap_or(usize::MAX);
    for version in VERSIONS.iter().skip(done) {
        let unlogged = if is_unlogged { "UNLOGGED" } else { "" };
        let functions = version
            .replace("{begin}\n", include_str!("sql/begin.sql"))
            .replace("{revoke}\n", include_str!("sql/revoke.sql"))
            .replace("{purge}\n", include_str!("sql/purge.sql"))
            .replace("{unlogged}", unlogged);
        simple(connection, names, &functions)
            .await
            .map_err(failed)?;
    }
    if done < VERSIONS.len() {
        let newest = format!("UPDATE {{meta}} SET version = {}", VERSIONS.len());
        simple(connection, names, &newest).await.map_err(failed)?;
    }
    simple(connection, names, "COMMIT")
        .await
        .map_err(|error| Failure::of(error, Applied::Unknown).error)
}

/// Checks that the tables are there, of this version, and of servers that place subjects alike.
pub(crate) async fn check(
    connection: &mut PgConnection,
    names: &Names,
    sharding: &Sharding,
) -> Result<(), StoreError> {
    let present = Present::read(connection, names)
        .await
        .map_err(|error| Failure::of(error, Applied::No).error)?;
    let newest = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
    if present.version != newest {
        return Err(refused(format!(
            "the tables are of version {}, this store works with {newest}: run `migrate`",
            present.version
        )));
    }
    if present.encoding != "UTF8" {
        return Err(refused(format!(
            "the database is encoded as {}, which cannot hold every name: it must be UTF8",
            present.encoding
        )));
    }
    present.check_sharding(sharding)
}

/// What stands in the database.
struct Present {
    version: i64,
    sharding: Vec<u8>,
    encoding: String,
}

impl Present {
    async fn read(connection: &mut PgConnection, names: &Names) -> Result<Self, sqlx::Error> {
        let row =
            sqlx::query(names.statement(
                "SELECT version, sharding, current_setting('server_encoding') FROM {meta}",
            ))
            .fetch_one(connection)
            .await?;
        Ok(Self {
            version: row.try_get(0)?,
            sharding: row.try_get(1)?,
            encoding: row.try_get(2)?,
        })
    }

    fn check_sharding(&self, sharding: &Sharding) -> Result<(), StoreError> {
        if self.sharding == sharding.fingerprint() {
            Ok(())
        } else {
            Err(refused(
                "these sessions are placed by another sharding key or version".to_owned(),
            ))
        }
    }
}

/// Makes what is missing, and asks for no right to make what is there.
async fn make_meta(
    connection: &mut PgConnection,
    names: &Names,
    sharding: &Sharding,
) -> Result<(), sqlx::Error> {
    let (has_schema, has_meta): (bool, bool) = sqlx::query_as(names.statement(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
            to_regclass('{meta}') IS NOT NULL",
    ))
    .bind(names.schema())
    .fetch_one(&mut *connection)
    .await?;
    if !has_schema {
        simple(connection, names, "CREATE SCHEMA {schema}").await?;
    }
    if has_meta {
        return Ok(());
    }
    simple(connection, names, META).await?;
    sqlx::query(names.statement("INSERT INTO {meta} (version, sharding) VALUES (0, $1)"))
        .bind(&sharding.fingerprint()[..])
        .execute(connection)
        .await
        .map(drop)
}

async fn simple(
    connection: &mut PgConnection,
    names: &Names,
    template: &str,
) -> Result<(), sqlx::Error> {
    connection
        .execute(sqlx::raw_sql(names.statement(template)))
        .await
        .map(drop)
}

fn refused(why: String) -> StoreError {
    StoreError::new(NAME, ErrorKind::Config).because(why)
}
