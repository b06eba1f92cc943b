//! The HTTP level: applications on sockets, under load from a process of its own.

mod app;
mod client;
mod load;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;

pub use self::app::serve;
use self::client::Client;
use self::load::{Load, Loaded};
use crate::figures::median;
use crate::group::{Filter, Service};
use crate::numbers::Numbers;
use crate::payload::Payload;
use crate::subject::Role;

/// The name of this level in tables and filters.
pub const HTTP: &str = "http";

/// A web application with sessions, or without any.
///
/// `GET /start` makes a session that holds a [`Payload`]; `/read` answers with its [`COUNTER`](crate::COUNTER);
/// `/count` adds one to that and answers with it.
pub struct Site {
    /// Its name in tables.
    pub name: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// Where its sessions are, in the words of [`Site::tier`]s that are compared.
    pub tier: Tier,
    /// Starts it.
    pub open: OpenSite,
}

/// Starts an application and says where it listens.
pub type OpenSite = Box<dyn Fn(SiteGround) -> BoxFuture<'static, SocketAddr> + Send + Sync>;

/// Where the sessions of a [`Site`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// There are none.
    None,
    /// In the process.
    Memory,
    /// On Redis.
    Redis,
    /// In PostgreSQL.
    Postgres,
    /// In the cookie itself.
    Cookie,
}

/// What sites stand on.
#[derive(Clone, Debug)]
pub struct SiteGround {
    /// A Redis.
    pub redis: String,
    /// A PostgreSQL.
    pub postgres: String,
    /// What a new session holds.
    pub payload: Payload,
}

impl Site {
    /// A site that `open` starts.
    pub fn new<F>(
        name: &'static str,
        role: Role,
        tier: Tier,
        open: impl Fn(SiteGround) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = SocketAddr> + Send + 'static,
    {
        Self {
            name,
            role,
            tier,
            open: Box::new(move |ground| Box::pin(open(ground))),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("name", &self.name)
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

/// What was measured of one site.
#[derive(Clone, Debug, Serialize)]
pub struct SiteRow {
    /// What its requests did: `read` or `count`.
    pub route: &'static str,
    /// The site.
    pub site: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// Where its sessions are.
    pub tier: Tier,
    /// Requests a second: the median of the rounds.
    pub rate: f64,
    /// Seconds that half of the requests took at most.
    pub p50: f64,
    /// Seconds that 99 of 100 requests took at most.
    pub p99: f64,
}

/// What requests do.
const ROUTES: [&str; 2] = ["read", "count"];
/// How many requests are under way at once, each on a connection of its own.
const CONNECTIONS: usize = 32;

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpLength {
    /// Sessions, which requests use in turn.
    pub(crate) sessions: usize,
    /// Rounds, in each of which every site has one turn.
    pub(crate) rounds: usize,
    /// How long a turn is, in whole seconds.
    pub(crate) turn: Duration,
}

impl HttpLength {
    pub(crate) const WHOLE: Self = Self {
        sessions: 1_000,
        rounds: 5,
        turn: Duration::from_secs(1),
    };
    pub(crate) const QUICK: Self = Self {
        sessions: 200,
        rounds: 1,
        turn: Duration::from_secs(1),
    };
}

/// Measures what `filter` chooses.
pub(crate) async fn measure(
    sites: &[Site],
    filter: &Filter,
    length: HttpLength,
    seed: u64,
) -> Vec<SiteRow> {
    let routes: Vec<&str> = ROUTES
        .into_iter()
        .filter(|route| filter.chooses(&[HTTP, route]))
        .collect();
    if routes.is_empty() {
        return Vec::new();
    }
    let (redis, postgres) = (
        Service::Redis.start().await,
        Service::Postgres.start().await,
    );
    let ground = SiteGround {
        redis: redis.url(),
        postgres: postgres.url(),
        payload: Payload::of(200),
    };
    eprintln!("{HTTP}: filling");
    let mut open = Vec::new();
    for site in sites {
        let address = (site.open)(ground.clone()).await;
        let cookies = cookies(site, address, length.sessions).await;
        open.push((site, Load::new(address, &cookies)));
    }
    let mut rows = Vec::new();
    for route in routes {
        rows.extend(compare(&open, route, length, seed).await);
    }
    rows
}

/// Makes sessions as browsers would. A site without any is sent cookies all the same.
async fn cookies(site: &Site, address: SocketAddr, sessions: usize) -> Vec<String> {
    if site.tier == Tier::None {
        return vec!["__Host-id=Zm9yIGEgc2l0ZSB0aGF0IGRvZXMgbm90IHJlYWQgaXQ".to_owned(); sessions];
    }
    let mut client = Client::connect(address).await;
    let mut cookies = Vec::with_capacity(sessions);
    for _ in 0..sessions {
        cookies.push(client.start().await);
    }
    cookies
}

/// One route of all sites, in rounds.
async fn compare(
    sites: &[(&Site, Load)],
    route: &'static str,
    length: HttpLength,
    seed: u64,
) -> Vec<SiteRow> {
    let mut seen: Vec<Vec<Loaded>> = vec![Vec::new(); sites.len()];
    for round in 0..length.rounds {
        let mut order: Vec<usize> = (0..sites.len()).collect();
        Numbers::from_seed(seed.wrapping_add(round as u64)).shuffle(&mut order);
        for at in order {
            let (site, load) = &sites[at];
            eprintln!("{HTTP}/{route}, round {}: {}", round + 1, site.name);
            seen[at].push(load.run(route, CONNECTIONS, length.turn).await);
        }
    }
    let rows = sites.iter().zip(seen).map(|((site, _), seen)| {
        let of = |figure: fn(&Loaded) -> f64| {
            let figures: Vec<f64> = seen.iter().map(figure).collect();
            median(&figures).unwrap_or_default()
        };
        SiteRow {
            route,
            site: site.name,
            role: site.role,
            tier: site.tier,
            rate: of(|loaded| loaded.rate),
            p50: of(|loaded| loaded.p50),
            p99: of(|loaded| loaded.p99),
        }
    });
    rows.collect()
}

/// Calls every route of every site, to see that it works.
///
/// # Panics
///
/// When a site does not answer as it should: its counter counts up from what it read.
pub async fn try_out(sites: &[Site], ground: &SiteGround) {
    for site in sites.iter().filter(|site| site.tier != Tier::None) {
        let mut client = Client::connect((site.open)(ground.clone()).await).await;
        let cookie = client.start().await;
        let before: u64 = client.get("/read", &cookie).await.parse().unwrap();
        let counted: u64 = client.get("/count", &cookie).await.parse().unwrap();
        let after: u64 = client.get("/read", &cookie).await.parse().unwrap();
        assert_eq!((counted, after), (before + 1, before + 1), "{}", site.name);
    }
}
