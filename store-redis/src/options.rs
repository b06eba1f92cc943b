//! How a store is set up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use session_core::{Bounds, Clock, ClockSource, Revision, Sharding, StoreError, StoreFacts};

use crate::address::{Location, Topology};
use crate::client::{Client, Servers};
use crate::clock::StoreClock;
use crate::cluster::Cluster;
use crate::command::Command;
use crate::connection::Connector;
use crate::failure::{config, unexpected};
use crate::feed::Telling;
use crate::greeting::Terms;
use crate::keys::{Keys, META};
use crate::node::{Node, Place};
use crate::scan::Walk;
use crate::script::AGREE;
use crate::sentinel::Sentinels;
use crate::store::{NAME, RedisStore, Shared};
use crate::turns::Turns;

/// Sets up a [`RedisStore`].
///
/// | URL | servers |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one; user, password, port and database may be left out |
/// | `redis-sentinel://one,two:26380,three/name/0` | the master that these sentinels know by this name |
/// | `redis-cluster://one,two:7001` | the cluster that these nodes belong to |
///
/// `rediss`, `rediss-sentinel` and `rediss-cluster` are the same over TLS. User names and passwords are
/// percent-encoded.
///
/// ```no_run
/// # async fn example() -> Result<(), session_core::StoreError> {
/// use std::time::Duration;
/// use store_redis::RedisStore;
///
/// let store = RedisStore::builder("rediss://app@sessions.example/0")
///     .password("correct horse battery staple")
///     .prefix("shop:")
///     .time_limit(Duration::from_secs(2))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect`"]
pub struct RedisStoreBuilder {
    url: Box<str>,
    prefix: Box<str>,
    username: Option<Box<str>>,
    password: Option<Box<str>>,
    database: Option<u32>,
    sentinel_login: Option<(Option<Box<str>>, Box<str>)>,
    #[cfg(feature = "tls")]
    certificates: crate::tls::Certificates,
    limit: Duration,
    replicas: u32,
    evictions: Vec<Box<str>>,
    feed: bool,
    facts: StoreFacts,
    clock: Option<Arc<dyn Clock>>,
}

impl RedisStoreBuilder {
    pub(crate) fn new(url: &str) -> Self {
        let mut facts = StoreFacts::new(NAME);
        facts.clock = ClockSource::Server;
        Self {
            url: url.into(),
            prefix: "session:".into(),
            username: None,
            password: None,
            database: None,
            sentinel_login: None,
            #[cfg(feature = "tls")]
            certificates: crate::tls::Certificates::default(),
            limit: Duration::from_secs(3),
            replicas: 0,
            evictions: Vec::new(),
            feed: true,
            facts,
            clock: None,
        }
    }

    /// Begins all keys, and the feed's channel, with `prefix`: at most 64 letters, digits, or any of
    /// `._:-/`. Stores with different prefixes never see each other. By default `session:`.
    pub fn prefix(self, prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// Logs in as this user of the access control list, instead of what the URL says. The user needs the
    /// keys `{prefix}*`, the channel `{prefix}feed`, and the commands of [the crate's
    /// documentation](crate#rights).
    pub fn username(self, username: &str) -> Self {
        Self {
            username: Some(username.into()),
            ..self
        }
    }

    /// Logs in with this password, instead of what the URL says. Without a user it is that of `default`.
    pub fn password(self, password: &str) -> Self {
        Self {
            password: Some(password.into()),
            ..self
        }
    }

    /// Uses the database of this number, instead of what the URL says. A cluster has only the first, 0.
    pub fn database(self, number: u32) -> Self {
        Self {
            database: Some(number),
            ..self
        }
    }

    /// Logs in to the sentinels, which have users of their own. Without this they are asked without.
    pub fn sentinel_login(self, username: Option<&str>, password: &str) -> Self {
        Self {
            sentinel_login: Some((username.map(Into::into), password.into())),
            ..self
        }
    }

    /// Trusts these certificates of authorities (PEM), instead of those that the operating system
    /// trusts.
    #[cfg(feature = "tls")]
    pub fn tls_roots(mut self, pem: &[u8]) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// Shows the server this certificate chain, and has this key (both PEM).
    #[cfg(feature = "tls")]
    pub fn tls_identity(mut self, chain: &[u8], key: &[u8]) -> Self {
        self.certificates.identity = Some((chain.into(), key.into()));
        self
    }

    /// Ends every call, connecting included, after `limit`, by default 3 s. Choose less than what a
    /// visitor waits for, and more than the slowest pause of the server that you are willing to wait out.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Acknowledges a change only when so many replicas have it too (`WAIT`), which takes a round trip to
    /// them. With too few of them in reach calls fail as `Unavailable`, their outcome unknown. It makes the
    /// loss of a change in a fail-over less likely, not impossible: Redis may still promote a replica
    /// that lacks it. By default 0.
    pub const fn replicas_ack(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Allows a server whose `maxmemory-policy` is this one. Any but `noeviction` drops sessions, fences and
    /// lists of sessions silently when memory is short, so that users are signed out and revoked
    /// sign-ins may succeed. Call it once for each policy to allow.
    pub fn allow_eviction(mut self, policy: &str) -> Self {
        self.evictions.push(policy.into());
        self
    }

    /// Opens no connection for the feed: the store then has no [`Watch`](session_core::Watch).
    pub const fn without_feed(mut self) -> Self {
        self.feed = false;
        self
    }

    /// Lets one session grow within `bounds`.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.facts.bounds = bounds;
        self
    }

    /// Places subjects in shards by `sharding`. All servers of one store must agree, and the store sees to
    /// it.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.facts.sharding = sharding;
        self
    }

    /// Lets a ticket sign somebody in for `life`, at most a day: longer than any sign-in takes from the
    /// check of the credentials to its last step.
    pub const fn ticket_life(mut self, life: Duration) -> Self {
        self.facts.ticket_life = life;
        self
    }

    /// Goes by `clock` instead of the server's, in every step. For tests: all servers of one store would
    /// have to share it, and nothing expires by itself.
    pub fn test_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Some(Arc::new(clock)),
            ..self
        }
    }

    /// Connects to the servers, and makes sure that sessions can be trusted to them.
    ///
    /// # Errors
    ///
    /// `Config`: the URL or the prefix is none; the login is refused or lacks rights; a server is older
    /// than 6.2, evicts, or is of another kind than the URL says; another server of this store places
    /// subjects otherwise. `Unavailable`: there is no answer within the time limit.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let location = Location::parse(&self.url)
            .map_err(|why| config().because(format!("the URL cannot be used: {why}")))?;
        let keys = Keys::new(&self.prefix).map_err(|why| config().because(why))?;
        let client = Arc::new(self.client(location)?);
        let channel = keys.feed();
        let clock = match &self.clock {
            Some(clock) => StoreClock::Test(Arc::clone(clock)),
            None => StoreClock::Server(AtomicI64::new(0)),
        };
        let mut store = Shared {
            facts: self.facts,
            client,
            keys,
            channel,
            clock,
            turns: Turns::new(),
            staged: AtomicU64::new(Revision::random().to_u64()),
            telling: None,
            walk: Walk::default(),
        };
        store.agree().await?;
        if self.feed {
            let client = Arc::clone(&store.client);
            store.telling = Some(Telling::start(client, store.channel.clone()).await?);
        }
        Ok(RedisStore(Arc::new(store)))
    }

    fn client(&self, location: Location) -> Result<Client, StoreError> {
        let database = self.database.or(location.database).unwrap_or(0);
        let is_cluster = matches!(location.topology, Topology::Cluster(_));
        if is_cluster && database != 0 {
            return Err(config().because("a cluster has only database 0"));
        }
        let username = self.username.as_deref().or(location.username.as_deref());
        let password = self.password.as_deref().or(location.password.as_deref());
        let connector = Connector {
            login: Connector::login(username, password, database),
            #[cfg(feature = "tls")]
            tls: match location.tls {
                true => Some(crate::tls::Tls::new(&self.certificates)?),
                false => None,
            },
            terms: Terms {
                evictions: self.evictions.clone(),
                cluster: is_cluster,
            },
            limit: self.limit / 2,
            acknowledged: self.acknowledged(),
        };
        if location.tls && cfg!(not(feature = "tls")) {
            return Err(config().because("TLS needs the feature `tls` of store-redis"));
        }
        let servers = match location.topology {
            Topology::Single(address) => Servers::One(Arc::new(Node::new(Place::At(address)))),
            Topology::Cluster(seeds) => Servers::Cluster(Cluster::new(seeds)),
            Topology::Sentinel(addresses, name) => {
                let login = match &self.sentinel_login {
                    Some((username, password)) => {
                        Connector::login(username.as_deref(), Some(password), 0)
                    }
                    None => Connector::login(None, None, 0),
                };
                let connector = Connector {
                    login,
                    limit: self.limit / 4,
                    ..connector.clone()
                };
                let sentinels = Sentinels::new(addresses, name, connector);
                Servers::One(Arc::new(Node::new(Place::Master(sentinels))))
            }
        };
        Ok(Client {
            connector,
            servers,
            limit: self.limit,
        })
    }

    /// How many replicas a change waits for, and for how many milliseconds: less than a call may take, so
    /// that the reason is told when they are too few.
    fn acknowledged(&self) -> Option<(u32, u64)> {
        let millis = self.limit.as_millis() / 2;
        (self.replicas > 0).then(|| (self.replicas, u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl Shared {
    /// Makes sure that all servers of this store place subjects alike, and that the login may do all
    /// that the steps do.
    async fn agree(&self) -> Result<(), StoreError> {
        let fingerprint = self.facts.sharding.fingerprint();
        let fingerprint: String = fingerprint
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let keys = [self.keys.sharding(), self.keys.rights()];
        let command = Command::script(&AGREE, META, &keys.each_ref().map(String::as_str))
            .arg(
                self.clock
                    .test()
                    .map_or(String::new(), |now| now.as_millis().to_string()),
            )
            .arg(&self.channel)
            .arg(self.client.servers.kind())
            .arg(&fingerprint)
            .read_only();
        let mut answer = self.ask(command, self.client.deadline()).await?;
        match answer.bytes()? {
            agreed if agreed == fingerprint.as_bytes() => Ok(()),
            agreed if agreed.is_empty() => Err(unexpected(false)),
            _ => Err(config()
                .because("another server of this store places subjects otherwise: Sharding")),
        }
    }
}

/// Shows no password.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("location", &Location::parse(&self.url))
            .field("prefix", &self.prefix)
            .field("limit", &self.limit)
            .field("replicas", &self.replicas)
            .field("evictions", &self.evictions)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
