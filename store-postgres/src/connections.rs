//! Connections that are held, and calls that end in time.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use parking_lot::Mutex;
use session_core::{Applied, ErrorKind, StoreError};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Postgres, SqlStr};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Sleep;

use crate::failure::Failure;
use crate::server::PostgresServer;
use crate::store::NAME;

/// A bounded number of connections, kept open while the server keeps them.
///
/// sqlx's own pool asks the server for a sign of life at each return, which makes one statement two round
/// trips. Here a connection goes back as it is, and only if its call came to a clean end.
pub(crate) struct Connections {
    server: PostgresServer,
    idle: Mutex<Vec<PgConnection>>,
    permits: Semaphore,
    time_limit: Duration,
    prepares_sessions: bool,
}

impl Connections {
    pub(crate) fn new(
        server: PostgresServer,
        max: usize,
        time_limit: Duration,
        prepares_sessions: bool,
    ) -> Self {
        Self {
            server,
            idle: Mutex::default(),
            permits: Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)),
            time_limit,
            prepares_sessions,
        }
    }

    pub(crate) const fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// How the server is reached.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        self.server
            .options()
            .map_err(|error| Failure::of(error, Applied::No).error)
    }

    /// Begins a call, which has the time limit from now.
    pub(crate) async fn call(&self) -> Result<Call<'_>, StoreError> {
        let mut deadline = Box::pin(tokio::time::sleep(self.time_limit));
        let waiting = async {
            let permit = self.permits.acquire().await;
            let permit = permit.map_err(|_| StoreError::new(NAME, ErrorKind::Unavailable))?;
            let idle = self.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            Ok((permit, connection))
        };
        let (permit, connection) = within(&mut deadline, waiting)
            .await
            .unwrap_or_else(|| Err(Failure::overdue(Applied::No)))?;
        Ok(Call {
            connections: self,
            connection: Some(connection),
            is_clean: true,
            deadline,
            _permit: permit,
        })
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let options = self.options()?;
        let connecting = async {
            let mut connection = options.connect().await?;
            if self.prepares_sessions {
                connection.execute(self.preparation()).await?;
            }
            Ok(connection)
        };
        connecting
            .await
            .map_err(|error| Failure::of(error, Applied::No).error)
    }

    /// The server gives up before the caller does, so that most that takes too long is known not to have
    /// been applied.
    fn preparation(&self) -> sqlx::RawSql {
        let limit = self.time_limit.as_millis();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "SET lock_timeout = {}; SET statement_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; \
             SET default_transaction_isolation = 'read committed'",
            (limit / 2).max(1),
            (limit * 3 / 4).max(1),
            limit.max(1),
        )))
    }

    /// Closes what is idle: when one connection is lost, the others often are, too.
    fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("idle", &self.idle.lock().len())
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// One call: a connection for its length, and the time that it has left.
///
/// Whatever ends early, a caller that goes away or a time limit, closes the connection. The server then
/// rolls back what was not yet on its way to be committed.
pub(crate) struct Call<'a> {
    connections: &'a Connections,
    connection: Option<PgConnection>,
    is_clean: bool,
    deadline: Pin<Box<Sleep>>,
    _permit: SemaphorePermit<'a>,
}

impl Call<'_> {
    /// Sends one statement and waits for its end. `in_doubt` says what is known of its effect if no
    /// answer comes.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        in_doubt: Applied,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut connection = self.take()?;
        let answer = within(&mut self.deadline, query.fetch_all(&mut connection)).await;
        self.settle(connection, answer, in_doubt)
    }

    /// As [`Call::rows`], for a statement that gives one row at most.
    pub(crate) async fn row(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        in_doubt: Applied,
    ) -> Result<Option<PgRow>, StoreError> {
        Ok(self.rows(query, in_doubt).await?.into_iter().next())
    }

    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        self.is_clean = false;
        // Whatever the role's default is: what is read under a lock must not be older than the lock.
        self.command("BEGIN ISOLATION LEVEL READ COMMITTED", Applied::No)
            .await
    }

    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.command("COMMIT", Applied::Unknown).await?;
        self.is_clean = true;
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.command("ROLLBACK", Applied::No).await?;
        self.is_clean = true;
        Ok(())
    }

    async fn command(
        &mut self,
        command: &'static str,
        in_doubt: Applied,
    ) -> Result<(), StoreError> {
        let mut connection = self.take()?;
        let running = connection.execute(sqlx::raw_sql(SqlStr::from_static(command)));
        let answer = within(&mut self.deadline, running).await;
        self.settle(connection, answer, in_doubt).map(drop)
    }

    /// Takes the connection out, so that it is closed if this call is dropped before it has answered.
    fn take(&mut self) -> Result<PgConnection, StoreError> {
        self.connection
            .take()
            .ok_or_else(|| StoreError::new(NAME, ErrorKind::Unavailable))
    }

    fn settle<T>(
        &mut self,
        connection: PgConnection,
        answer: Option<Result<T, sqlx::Error>>,
        in_doubt: Applied,
    ) -> Result<T, StoreError> {
        match answer {
            Some(Ok(answer)) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Some(Err(error)) => {
                let failure = Failure::of(error, in_doubt);
                if failure.connection_lives {
                    self.connection = Some(connection);
                } else {
                    self.connections.forget_idle();
                }
                Err(failure.error)
            }
            None => Err(Failure::overdue(in_doubt)),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.is_clean
        {
            self.connections.idle.lock().push(connection);
        }
    }
}

/// What `work` gives, or nothing if the deadline comes first.
async fn within<T>(deadline: &mut Pin<Box<Sleep>>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = work => Some(answer),
        () = deadline => None,
    }
}
