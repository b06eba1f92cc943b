//! One connection, shared by all calls, and how it is made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind as DriverKind, ProtocolVersion, RedisConnectionInfo,
    RedisResult, Value,
};
use session_core::{Clock, StoreError, SystemClock, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::address::Address;
use crate::command::Command;
use crate::failure::{of_connecting, unavailable};
use crate::greeting::{Greeting, Terms};

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) login: RedisConnectionInfo,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Tls>,
    pub(crate) terms: Terms,
    /// How long one may take: less than a call may, so that a call can turn to another server.
    pub(crate) limit: Duration,
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

/// How many calls wait in a connection's own queue: those beyond wait for a place.
const QUEUE: usize = 1024;
/// How many bytes are gathered before they are sent.
const GATHERED: usize = 64 << 10;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

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
        self.within_limit(async {
            let connection = self.open(address).await?;
            let info = connection.info(None).await.map_err(of_connecting)?;
            Greeting::new(&info).check(&self.terms)?;
            Ok(connection)
        })
        .await
    }

    /// Connects to whatever server there is.
    pub(crate) async fn open(&self, address: &Address) -> Result<Connection, StoreError> {
        self.within_limit(async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None)
                .set_pipeline_buffer_size(QUEUE)
                .set_write_backpressure_boundary(GATHERED);
            let stream = self.stream(address).await?;
            let made = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
            let (multiplexed, driver) = made.map_err(of_connecting)?;
            let is_open = Arc::new(AtomicBool::new(true));
            let closing = Closing(Arc::clone(&is_open));
            let driver = tokio::spawn(async move {
                let _closing = closing;
                driver.await;
            });
            Ok(Connection {
                address: address.clone(),
                multiplexed,
                is_open,
                driver: driver.abort_handle(),
                crowd: Crowd::default(),
            })
        })
        .await
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

    async fn stream(&self, address: &Address) -> Result<Box<dyn Stream>, StoreError> {
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

    async fn within_limit<T>(
        &self,
        connecting: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.limit, connecting)
            .await
            .unwrap_or_else(|_| Err(unavailable().because("no connection in time")))
    }
}

/// One connection. Calls that are made at the same time are sent together; answers come in their order.
pub(crate) struct Connection {
    address: Address,
    multiplexed: MultiplexedConnection,
    is_open: Arc<AtomicBool>,
    driver: AbortHandle,
    crowd: Crowd,
}

/// Says that a connection is closed when what drives it has ended, or its runtime has.
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
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
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Has no further call use it. What waits to be sent for calls that are over is not sent any more.
    pub(crate) fn retire(&self) {
        self.is_open.store(false, Ordering::Release);
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn send(&self, command: &Command, form: Form) -> RedisResult<Value> {
        let mut multiplexed = self.multiplexed.clone();
        let cmd = command.cmd(form.with_text);
        if !form.asking && form.acknowledged.is_none() {
            return multiplexed.send_packed_command(&cmd).await?.extract_error();
        }
        // One message, so that nothing comes between its parts.
        let mut parts = redis::Pipeline::new();
        if form.asking {
            parts.cmd("ASKING");
        }
        parts.add_command(cmd.into_owned());
        if let Some((replicas, limit)) = form.acknowledged {
            parts.cmd("WAIT").arg(replicas).arg(limit);
        }
        let count = parts.len();
        let answers = multiplexed.send_packed_commands(&parts, 0, count).await?;
        let mut answers = answers.into_iter().skip(usize::from(form.asking));
        let answer = answers.next().unwrap_or_default().extract_error()?;
        if let Some((replicas, _)) = form.acknowledged {
            let reached = answers.next().unwrap_or_default().extract_error()?;
            if !matches!(reached, Value::Int(reached) if reached >= replicas.into()) {
                const WHY: &str = "fewer replicas than asked for have the change";
                return Err((DriverKind::Client, WHY).into());
            }
        }
        Ok(answer)
    }

    /// Whether more than four fifths of the server's memory are used, or were a second ago.
    pub(crate) async fn is_crowded(&self) -> RedisResult<bool> {
        let now = SystemClock.now();
        let heard_at = Timestamp::from_millis(self.crowd.heard_at.load(Ordering::Relaxed));
        if now < heard_at || now >= heard_at + HEARSAY {
            self.crowd
                .heard_at
                .store(now.as_millis(), Ordering::Relaxed);
            let info = self.info(Some("memory")).await?;
            let is_crowded = Greeting::new(&info).is_crowded();
            self.crowd.is_crowded.store(is_crowded, Ordering::Relaxed);
        }
        Ok(self.crowd.is_crowded.load(Ordering::Relaxed))
    }

    pub(crate) async fn info(&self, section: Option<&str>) -> RedisResult<String> {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        Ok(redis::from_redis_value(self.ask(&info).await?)?)
    }

    /// Sends a command that is for this server, whoever it is.
    pub(crate) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let mut multiplexed = self.multiplexed.clone();
        multiplexed
            .send_packed_command(command)
            .await?
            .extract_error()
    }
}

/// How a command is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// With the script's text, for a server that does not know it yet.
    pub(crate) with_text: bool,
    /// To a node that the slot is on its way to.
    pub(crate) asking: bool,
    /// Waiting for so many replicas, for so many milliseconds.
    pub(crate) acknowledged: Option<(u32, u64)>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
