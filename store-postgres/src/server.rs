//! Which server a store speaks to.

use std::fmt;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

/// A PostgreSQL server and how to log in to it: a URL, sqlx's options, or the options of a pool that the
/// application has.
///
/// A pool lends its options, as they are at each new connection, and none of its connections: the store
/// holds its own, beside those of the pool, because sqlx's pool speaks to the server at each return.
///
/// ```
/// use store_postgres::{PostgresServer, sqlx::postgres::PgConnectOptions};
///
/// let by_url = PostgresServer::from("postgres://app@db.example/app?sslmode=verify-full");
/// let by_options = PostgresServer::from(PgConnectOptions::new().host("/run/postgresql"));
/// ```
#[derive(Clone)]
pub struct PostgresServer(Kind);

#[derive(Clone)]
enum Kind {
    Url(String),
    Options(Box<PgConnectOptions>),
    Pool(PgPool),
}

impl PostgresServer {
    pub(crate) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        match &self.0 {
            Kind::Url(url) => PgConnectOptions::from_str(url)
                // PgBouncer refuses a start-up parameter that it does not know.
                .map(|options| options.disable_statement_logging().extra_float_digits(None))
                // What is wrong with a URL is told without the password in it.
                .map_err(|_| sqlx::Error::Configuration("the URL cannot be read".into())),
            Kind::Options(options) => Ok(PgConnectOptions::clone(options)),
            Kind::Pool(pool) => Ok(PgConnectOptions::clone(&pool.connect_options())),
        }
    }
}

impl From<&str> for PostgresServer {
    fn from(url: &str) -> Self {
        Self(Kind::Url(url.to_owned()))
    }
}

impl From<String> for PostgresServer {
    fn from(url: String) -> Self {
        Self(Kind::Url(url))
    }
}

impl From<PgConnectOptions> for PostgresServer {
    fn from(options: PgConnectOptions) -> Self {
        Self(Kind::Options(Box::new(options)))
    }
}

impl From<PgPool> for PostgresServer {
    fn from(pool: PgPool) -> Self {
        Self(Kind::Pool(pool))
    }
}

impl From<&PgPool> for PostgresServer {
    fn from(pool: &PgPool) -> Self {
        Self(Kind::Pool(pool.clone()))
    }
}

/// Shows no password.
impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options() {
            Ok(options) => f
                .debug_struct("PostgresServer")
                .field("host", &options.get_host())
                .field("port", &options.get_port())
                .field("database", &options.get_database())
                .finish_non_exhaustive(),
            Err(_) => f.write_str("PostgresServer(unreadable)"),
        }
    }
}
