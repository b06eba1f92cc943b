//! Redis with sentinels that watch over it.

use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::container::{Container, Image, Ready};
use crate::process::{free_port, until};
use crate::redis::{IMAGE, RedisServer, follows};
use crate::resp::asked;
use crate::server::{Contained, Guard, Kind, Server};

const KIND: Kind = Kind {
    name: "Redis with sentinels",
    variable: "SESSION_TEST_REDIS_SENTINEL_URL",
    contained,
    local: || {
        let servers = RedisSentinel::start();
        Ok((servers.url(), Guard::Process(Box::new(servers))))
    },
};

/// The master with two replicas and three sentinels that all tests of this process share. Found or started
/// when it is first asked for, which may take seconds and keeps the caller's thread.
///
/// # Panics
///
/// If there is none and none can be started.
pub fn redis_sentinel() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::find(&KIND))
}

/// A master, two replicas and three sentinels of one's own on this machine. Dropped, they end.
///
/// A master that is gone is replaced by a replica within about 3 s.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

/// What the sentinels call the master.
const NAME: &str = "main";

impl RedisSentinel {
    /// Starts all of them.
    ///
    /// # Panics
    ///
    /// If they cannot be started.
    #[must_use]
    pub fn start() -> Self {
        const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start(&AT_ONCE);
        let port = master.port().to_string();
        let replica = || {
            let follows = ["--replicaof", "127.0.0.1", &port];
            RedisServer::start(&[&follows[..], &AT_ONCE].concat())
        };
        let replicas = [replica(), replica()];
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(&port)).collect();
        wait_until_up(&addresses(&replicas), &addresses(&sentinels));
        let servers = replicas.into_iter().chain([master]).collect();
        Self { servers, sentinels }
    }

    /// Where to connect to, with the scheme `redis-sentinel`.
    #[must_use]
    pub fn url(&self) -> String {
        url(&addresses(&self.sentinels))
    }

    /// The server that is the master now, as the first sentinel that can be asked says.
    ///
    /// # Panics
    ///
    /// If it is none of those that were started.
    pub fn master(&mut self) -> &mut RedisServer {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        let answer = self.sentinels.first().map(|first| first.ask(&question));
        let port = answer.and_then(|answer| answer.lines().nth(1)?.parse().ok());
        let mut servers = self.servers.iter_mut();
        servers.find(|server| Some(server.port()) == port).unwrap()
    }

    /// The sentinels.
    pub fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }
}

fn addresses(servers: &[RedisServer]) -> Vec<SocketAddr> {
    servers.iter().map(RedisServer::address).collect()
}

fn url(sentinels: &[SocketAddr]) -> String {
    let sentinels: Vec<_> = sentinels.iter().map(SocketAddr::to_string).collect();
    format!("redis-sentinel://{}/{NAME}", sentinels.join(","))
}

/// Waits until the replicas have the master's data and each sentinel knows of all others.
fn wait_until_up(replicas: &[SocketAddr], sentinels: &[SocketAddr]) {
    let is_watched = |sentinel: &SocketAddr| {
        let known = asked(*sentinel, &["SENTINEL", "MASTER", NAME]);
        known.contains("num-slaves\n2") && known.contains("num-other-sentinels\n2")
    };
    let follow = || replicas.iter().all(|replica| follows(*replica));
    assert!(until(follow), "the replicas do not catch up");
    let are_up = until(|| sentinels.iter().all(is_watched));
    assert!(are_up, "the sentinels do not come up");
}

/// A master, two replicas and three sentinels in containers, which reach each other at the addresses of
/// their network.
fn contained() -> Result<Option<Contained>, String> {
    let sentinel = Image {
        // It keeps what it learns in its configuration: that must be a file of its own.
        entry_point: Some("/bin/sh"),
        command: &[
            "-c",
            "echo port 6379 >/tmp/sentinel.conf; \
             exec redis-server /tmp/sentinel.conf --sentinel --protected-mode no",
        ],
        ready: &[Ready::Output("Sentinel ID is")],
        ..IMAGE
    };
    let images = [IMAGE, IMAGE, IMAGE, sentinel, sentinel, sentinel];
    let started = images.iter().map(Image::start);
    let Some(containers) = started.collect::<Result<Option<Vec<_>>, _>>()? else {
        return Ok(None);
    };
    let nodes: Vec<_> = containers.iter().map(Container::address).collect();
    let (servers, sentinels) = nodes.split_at(3);
    let (master, replicas) = servers.split_first().ok_or("there is no master")?;
    let (host, port) = (master.ip().to_string(), master.port().to_string());
    // Else it waits for more replicas before it gives the first one its data.
    asked(*master, &["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    for replica in replicas {
        asked(*replica, &["REPLICAOF", &host, &port]);
    }
    for sentinel in sentinels {
        asked(*sentinel, &["SENTINEL", "MONITOR", NAME, &host, &port, "2"]);
    }
    wait_until_up(replicas, sentinels);
    Ok(Some(Contained::new(url(sentinels), containers)))
}

fn sentinel(master: &str) -> RedisServer {
    let start = || {
        let port = free_port()?;
        let configuration = format!(
            "sentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 3000\n"
        );
        RedisServer::run(port, &["--sentinel"], &configuration)
    };
    // Between the choice of a port and its use another process may take it.
    start().or_else(|_: String| start()).unwrap()
}
