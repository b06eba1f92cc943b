//! Which store a URL names. A new backend is one more arm here.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Draining, SessionStore, SharedStore, StoreError};
use store_memory::{Cached, CachedUsage, MemoryStore};
use store_postgres::PostgresStore;
use store_redis::RedisStore;

use crate::cluster::Node;
use crate::config::Config;

/// A move from one store to another.
pub(crate) type Move = Draining<SharedStore, SharedStore>;

/// A store, opened.
pub(crate) struct Opened {
    pub(crate) store: SharedStore,
    /// That it is two, of which one is drained into the other.
    pub(crate) draining: Option<Move>,
    /// How many sessions it holds, where that costs nothing to know.
    pub(crate) count: Option<Box<dyn Fn() -> usize + Send + Sync>>,
    /// What the cache in front of it has done, if there is one.
    pub(crate) cache: Option<CacheUsage>,
    /// The node of a cluster that it is, if it is one.
    pub(crate) node: Option<Node>,
}

/// Tells what a cache has done, and what it holds.
pub(crate) type CacheUsage = Arc<dyn Fn() -> CachedUsage + Send + Sync>;

impl Opened {
    /// Puts a cache in front of it, which misses no end for longer than `bound`, and holds no copy for longer
    /// than `age`.
    pub(crate) fn behind_cache(
        self,
        bound: Duration,
        age: Option<Duration>,
    ) -> Result<Self, String> {
        let cache = Cached::builder(self.store, bound).max_age(age.unwrap_or(bound));
        let cache = cache.start().map_err(|error| told(&error))?;
        let used = cache.clone();
        Ok(Self {
            store: Arc::new(cache),
            cache: Some(Arc::new(move || used.usage())),
            ..self
        })
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.store).finish()
    }
}

/// Opens the store that `config` names, and the one to drain if there is one.
///
/// # Errors
///
/// As [`open`].
pub(crate) async fn open_all(config: &Config) -> Result<Opened, String> {
    let name = config.node.as_deref();
    let opened = open(&config.store, name).await?;
    let other = match config.drain_from.as_ref().or(config.drain_to.as_ref()) {
        Some(url) => open(url, name).await?,
        None => return Ok(opened),
    };
    if opened.node.is_some() && other.node.is_some() {
        return Err("this program is a node of one cluster, not of two".to_owned());
    }
    let (new, old) = if config.drain_from.is_some() {
        (opened, other)
    } else {
        (other, opened)
    };
    let draining = Draining::new(new.store, old.store).map_err(|error| told(&error))?;
    if config.drain_from.is_some() {
        draining.switch();
    }
    Ok(Opened {
        store: Arc::new(draining.clone()),
        draining: Some(draining),
        count: None,
        cache: None,
        node: new.node.or(old.node),
    })
}

/// Opens the store that `url` names. `name` is what this server calls itself, if it was given a name.
///
/// # Errors
///
/// Says what is wrong with the URL, or with the server that it names, for whoever typed it.
pub(crate) async fn open(url: &str, name: Option<&str>) -> Result<Opened, String> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        "memory" => memory(rest),
        "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel"
        | "rediss-sentinel" => shared(RedisStore::connect(url).await),
        "postgres" | "postgresql" => shared(postgres(url).await),
        "cluster" => Ok(cluster(Node::start(url, name).await?)),
        other => Err(format!(
            "there is no store {other:?}; there are memory:, memory:?max=50, redis://host, \
             redis-cluster://a,b,c, redis-sentinel://a,b,c/name, rediss://host, postgres://host/database and \
             cluster://NAME@address:port?seeds=address:port"
        )),
    }
}

/// `memory:`, `memory:?max=50`.
fn memory(rest: &str) -> Result<Opened, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(format!("memory: takes no {path:?}, only ?max=50"));
    }
    let mut builder = MemoryStore::builder();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        builder = match name.as_ref() {
            "max" => builder.max_sessions(number(&name, &value)?),
            other => return Err(format!("memory: has no option {other:?}; it has max")),
        };
    }
    let store = builder.build();
    let counted = store.clone();
    Ok(Opened {
        store: Arc::new(store),
        draining: None,
        count: Some(Box::new(move || counted.usage().sessions)),
        cache: None,
        node: None,
    })
}

fn cluster(node: Node) -> Opened {
    let counted = node.store.clone();
    Opened {
        store: Arc::new(node.store.clone()),
        draining: None,
        count: Some(Box::new(move || counted.usage().sessions)),
        cache: None,
        node: Some(node),
    }
}

/// Makes the tables if they are not there.
async fn postgres(url: &str) -> Result<PostgresStore, StoreError> {
    let builder = PostgresStore::builder(url);
    builder.migrate().await?;
    builder.connect().await
}

fn shared(store: Result<impl SessionStore, StoreError>) -> Result<Opened, String> {
    Ok(Opened {
        store: Arc::new(store.map_err(|error| told(&error))?),
        draining: None,
        count: None,
        cache: None,
        node: None,
    })
}

/// An error with all its reasons.
pub(crate) fn told(error: &StoreError) -> String {
    let mut told = error.to_string();
    let mut reason = error.source();
    while let Some(because) = reason {
        told = format!("{told}: {because}");
        reason = because.source();
    }
    told
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(0) | Err(_) => Err(format!("{name}={value}: that is no number above 0")),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(url: &str, word: &str) {
        let error = open(url, None).await.unwrap_err();
        assert!(error.contains(word), "{url}: {error}");
    }

    #[tokio::test]
    async fn memory_opens_with_and_without_a_bound() {
        assert!(open("memory:", None).await.is_ok());
        assert!(open("memory:?max=50", None).await.is_ok());
    }

    #[tokio::test]
    async fn a_cache_stands_in_front_of_any_store() {
        let opened = open("memory:", None).await.unwrap();
        let cached = opened.behind_cache(Duration::from_secs(1), None).unwrap();
        assert!(cached.cache.is_some_and(|usage| usage().hits == 0));
    }

    #[tokio::test]
    async fn a_node_that_cannot_listen_says_so() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        refused(&format!("cluster://shop@{address}?plaintext"), "in use").await;
        refused("cluster://sh_op!@127.0.0.1:0?plaintext", "DNS host").await;
    }

    #[tokio::test]
    async fn what_it_does_not_know_it_refuses_by_name() {
        refused("memory:?max=0", "max=0").await;
        refused("memory:?max=many", "many").await;
        refused("memory:?size=5", "size").await;
        refused("memory:fast", "fast").await;
        refused("carrier-pigeon:", "carrier-pigeon").await;
        refused("cluster:", "NAME").await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_said_so_and_its_password_is_not() {
        for url in [
            "redis://:hunter2@127.0.0.1:1/",
            "postgres://me:hunter2@127.0.0.1:1/app",
        ] {
            let error = open(url, None).await.unwrap_err();
            assert!(error.contains("out of reach"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
