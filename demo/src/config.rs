//! What the program is told on its command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;
use session_core::{LimitPolicy, SignInLimit, Timeouts};

/// A small web application with sessions, to look at and to try things on.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo", version)]
pub struct Config {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// Where to keep sessions: memory:, memory:?max=50 (at most 50), redis://host, rediss://host,
    /// redis-cluster://a,b,c, redis-sentinel://a,b,c/name, postgres://host/database, or on every server of a
    /// cluster, cluster://NAME@127.0.0.1:7001?seeds=127.0.0.1:7002,127.0.0.1:7003: this one listens for the
    /// others at the address before the question mark. After it may also stand node=NAME, certs=DIRECTORY,
    /// ack=local, one or all (how many others have a write before it is answered), limit=TIME (how long a
    /// call may take, 1s), wait=TIME (how long it looks for others before it takes the cluster for empty, 5s),
    /// and plaintext (no certificates, on this machine alone). Certificates are made at the first use, in demo-certs/NAME.
    #[arg(long, value_name = "URL", default_value = "memory:")]
    pub store: String,

    /// Puts a cache in front of the store: it answers from memory that a session lives, and what was ended
    /// by another server is refused at the latest after this time, at least 30ms.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub cache: Option<Duration>,

    /// How old a copy in the cache may get: as long as entries that another server changed may be missed.
    /// Without this, as old as --cache says.
    #[arg(long, value_name = "TIME", requires = "cache", value_parser = humantime::parse_duration)]
    pub cache_age: Option<Duration>,

    /// Serves out another store as well: sessions stay there until they end, new ones go to --store. Once
    /// every server reads both: see --drain-to.
    #[arg(long, value_name = "URL", conflicts_with = "drain_to")]
    pub drain_from: Option<String>,

    /// Reads another store as well, to move there: new sessions still go to --store, until POST
    /// /api/lab/switch, or a start with the two the other way round and --drain-from.
    #[arg(long, value_name = "URL")]
    pub drain_to: Option<String>,

    /// What this server calls itself, on its pages and to its cluster: a name that no other one has, and that
    /// it keeps when it is started again. Without a name a node of a cluster goes by its address.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// How long a session lives unused.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    pub idle_timeout: Duration,

    /// How long a session lives at most; 400 days is the longest there is.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = humantime::parse_duration)]
    pub absolute_timeout: Duration,

    /// How old a secret grows before a signed-in session is given a new one.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    pub renew_every: Duration,

    /// How many sessions a user may have at once; the oldest makes room. No limit without this.
    #[arg(long, value_name = "NUMBER")]
    pub max_sessions: Option<NonZeroUsize>,

    /// How recent a sign-in must be to check out.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub fresh_sign_in: Duration,

    /// Cookies without Secure and without the __Host- prefix: for plain http from other machines, and for
    /// browsers that keep no Secure cookie on plain http even here, such as Safari.
    #[arg(long)]
    pub insecure_cookies: bool,

    /// Adds the endpoints under /api/lab, with which tests make things go wrong. Not for the open.
    #[arg(long)]
    pub lab: bool,
}

impl Default for Config {
    /// What the program does when it is told nothing.
    fn default() -> Self {
        Self::parse_from(["demo"])
    }
}

impl Config {
    /// "Remember me": thirty days, used or not.
    const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts::new(self.absolute_timeout)
            .with_idle(self.idle_timeout)
            .with_renewal(self.renew_every)
    }

    pub(crate) fn remembered(&self) -> Timeouts {
        Timeouts::new(Self::REMEMBERED)
            .without_idle()
            .with_renewal(self.renew_every)
    }

    pub(crate) fn limit(&self) -> Option<SignInLimit> {
        self.max_sessions.map(|max| SignInLimit {
            max,
            policy: LimitPolicy::EndOldest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_the_ones_that_clap_accepts() {
        use clap::CommandFactory;
        Config::command().debug_assert();
    }

    #[test]
    fn told_nothing_it_listens_on_this_machine_alone() {
        assert!(Config::default().listen.ip().is_loopback());
        assert!(!Config::default().lab);
        assert!(!Config::default().insecure_cookies);
    }

    #[test]
    fn remembered_sessions_have_no_idle_timeout() {
        let remembered = Config::default().remembered();
        assert_eq!(remembered.idle(), None);
        assert_eq!(remembered.absolute().as_secs(), 30 * 86_400);
    }
}
