//! How a node is set up.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use session_core::{
    Bounds, Clock, Consistency, ErrorKind, Revision, Sharding, StoreError, StoreFacts, SystemClock,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::acks::WriteAck;
use crate::core::{Incarnation, Replica, ReplicaOptions};
use crate::member::{Membership, Seeds};
use crate::net::{
    Credentials, Local, MAX_NAME, Mesh, NodeName, Peer, Reloading, Security, Terms, Traffic, listen,
};
use crate::node::{EVENTS, Node};
use crate::store::{ClusterStore, NAME, Shared};
use crate::wire;

/// A session travels in one frame, and so do the names that it takes.
const MAX_SESSION: usize = 6 << 20;

/// Who must have a change before a call returns, for each kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledgements {
    pub(crate) writes: WriteAck,
    pub(crate) ends: WriteAck,
    pub(crate) touches: WriteAck,
}

/// Sets up a node of a cluster.
///
/// ```no_run
/// # async fn example() -> Result<(), session_core::StoreError> {
/// use store_cluster::{ClusterStore, Credentials};
///
/// let store = ClusterStore::builder("sessions.shop.internal")
///     .listen("10.0.0.1:7001")
///     .seeds(["10.0.0.2:7001", "10.0.0.3:7001"])
///     .credentials(Credentials::files("ca.pem", "node.pem", "node.key"))
///     .start()
///     .await?;
/// store.ready().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `start`"]
pub struct ClusterStoreBuilder {
    cluster: Box<str>,
    listen: Box<str>,
    advertise: Option<Box<str>>,
    node: Option<Box<str>>,
    seeds: Vec<Box<str>>,
    security: Option<Option<Credentials>>,
    certificate_name: Option<Box<str>>,
    acknowledgements: Acknowledgements,
    limit: Duration,
    bootstrap_wait: Duration,
    max_skew: Duration,
    wire_version: u8,
    max_sessions: usize,
    max_bytes: usize,
    facts: StoreFacts,
    clock: Arc<dyn Clock>,
}

impl ClusterStoreBuilder {
    /// The versions of the wire format that this release speaks: its own, and that of the release before.
    pub const WIRE_VERSIONS: RangeInclusive<u8> = wire::OLDEST..=wire::VERSION;

    pub(crate) fn new(cluster: &str) -> Self {
        let mut facts = StoreFacts::new(NAME);
        facts.consistency = Consistency::Eventual;
        Self {
            cluster: cluster.into(),
            listen: "0.0.0.0:7001".into(),
            advertise: None,
            node: None,
            seeds: Vec::new(),
            security: None,
            certificate_name: None,
            acknowledgements: Acknowledgements {
                writes: WriteAck::ONE,
                ends: WriteAck::AllAlive,
                touches: WriteAck::Local,
            },
            limit: Duration::from_secs(1),
            bootstrap_wait: Duration::from_secs(5),
            max_skew: Duration::from_secs(10),
            wire_version: wire::VERSION,
            max_sessions: usize::MAX,
            max_bytes: usize::MAX,
            facts,
            clock: Arc::new(SystemClock),
        }
    }

    /// Listens at this address and port, by default at port 7001 of every address. Port 0 is any that is
    /// free.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.into();
        self
    }

    /// Has the others reach this node at this address and port, instead of the one where it listens. Needed
    /// where that is every address, or where addresses are translated.
    pub fn advertise(mut self, address: &str) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Gives the node a name that stays the same when it is started again, by default the address at which
    /// it is reached. By its name the others know that a node that was down has come back with an empty
    /// memory, and no longer wait for what it held. At most 64 printable ASCII characters.
    pub fn node(mut self, name: &str) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Looks for the others at these: addresses, or DNS names, each with a port. Names are looked up again
    /// and again, and may stand for any number of addresses. Give every node the same list; that it has
    /// the node itself in it does no harm. Without seeds the node waits to be found.
    pub fn seeds<'a>(mut self, seeds: impl IntoIterator<Item = &'a str>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// Shows these certificates, and takes only peers that show one of the same authority, made for the
    /// cluster's name.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.security = Some(Some(credentials));
        self
    }

    /// Takes the name that certificates are made for to be this one, and not the cluster's.
    pub fn certificate_name(mut self, name: &str) -> Self {
        self.certificate_name = Some(name.into());
        self
    }

    /// Speaks in the clear, and believes everybody who knows the cluster's name. Whoever reaches the port can
    /// then read and make sessions: for trials on one machine, and for networks that secure every
    /// connection themselves.
    pub fn insecure_plaintext(mut self) -> Self {
        self.security = Some(None);
        self
    }

    /// How many others must hold a new session or a change before a call returns: by default
    /// [`WriteAck::ONE`].
    pub const fn acknowledge(mut self, ack: WriteAck) -> Self {
        self.acknowledgements.writes = ack;
        self
    }

    /// How many others must know of a destroy or a revoke before a call returns: by default
    /// [`WriteAck::AllAlive`], so that what has ended is refused everywhere.
    pub const fn acknowledge_ends(mut self, ack: WriteAck) -> Self {
        self.acknowledgements.ends = ack;
        self
    }

    /// How many others must know of a touch before a call returns: by default [`WriteAck::Local`]. Touches
    /// then travel together, every second; else each by itself.
    pub const fn acknowledge_touches(mut self, ack: WriteAck) -> Self {
        self.acknowledgements.touches = ack;
        self
    }

    /// Ends every call after `limit`, by default 1 s: the wait for acknowledgements, and for what the peers
    /// say about a session that is not known here, for which half of it is.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Takes the cluster for empty when, for `wait`, by default 5 s, no node was found that holds what the
    /// others hold. Choose more than what a node takes to start and to be found. A seed that takes
    /// connections and does not answer, or refuses this node, is waited for however long it takes: it may
    /// hold sessions. One that is cut off by the network looks as if it were not there.
    pub const fn bootstrap_wait(mut self, wait: Duration) -> Self {
        self.bootstrap_wait = wait;
        self
    }

    /// Speaks to no node whose clock differs by more than `skew`, by default 10 s. Equal on all nodes.
    pub const fn max_skew(mut self, skew: Duration) -> Self {
        self.max_skew = skew;
        self
    }

    /// Speaks no later version of the wire format than `version`, one of
    /// [`WIRE_VERSIONS`](Self::WIRE_VERSIONS): as a node of the release before, which spoke the lesser. By
    /// default the latest. Each two nodes speak the latest that both know, so a cluster is upgraded node by
    /// node without this; it is for who wants to go back, too, and for trials.
    pub const fn wire_version(mut self, version: u8) -> Self {
        self.wire_version = version;
        self
    }

    /// Holds at most `max` sessions: an anonymous one is refused with [`ErrorKind::Full`] once there are
    /// four fifths of that many, a sign-in once there are that many. What other nodes took in is never
    /// refused.
    pub const fn max_sessions(mut self, max: usize) -> Self {
        self.max_sessions = max;
        self
    }

    /// Holds at most `max` bytes, as [`Usage::bytes`](crate::Usage::bytes) counts them, in the same way.
    pub const fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// Lets one session grow within `bounds`, of at most 6 MiB. Equal on all nodes.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.facts.bounds = bounds;
        self
    }

    /// Places subjects in shards by `sharding`. Equal on all nodes, and they see to it.
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.facts.sharding = sharding;
        self
    }

    /// Lets a ticket sign somebody in for `life`: longer than any sign-in takes from the check of the
    /// credentials to its last step. Equal on all nodes, and they see to it.
    pub const fn ticket_life(mut self, life: Duration) -> Self {
        self.facts.ticket_life = life;
        self
    }

    /// Reads the time from `clock` instead of the operating system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts the node: it listens and looks for the others from now on, and is
    /// [ready](ClusterStore::ready) once it holds what they hold. Must be called within a tokio runtime,
    /// on which it runs.
    ///
    /// # Errors
    ///
    /// `Config`: the names, addresses or certificates are none that can be used, or it was not said how
    /// connections are secured. `Unavailable`: the address cannot be listened at.
    pub async fn start(self) -> Result<ClusterStore, StoreError> {
        let listen_at: SocketAddr = address("listen", &self.listen)?;
        let listener = listen(listen_at)
            .map_err(|error| StoreError::new(NAME, ErrorKind::Unavailable).because(error))?;
        let bound = listener
            .local_addr()
            .map_err(|error| StoreError::new(NAME, ErrorKind::Unavailable).because(error))?;
        let local = self.local(bound).await?;
        let seeds = Seeds::parse(self.seeds.iter().map(|seed| &**seed))
            .ok_or_else(|| config("a seed is an address or a name, and a port"))?;
        let replica = Replica::new(ReplicaOptions {
            sharding: self.facts.sharding.clone(),
            bounds: self.facts.bounds,
            ticket_life: self.facts.ticket_life,
            max_skew: self.max_skew,
            max_sessions: self.max_sessions,
            max_bytes: self.max_bytes,
            ask_limit: self.limit / 2,
            ..ReplicaOptions::new(Incarnation(local.peer.incarnation))
        });
        let mesh = Mesh::new(local);
        let (events, happened) = mpsc::channel(EVENTS);
        let node = Arc::new(Node::new(replica, Arc::clone(&mesh), seeds, events));
        let membership = {
            let told = Arc::clone(&node);
            Membership::new(
                Arc::clone(&mesh),
                Arc::clone(&node.roster),
                Arc::clone(&node.seeds),
                Box::new(move |peer, presence| told.told(peer, presence)),
            )
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(mesh.run(listener, Arc::clone(&node) as Arc<dyn Traffic>));
        tasks.spawn(membership.run(happened));
        let (keeper, wait) = (Arc::clone(&node), self.bootstrap_wait);
        tasks.spawn(async move { keeper.keep_time(wait).await });
        Ok(ClusterStore::over(Shared {
            facts: self.facts,
            node,
            acknowledgements: self.acknowledgements,
            limit: self.limit,
            _tasks: tasks,
        }))
    }

    /// What the node says of itself.
    async fn local(&self, bound: SocketAddr) -> Result<Local, StoreError> {
        let fits = (1..=MAX_NAME).contains(&self.cluster.len());
        let cluster = ServerName::try_from(&*self.cluster).ok().filter(|_| fits);
        let cluster = cluster.ok_or_else(|| config("a cluster's name is that of a DNS host"))?;
        if self.facts.bounds.session_bytes > MAX_SESSION {
            return Err(config(
                "a session of more than 6 MiB does not fit in a frame",
            ));
        }
        let addr = match &self.advertise {
            Some(advertised) => address("advertise", advertised)?,
            None => bound,
        };
        if addr.ip().is_unspecified() || addr.port() == 0 {
            return Err(config(
                "the others cannot reach a node at every address: advertise one",
            ));
        }
        let name = match &self.node {
            Some(name) => NodeName::new(name),
            None => NodeName::new(&addr.to_string()),
        };
        let name = name.ok_or_else(|| config("a node's name is 1 to 64 printable characters"))?;
        let security = match &self.security {
            None => return Err(config("give credentials, or call insecure_plaintext")),
            Some(None) => Security::Plaintext,
            Some(Some(credentials)) => {
                let name = match &self.certificate_name {
                    Some(name) => ServerName::try_from(&**name)
                        .map_err(|_| config("certificates are made for the name of a DNS host"))?,
                    None => cluster,
                };
                let reloading = Reloading::new(credentials.clone(), name.to_owned()).await;
                Security::Tls(Box::new(reloading.map_err(config)?))
            }
        };
        let versions = *Self::WIRE_VERSIONS.start()..=self.wire_version;
        if !Self::WIRE_VERSIONS.contains(&self.wire_version) {
            return Err(config("a wire version that this release does not speak"));
        }
        let incarnation = Revision::random().to_u64();
        Ok(Local {
            cluster: self.cluster.clone(),
            peer: Peer::new(name, incarnation, self.clock.now(), addr),
            terms: Terms {
                sharding: self.facts.sharding.fingerprint(),
                ticket_life: self.facts.ticket_life,
                max_skew: self.max_skew,
            },
            versions,
            features: 0,
            clock: Arc::clone(&self.clock),
            security,
        })
    }
}

impl fmt::Debug for ClusterStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterStoreBuilder")
            .field("cluster", &self.cluster)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("node", &self.node)
            .field("seeds", &self.seeds)
            .field("security", &self.security)
            .field("acknowledgements", &self.acknowledgements)
            .field("limit", &self.limit)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

fn config(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(NAME, ErrorKind::Config).because(why)
}

fn address(what: &str, text: &str) -> Result<SocketAddr, StoreError> {
    text.parse()
        .map_err(|_| config(format!("{what}: {text:?} is no address with a port")))
}
