//! Redis.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::container::{Container, Image, Ready};
use crate::debian;
use crate::process::{Directory, Process, free_port, until};
use crate::resp::{ask, asked};
use crate::server::{Contained, Guard, Kind, Server};

const KIND: Kind = Kind {
    name: "Redis",
    variable: "SESSION_TEST_REDIS_URL",
    contained: || {
        let one = |container: Container| {
            let url = format!("redis://{}/", container.authority());
            Contained::new(url, vec![container])
        };
        Ok(IMAGE.start()?.map(one))
    },
    local: || {
        let server = RedisServer::try_start(&[])?;
        Ok((server.url(), Guard::Process(Box::new(server))))
    },
};

/// Without persistence. What runs from it listens on [`IMAGE`]'s port.
pub(crate) const IMAGE: Image = Image {
    variable: "SESSION_TEST_REDIS_IMAGE",
    names: &[
        "session-test/redis:latest",
        "redis:8",
        "redis:7",
        "redis:6",
        "redis:latest",
        "valkey/valkey:latest",
    ],
    port: 6379,
    ready: &[Ready::Output("Ready to accept connections")],
    environment: &[],
    entry_point: None,
    command: &["redis-server", "--save", "", "--appendonly", "no"],
};

/// The Redis that all tests of this process share. Found or started when it is first asked for, which
/// may take seconds and keeps the caller's thread.
///
/// # Panics
///
/// If there is none and none can be started.
pub fn redis() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::find(&KIND))
}

/// A Redis of one's own on this machine, for tests that pause, kill and restart it. Dropped, it ends and
/// its data are removed.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
}

impl RedisServer {
    /// Starts one, with these arguments (`--name`, `value`) besides the defaults: no persistence, no
    /// bound on memory.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments).unwrap_or_else(|why| {
            panic!("Redis does not start: {why}; install Debian's redis-server")
        })
    }

    fn try_start(arguments: &[&str]) -> Result<Self, String> {
        let mut last = String::new();
        // Between the choice of a port and its use another process may take it.
        for _ in 0..3 {
            match Self::start_once(arguments) {
                Ok(server) => return Ok(server),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn start_once(arguments: &[&str]) -> Result<Self, String> {
        let port = free_port()?;
        let defaults = ["--save", "", "--appendonly", "no"];
        Self::run(port, &[&defaults, arguments].concat(), "")
    }

    /// Runs the program on this port, with this text as its configuration.
    pub(crate) fn run(port: u16, arguments: &[&str], configuration: &str) -> Result<Self, String> {
        let program = program()?;
        let directory = Directory::new(None)?;
        directory.write("redis.conf", configuration)?;
        let mut command = vec![
            program.to_string_lossy().into_owned(),
            "redis.conf".to_owned(),
        ];
        command.extend(["--bind", "127.0.0.1", "--port"].map(str::to_owned));
        command.push(port.to_string());
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let server = Self {
            process: Process::start(directory, "KILL", &command)?,
            port,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where to connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its answer to a command, as text: one line for each element, an error with its `-`.
    ///
    /// # Panics
    ///
    /// If it cannot be reached.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> String {
        asked(self.address(), words)
    }

    /// Whether it answers at all, be it only that it wants a password first.
    pub(crate) fn is_ready(&self) -> bool {
        let answer = ask(self.address(), &["PING"]);
        answer.is_ok_and(|answer| answer == "PONG" || answer.starts_with("-NOAUTH"))
    }

    /// Stops it where it is (`SIGSTOP`): connections are taken, and nothing is answered.
    pub fn pause(&mut self) {
        self.order("pause");
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.order("resume");
    }

    /// Kills it (`SIGKILL`).
    pub fn kill(&mut self) {
        self.order("kill");
    }

    /// Starts it again, after [`RedisServer::kill`], with what its arguments made it keep.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.order("start");
        self.wait_until_ready().unwrap();
    }

    fn order(&mut self, order: &str) {
        self.process.order(order).unwrap();
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        if until(|| self.is_ready()) {
            Ok(())
        } else {
            Err(format!("Redis is not ready: {}", self.process.log()))
        }
    }
}

/// Names another program than the one on this machine: of another version, or Valkey's.
const PROGRAM: &str = "SESSION_TEST_REDIS_SERVER";

/// Whether a replica has caught up with its master, and goes on following it.
pub(crate) fn follows(replica: SocketAddr) -> bool {
    asked(replica, &["INFO", "replication"]).contains("master_link_status:up")
}

fn program() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(PROGRAM).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return std::path::absolute(&named).map_err(|error| format!("{PROGRAM}: {error}"));
    }
    debian::program("redis-server", "redis-server", Vec::new)
}
