//! Connections that are held, and calls that end in time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_core::{Applied, Deadline, ErrorKind, StoreError};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Postgres, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;
use crate::server::PostgresServer;
use crate::store::NAME;

/// A bounded number of connections, kept open while the server keeps them.
///
/// sqlx's own pool asks the server for a sign of life at each return, which makes one statement two round
/// trips. Here a connection goes back as it is, and only if its call came to a clean end.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    server: PostgresServer,
    idle: Mutex<Vec<PgConnection>>,
    permits: Arc<Semaphore>,
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
        Self(Arc::new(Shared {
            server,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS))),
            time_limit,
            prepares_sessions,
        }))
    }

    pub(crate) fn time_limit(&self) -> Duration {
        self.0.time_limit
    }

    /// Begins a call, which has the time limit from now.
    pub(crate) async fn begin(&self) -> Result<Call, StoreError> {
        self.call(self.deadline()).await
    }

    /// When a call that begins now must have ended.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.time_limit())
    }

    /// Waits for a connection for a call that ends at `deadline`.
    pub(crate) async fn call(&self, deadline: Deadline) -> Result<Call, StoreError> {
        let waiting = async {
            let permit = Arc::clone(&self.0.permits).acquire_owned().await;
            let permit = permit.map_err(|_| StoreError::new(NAME, ErrorKind::Unavailable))?;
            let idle = self.0.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                // Rare, and large.
                None => Box::pin(self.connect()).await?,
            };
            Ok((permit, connection))
        };
        let (permit, connection) = deadline
            .within(waiting)
            .await
            .unwrap_or_else(|| Err(Failure::overdue(Applied::No)))?;
        Ok(Call {
            connections: self.clone(),
            connection: Some(connection),
            is_clean: true,
            deadline,
            _permit: permit,
        })
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let options = self.0.server.options();
        let connecting = async {
            let mut connection = options?.connect().await?;
            if self.0.prepares_sessions {
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
    ///
    /// Statements go by an index. A plan stays with its connection, so it must not be one for a table that
    /// was still empty; and to collect pages first is slower for the few rows of a call.
    fn preparation(&self) -> sqlx::RawSql {
        let limit = self.time_limit().as_millis();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "SET lock_timeout = {}; SET statement_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; \
             SET default_transaction_isolation = 'read committed'; \
             SET enable_seqscan = off; SET enable_bitmapscan = off",
            (limit / 2).max(1),
            (limit * 3 / 4).max(1),
            limit.max(1),
        )))
    }

    /// Closes what is idle: when one connection is lost, the others often are, too.
    fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.0.idle.lock());
        drop(idle);
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("idle", &self.0.idle.lock().len())
            .field("time_limit", &self.0.time_limit)
            .finish_non_exhaustive()
    }
}

/// One call: a connection for its length, and the time that it has left.
///
/// Whatever ends early, a caller that goes away or a time limit, closes the connection. The server then
/// rolls back what was not yet on its way to be committed.
pub(crate) struct Call {
    connections: Connections,
    connection: Option<PgConnection>,
    is_clean: bool,
    deadline: Deadline,
    _permit: OwnedSemaphorePermit,
}

impl Call {
    /// Sends one statement and waits for its end. `in_doubt` says what is known of its effect if no
    /// answer comes.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        in_doubt: Applied,
    ) -> Result<Vec<PgRow>, Failure> {
        let mut connection = self.take()?;
        let answer = self.deadline.within(query.fetch_all(&mut connection)).await;
        self.settle(connection, answer, in_doubt)
    }

    /// As [`Call::rows`], for a statement that gives one row at most.
    pub(crate) async fn row(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        in_doubt: Applied,
    ) -> Result<Option<PgRow>, Failure> {
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
        let answer = self.deadline.within(running).await;
        self.settle(connection, answer, in_doubt)?;
        Ok(())
    }

    /// Takes the connection out, so that it is closed if this call is dropped before it has answered.
    fn take(&mut self) -> Result<PgConnection, Failure> {
        self.connection.take().ok_or_else(Failure::unconnected)
    }

    fn settle<T>(
        &mut self,
        connection: PgConnection,
        answer: Option<Result<T, sqlx::Error>>,
        in_doubt: Applied,
    ) -> Result<T, Failure> {
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
                Err(failure)
            }
            None => Err(Failure::unanswered(in_doubt)),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.is_clean
        {
            self.connections.0.idle.lock().push(connection);
        }
    }
}
