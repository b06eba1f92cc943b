//! How a store is set up.

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Bounds, Clock, ClockSource, Coalescer, Coalescing, ErrorKind, Sharding, StoreError, StoreFacts,
};
use sqlx::SqlStr;

use crate::coalesced::{Coalesced, Part};
use crate::connections::Connections;
use crate::failure::Failure;
use crate::feed::Telling;
use crate::migrate;
use crate::names::Names;
use crate::pooler;
use crate::server::PostgresServer;
use crate::statements::Statements;
use crate::store::{NAME, PostgresStore, Shared};

/// Sets up a [`PostgresStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use store_postgres::PostgresStore;
///
/// # async fn start() -> Result<(), session_core::StoreError> {
/// let builder = PostgresStore::builder("postgres://app@db.example/app")
///     .schema("web")
///     .connections(20)
///     .time_limit(Duration::from_secs(2));
/// builder.migrate().await?;
/// let store = builder.connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `connect`"]
pub struct PostgresStoreBuilder {
    server: PostgresServer,
    listen_server: Option<PostgresServer>,
    schema: String,
    table_prefix: String,
    connections: usize,
    time_limit: Duration,
    coalescing: Coalescing,
    facts: StoreFacts,
    test_clock: Option<Arc<dyn Clock>>,
    has_feed: bool,
    is_unlogged: bool,
    prepares_sessions: bool,
}

impl PostgresStoreBuilder {
    pub(crate) fn new(server: PostgresServer) -> Self {
        let mut facts = StoreFacts::new(NAME);
        facts.clock = ClockSource::Server;
        Self {
            server,
            listen_server: None,
            schema: "public".to_owned(),
            table_prefix: "session_".to_owned(),
            connections: 10,
            time_limit: Duration::from_secs(5),
            coalescing: Coalescing {
                flights: 4,
                ..Coalescing::default()
            },
            facts,
            test_clock: None,
            has_feed: true,
            is_unlogged: false,
            prepares_sessions: true,
        }
    }

    /// Keeps the tables in `schema` instead of `public`. At most 40 lowercase letters, digits and
    /// underscores; anything else is refused with `Config` when connecting.
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            ..self
        }
    }

    /// Begins the names of the tables with `prefix` instead of `session_`. At most 20 lowercase letters,
    /// digits and underscores; anything else is refused with `Config` when connecting.
    ///
    /// Stores of another schema or prefix never see each other's sessions.
    pub fn table_prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            table_prefix: prefix.into(),
            ..self
        }
    }

    /// Holds at most `max` connections, 10 by default, and one more for the feed. Calls beyond them wait,
    /// within their time limit.
    ///
    /// Choose about twice the number of the server's cores: enough commits in flight, and no more than
    /// its `max_connections` shared among your servers.
    pub const fn connections(mut self, max: usize) -> Self {
        self.connections = max;
        self
    }

    /// Ends every call within `limit`, 5 seconds by default, with a result or `Unavailable`.
    ///
    /// The server is told to give up waiting for a lock after half of it, and on a statement after
    /// three quarters, so that what failed is mostly known not to have been applied.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sends reads, changes and new sessions that arrive at the same time together, within `bounds`: each of
    /// the three for itself. Four [`flights`](Coalescing::flights) unless set: on a slow disk a few commits
    /// under way are faster than one, and each flight takes one of the connections.
    pub const fn coalescing(mut self, bounds: Coalescing) -> Self {
        self.coalescing = bounds;
        self
    }

    /// Lets one session grow within `bounds`.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.facts.bounds = bounds;
        self
    }

    /// Places subjects in shards by `sharding`. The tables keep its fingerprint, and a server that
    /// brings another is refused with `Config`.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.facts.sharding = sharding;
        self
    }

    /// Lets a ticket sign somebody in for `life`: longer than any sign-in takes from the check of the
    /// credentials to its last step. All servers must say the same.
    pub const fn ticket_life(mut self, life: Duration) -> Self {
        self.facts.ticket_life = life;
        self
    }

    /// Goes by `clock` in every statement, instead of the server's. For tests.
    pub fn test_clock(self, clock: impl Clock) -> Self {
        Self {
            test_clock: Some(Arc::new(clock)),
            ..self
        }
    }

    /// Lets [`migrate`](Self::migrate) make the table of sessions `UNLOGGED`: about twice the writes, and
    /// **every session is lost when the server crashes**. What was revoked stays revoked.
    ///
    /// It counts only when the table is made.
    pub const fn unlogged(mut self) -> Self {
        self.is_unlogged = true;
        self
    }

    /// Listens for the feed on a connection to `server`: a direct one, if the store's own goes through a
    /// pooler.
    pub fn listen_on(self, server: impl Into<PostgresServer>) -> Self {
        Self {
            listen_server: Some(server.into()),
            ..self
        }
    }

    /// Neither tells nor hears what ended and what was renewed. It saves the lock that PostgreSQL takes on
    /// a whole server for each commit that notifies.
    ///
    /// All servers must say the same: one that is silent leaves the others' caches stale.
    pub const fn without_feed(mut self) -> Self {
        self.has_feed = false;
        self
    }

    /// Works through a pooler that gives each transaction another connection, such as `PgBouncer` 1.21 or
    /// newer with `pool_mode = transaction` and `max_prepared_statements` above 0.
    ///
    /// The store then sets nothing on its connections. Give its role `lock_timeout` and
    /// `statement_timeout` below the time limit instead, with `ALTER ROLE … SET`; and give
    /// [`listen_on`](Self::listen_on) a direct connection, or do [`without_feed`](Self::without_feed).
    /// `PgBouncer` with `pool_mode = session` needs none of this. What does not work is refused with
    /// `Config` when connecting.
    pub const fn through_transaction_pooler(mut self) -> Self {
        self.prepares_sessions = false;
        self
    }

    /// Makes the tables, or brings them to this version of the store, whole or not at all. Any number of
    /// servers may do so at once. Takes at most five minutes.
    ///
    /// Needs the right to create in the schema, and to create the schema only if it is not there. A role
    /// that only calls [`connect`](Self::connect) needs `SELECT, INSERT, UPDATE, DELETE` on the tables,
    /// `USAGE` on the schema, and no more.
    ///
    /// # Errors
    ///
    /// `Config` if a name is refused, a right is missing, or the tables are of another sharding;
    /// `Unavailable`.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let names = self.names()?;
        let migration = async {
            let mut connection = self.direct().await?;
            migrate::migrate(
                &mut connection,
                &names,
                &self.facts.sharding,
                self.is_unlogged,
            )
            .await
        };
        tokio::time::timeout(migrate::TIME_LIMIT, migration)
            .await
            .unwrap_or_else(|_| Err(Failure::overdue(session_core::Applied::Unknown)))
    }

    /// Connects, and checks that the tables are there.
    ///
    /// # Errors
    ///
    /// `Config` if a name is refused, the tables are missing, of another version or of another sharding,
    /// or the database is not encoded as UTF-8; if a pooler takes connections apart and the store was not
    /// told; `Unavailable`.
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        let names = self.names()?;
        if self.has_feed && self.listen_server.is_none() && !self.prepares_sessions {
            return Err(StoreError::new(NAME, ErrorKind::Config)
                .because("nothing is heard through a transaction pooler: say `listen_on`"));
        }
        let check = async {
            pooler::check(&options(&self.server)?, self.prepares_sessions).await?;
            let mut connection = self.direct().await?;
            migrate::check(&mut connection, &names, &self.facts.sharding).await
        };
        tokio::time::timeout(self.time_limit, check)
            .await
            .unwrap_or_else(|_| Err(Failure::overdue(session_core::Applied::No)))?;
        let connections = Connections::new(
            self.server.clone(),
            self.connections,
            self.time_limit,
            self.prepares_sessions,
        );
        let (telling, channel) = if self.has_feed {
            let server = self.listen_server.as_ref().unwrap_or(&self.server);
            let channel = names.channel();
            let telling =
                Telling::listening(options(server)?, channel.clone(), self.time_limit).await?;
            (telling, Some(channel))
        } else {
            (Telling::deaf(), None)
        };
        let statements = Statements::new(&names);
        Ok(PostgresStore::over(Shared {
            loading: self.coalescer(&statements.load, &connections),
            creating: self.coalescer(&statements.create, &connections),
            applying: self.coalescer(&statements.apply, &connections),
            facts: self.facts,
            statements,
            connections,
            test_clock: self.test_clock,
            telling,
            channel,
        }))
    }

    fn coalescer<P: Part>(
        &self,
        statement: &SqlStr,
        connections: &Connections,
    ) -> Coalescer<Coalesced<P>> {
        let clock = self.test_clock.clone();
        let statement = Coalesced::new(statement.clone(), connections.clone(), clock);
        Coalescer::new(statement, self.coalescing)
    }

    async fn direct(&self) -> Result<sqlx::PgConnection, StoreError> {
        use sqlx::ConnectOptions as _;
        options(&self.server)?
            .connect()
            .await
            .map_err(|error| Failure::of(error, session_core::Applied::No).error)
    }

    fn names(&self) -> Result<Names, StoreError> {
        Names::new(&self.schema, &self.table_prefix)
            .map_err(|error| StoreError::new(NAME, ErrorKind::Config).because(error))
    }
}

fn options(server: &PostgresServer) -> Result<sqlx::postgres::PgConnectOptions, StoreError> {
    server
        .options()
        .map_err(|error| Failure::of(error, session_core::Applied::No).error)
}
