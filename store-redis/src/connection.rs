//! A server as it was connected to, and how that is done.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::PubSub;
use redis::{Cmd, ProtocolVersion, RedisConnectionInfo, RedisResult, Value};
use session_core::{Clock, Coalescer, Coalescing, Deadline, StoreError, SystemClock, Timestamp};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::batches::Batches;
use crate::command::{Command, Form};
use crate::failure::{of_connecting, unavailable};
use crate::greeting::{Greeting, Terms};
use crate::wire::Stream;
use crate::wires::Wires;

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) login: RedisConnectionInfo,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Tls>,
    pub(crate) terms: Terms,
    /// How long one may take: less than a call may, so that a call can turn to another server.
    pub(crate) limit: Duration,
    /// How many replicas a change waits for, and for how many milliseconds.
    pub(crate) acknowledged: Option<(u32, u64)>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("username", &self.login.username())
            .field("database", &self.login.db())
            .field("terms", &self.terms)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// A user's name, password and database.
    pub(crate) fn login(
        username: Option<&str>,
        password: Option<&str>,
        database: u32,
    ) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_lib_name("store-redis", env!("CARGO_PKG_VERSION"))
            .set_db(database.into());
        if let Some(username) = username {
            login = login.set_username(username);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        login
    }

    /// Connects to a server that sessions can be trusted to.
    pub(crate) async fn connect(&self, address: &Address) -> Result<Connection, StoreError> {
        self.connection(address, true).await
    }

    /// Connects to whatever server there is.
    pub(crate) async fn open(&self, address: &Address) -> Result<Connection, StoreError> {
        self.connection(address, false).await
    }

    async fn connection(&self, address: &Address, trusts: bool) -> Result<Connection, StoreError> {
        let wires = Wires::new(self.clone(), address.clone(), trusts);
        wires.put_back(wires.open().await?);
        Ok(Connection::by(Arc::new(wires)))
    }

    /// Connects to hear of what is published.
    pub(crate) async fn listen(
        &self,
        address: &Address,
        channel: &str,
    ) -> Result<PubSub, StoreError> {
        self.within_limit(async {
            let stream = self.stream(address).await?;
            let made = PubSub::new(&self.login, stream).await;
            let mut pubsub = made.map_err(of_connecting)?;
            pubsub.subscribe(channel).await.map_err(of_connecting)?;
            Ok(pubsub)
        })
        .await
    }

    pub(crate) async fn stream(&self, address: &Address) -> Result<Box<dyn Stream>, StoreError> {
        let made = TcpStream::connect((&*address.host, address.port)).await;
        let stream = made.map_err(|error| unavailable().because(error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| unavailable().because(error))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.secure(&address.host, stream).await?));
        }
        Ok(Box::new(stream))
    }

    pub(crate) async fn within_limit<T>(
        &self,
        connecting: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.limit, connecting)
            .await
            .unwrap_or_else(|_| Err(unavailable().because("no connection in time")))
    }
}

/// A server as it was connected to. Calls that are made at the same time are sent together.
pub(crate) struct Connection {
    wires: Arc<Wires>,
    /// Apart, because what is known of one that is never answered differs.
    questions: Coalescer<Batches>,
    changes: Coalescer<Batches>,
    crowd: Crowd,
}

/// What was last heard of the server's memory.
#[derive(Debug, Default)]
struct Crowd {
    heard_at: AtomicU64,
    is_crowded: AtomicBool,
}

/// How old that may be.
const HEARSAY: Duration = Duration::from_secs(1);

impl Connection {
    fn by(wires: Arc<Wires>) -> Self {
        let batches = |changes| {
            let wires = Arc::clone(&wires);
            Coalescer::new(Batches::new(wires, changes), Coalescing::default())
        };
        Self {
            questions: batches(false),
            changes: batches(true),
            wires,
            crowd: Crowd::default(),
        }
    }

    pub(crate) fn address(&self) -> &Address {
        self.wires.address()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.wires.are_open()
    }

    /// Has no further call use it.
    pub(crate) fn retire(&self) {
        self.wires.close();
    }

    /// Sends a command, and waits for its answer; an error if there is none, or if it was not sent.
    pub(crate) fn send(
        &self,
        command: &Command,
        form: Form,
        by: Deadline,
    ) -> impl Future<Output = Result<RedisResult<Value>, StoreError>> {
        let calls = match command.writes() {
            true => &self.changes,
            false => &self.questions,
        };
        calls.call(command.packet(form), by)
    }

    /// Whether more than four fifths of the server's memory are used, or were a second ago.
    pub(crate) async fn is_crowded(&self) -> RedisResult<bool> {
        if let Some(was_crowded) = self.was_crowded() {
            return Ok(was_crowded);
        }
        let now = SystemClock.now();
        self.crowd
            .heard_at
            .store(now.as_millis(), Ordering::Relaxed);
        let info = self.info(Some("memory")).await?;
        let is_crowded = Greeting::new(&info).is_crowded();
        self.crowd.is_crowded.store(is_crowded, Ordering::Relaxed);
        Ok(is_crowded)
    }

    /// The same, if that was heard of within the last second.
    pub(crate) fn was_crowded(&self) -> Option<bool> {
        let now = SystemClock.now();
        let heard_at = Timestamp::from_millis(self.crowd.heard_at.load(Ordering::Relaxed));
        let is_new = heard_at <= now && now < heard_at + HEARSAY;
        is_new.then(|| self.crowd.is_crowded.load(Ordering::Relaxed))
    }

    pub(crate) async fn info(&self, section: Option<&str>) -> RedisResult<String> {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        Ok(redis::from_redis_value(self.ask(&info).await?)?)
    }

    /// Sends a command that is for this server, whoever it is.
    pub(crate) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        self.wires.ask(command).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", self.address())
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
