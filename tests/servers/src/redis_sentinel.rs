//! Redis with sentinels that watch over it.

use crate::process::{free_port, until};
use crate::redis::RedisServer;

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
        let master = RedisServer::start(&[]);
        let port = master.port().to_string();
        let replica = || {
            let follows = format!("127.0.0.1 {port}");
            RedisServer::start(&["--replicaof", &follows, "--repl-diskless-sync-delay", "0"])
        };
        let servers = vec![replica(), replica(), master];
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(&port)).collect();
        let is_watched = |sentinel: &RedisServer| {
            let known = sentinel.ask(&["SENTINEL", "MASTER", NAME]);
            known.contains("num-slaves\n2") && known.contains("num-other-sentinels\n2")
        };
        assert!(
            until(|| sentinels.iter().all(is_watched)),
            "the sentinels do not come up"
        );
        Self { servers, sentinels }
    }

    /// Where to connect to, with the scheme `redis-sentinel`.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("redis-sentinel://{}/{NAME}", sentinels.join(","))
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
