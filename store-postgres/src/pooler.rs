//! Finding out whether something between a store and its server takes connections apart.

use session_core::{Applied, ErrorKind, StoreError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};

use crate::failure::Failure;
use crate::store::NAME;

const SETTING: &str = "SET session_store.is_kept = 'yes'";
const IS_KEPT: &str = "SELECT current_setting('session_store.is_kept', true) = 'yes'";

/// No such prepared statement; one of this name is there already, made by another client.
const MIXED_UP: [&str; 2] = ["26000", "42P05"];

/// Refuses a pooler that loses prepared statements between transactions, and, if the store sets its
/// connections up, one that loses settings: it would give them to somebody else's connection.
pub(crate) async fn check(
    options: &PgConnectOptions,
    prepares_sessions: bool,
) -> Result<(), StoreError> {
    let error = match keeps_settings(options, prepares_sessions).await {
        Ok(is_kept) if is_kept || !prepares_sessions => return Ok(()),
        Ok(_) => {
            return Err(refused(
                "a pooler gives each transaction another connection: say \
                 `through_transaction_pooler`",
            ));
        }
        Err(error) => error,
    };
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| MIXED_UP.contains(&&*code)) {
        Err(refused(
            "a pooler mixes up prepared statements: PgBouncer keeps them apart from version 1.21 on, \
             with `max_prepared_statements` above 0",
        ))
    } else {
        Err(Failure::of(error, Applied::No).error)
    }
}

/// A pooler gives the connection to the server that was used last to whoever comes next. So a second
/// connection takes the first one's away, and the first then either still has what it made, or not.
async fn keeps_settings(
    options: &PgConnectOptions,
    prepares_sessions: bool,
) -> Result<bool, sqlx::Error> {
    let mut first = options.connect().await?;
    let mut second = options.connect().await?;
    if prepares_sessions {
        first.execute(SETTING).await?;
    }
    is_kept(&mut first).await?;
    second.execute("BEGIN").await?;
    let kept = is_kept(&mut first).await;
    second.execute("ROLLBACK").await?;
    kept
}

async fn is_kept(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let kept: Option<bool> = sqlx::query_scalar(IS_KEPT).fetch_one(connection).await?;
    Ok(kept.unwrap_or(false))
}

fn refused(why: &'static str) -> StoreError {
    StoreError::new(NAME, ErrorKind::Config).because(why)
}
