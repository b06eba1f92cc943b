//! `cluster://`: this program is a node of a cluster, which keeps its sessions together with the others.

mod address;
mod certificates;
mod metrics;

use store_cluster::ClusterStore;

use self::address::{Address, Security};

pub use self::certificates::Certificates;
pub(crate) use self::metrics::{ClusterMetrics, reasons};

/// A node of a cluster that runs in this process. Clones are the same node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) store: ClusterStore,
    /// What the cluster calls itself.
    pub(crate) cluster: String,
    /// What the node calls itself.
    pub(crate) name: String,
}

impl Node {
    /// Starts the node that `url` describes. `name` is what it calls itself, unless the URL says otherwise;
    /// without either it goes by its address.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL, the certificates or the address, for whoever typed it.
    pub(crate) async fn start(url: &str, name: Option<&str>) -> Result<Self, String> {
        let address = Address::parse(url)?;
        let credentials = match &address.security {
            Security::Plaintext => None,
            Security::Tls(certs) => Some(address.certificates(certs.as_deref())?),
        };
        let mut builder = ClusterStore::builder(&address.cluster)
            .listen(&address.listen.to_string())
            .seeds(address.seeds.iter().map(String::as_str))
            .acknowledge(address.ack);
        let name = address.node.as_deref().or(name);
        if let Some(name) = name {
            builder = builder.node(name);
        }
        if let Some(limit) = address.limit {
            builder = builder.time_limit(limit);
        }
        if let Some(wait) = address.wait {
            builder = builder.bootstrap_wait(wait);
        }
        builder = match credentials {
            Some(credentials) => builder.credentials(credentials),
            None => builder.insecure_plaintext(),
        };
        let started = builder.start().await;
        let store = started.map_err(|error| crate::stores::told(&error))?;
        let listens_at = store.address();
        let name = name.map_or_else(|| listens_at.to_string(), str::to_owned);
        tracing::info!(cluster = address.cluster, node = name, address = %listens_at, "a node of a cluster");
        Ok(Self {
            store,
            cluster: address.cluster,
            name,
        })
    }

    /// Leaves the cluster, so that nobody waits for this node.
    pub(crate) async fn leave(self) {
        match self.store.leave().await {
            Ok(()) => tracing::info!("left the cluster: the others have all that was done here"),
            Err(error) => {
                tracing::warn!(%error, "left the cluster, and some of the others may lack what was done here last");
            }
        }
    }
}
