//! Sending commands to the server that they are for, within the time that a call may take.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use session_core::{Applied, Deadline, StoreError};
use tokio::time::sleep;

use crate::address::Address;
use crate::cluster::Cluster;
use crate::command::{Command, Form};
use crate::connection::{Connection, Connector};
use crate::failure::{Elsewhere, Failure, config, of_answer, of_connecting, unavailable};
use crate::greeting::Greeting;
use crate::layout::{Layout, Master};
use crate::node::Node;

/// The servers of a store.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connector: Connector,
    pub(crate) servers: Servers,
    /// How long a call may take.
    pub(crate) limit: Duration,
}

#[derive(Debug)]
pub(crate) enum Servers {
    One(Arc<Node>),
    Cluster(Cluster),
}

impl Servers {
    /// Whether a command may concern sessions of several shards.
    pub(crate) const fn are_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// What the scripts are told of them.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::One(_) => "one",
            Self::Cluster(_) => "cluster",
        }
    }
}

/// How often a call may be sent on before it is given up.
const REDIRECTIONS: usize = 16;
/// How long a call waits for a slot that is between two nodes.
const PAUSE: Duration = Duration::from_millis(20);

impl Client {
    /// When a call that begins now must be over.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.limit)
    }

    /// Sends a command, follows redirections, and waits for the answer.
    ///
    /// Nothing is sent again that a server may have carried out.
    pub(crate) async fn run(
        &self,
        command: &mut Command,
        by: Deadline,
    ) -> Result<Value, StoreError> {
        let mut form = Form::default();
        let mut node = self.node_by(by, command.slot()).await?;
        let mut asked_again = false;
        for _ in 0..REDIRECTIONS {
            let connection = match self.connection_by(by, &node).await {
                Ok(connection) => connection,
                Err(error) => {
                    let instead = Box::pin(self.instead_of(&node, command.slot()));
                    node = by.within(instead).await.flatten().ok_or(error)?;
                    continue;
                }
            };
            let error = match connection.send(command, form, by).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                // It waited, and the connection was given up before its turn came.
                Err(error)
                    if error.applied() == Applied::No
                        && !connection.is_open()
                        && !by.has_passed() =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let was_asking = std::mem::take(&mut form.asking);
            let failure = of_answer(error, command.writes());
            if failure.is_about_a_slot() {
                // One key is somewhere. Two may be at two nodes.
                command.make_whole();
            }
            match failure {
                Failure::NoScript => {
                    form.with_text = true;
                    form.asking = was_asking;
                }
                Failure::Moved(there) => {
                    let (cluster, address) = self.elsewhere(&there, &connection)?;
                    node = cluster.moved(command.slot(), address);
                }
                Failure::Ask(there) => {
                    let (cluster, address) = self.elsewhere(&there, &connection)?;
                    node = cluster.node_at(address);
                    form.asking = true;
                }
                Failure::TryAgain => {
                    by.within(sleep(PAUSE)).await.ok_or_else(overdue)?;
                    node = self.node_by(by, command.slot()).await?;
                }
                Failure::Demoted(error) => {
                    connection.retire();
                    return Err(error);
                }
                Failure::Broken(error) => {
                    connection.retire();
                    if command.writes() || std::mem::replace(&mut asked_again, true) {
                        return Err(error);
                    }
                }
                Failure::Final(error) => return Err(error),
            }
        }
        Err(unavailable().because("sent on and on between nodes"))
    }

    /// The node that serves a slot. What is rarely waited for is boxed, here and below: a future that holds
    /// all of it would be copied at every call.
    async fn node_by(&self, by: Deadline, slot: u16) -> Result<Arc<Node>, StoreError> {
        match self.known_node_for(slot) {
            Some(node) => Ok(node),
            None => in_time(by, Box::pin(self.node_for(slot))).await,
        }
    }

    async fn connection_by(
        &self,
        by: Deadline,
        node: &Node,
    ) -> Result<Arc<Connection>, StoreError> {
        match node.open() {
            Some(connection) => Ok(connection),
            None => in_time(by, Box::pin(node.connection(&self.connector))).await,
        }
    }

    /// Whether the server of a slot is nearly full.
    pub(crate) async fn is_crowded(&self, slot: u16, by: Deadline) -> Result<bool, StoreError> {
        if let Some(is_crowded) = self
            .known_node_for(slot)
            .and_then(|node| node.open()?.was_crowded())
        {
            return Ok(is_crowded);
        }
        let asked = async {
            let connection = self.connection_for(slot).await?;
            connection.is_crowded().await.map_err(of_connecting)
        };
        in_time(by, Box::pin(asked)).await
    }

    /// A connection to the server of a slot.
    pub(crate) async fn connection_for(&self, slot: u16) -> Result<Arc<Connection>, StoreError> {
        let node = self.node_for(slot).await?;
        match node.connection(&self.connector).await {
            Ok(connection) => Ok(connection),
            Err(error) => {
                let node = self.instead_of(&node, slot).await.ok_or(error)?;
                node.connection(&self.connector).await
            }
        }
    }

    /// All servers that have sessions.
    pub(crate) async fn masters(&self) -> Result<Vec<Arc<Node>>, StoreError> {
        match &self.servers {
            Servers::One(node) => Ok(vec![Arc::clone(node)]),
            Servers::Cluster(cluster) => cluster.masters(&self.connector).await,
        }
    }

    /// Who serves what, asked anew.
    pub(crate) async fn layout(&self) -> Result<Layout, StoreError> {
        match &self.servers {
            Servers::One(node) => Ok(Layout::of_one(node.address().await?)),
            Servers::Cluster(cluster) => cluster.layout(&self.connector).await,
        }
    }

    /// The connection to a master.
    pub(crate) async fn connection_to(
        &self,
        master: &Master,
    ) -> Result<Arc<Connection>, StoreError> {
        let node = match &self.servers {
            Servers::One(node) => Arc::clone(node),
            Servers::Cluster(cluster) => cluster.node_at(master.address.clone()),
        };
        node.connection(&self.connector).await
    }

    /// Who serves what, as a master itself says.
    pub(crate) async fn layout_at(&self, master: &Connection) -> Result<Layout, StoreError> {
        if let Servers::Cluster(_) = &self.servers {
            return Layout::known_to(master).await;
        }
        let info = master.info(Some("replication")).await;
        let info = info.map_err(|error| unavailable().because(error))?;
        Greeting::new(&info).check_role()?;
        Ok(Layout::of_one(master.address().clone()))
    }

    fn known_node_for(&self, slot: u16) -> Option<Arc<Node>> {
        match &self.servers {
            Servers::One(node) => Some(Arc::clone(node)),
            Servers::Cluster(cluster) => cluster.known_master_of(slot),
        }
    }

    async fn node_for(&self, slot: u16) -> Result<Arc<Node>, StoreError> {
        match &self.servers {
            Servers::One(node) => Ok(Arc::clone(node)),
            Servers::Cluster(cluster) => cluster.master_of(slot, &self.connector).await,
        }
    }

    async fn instead_of(&self, node: &Arc<Node>, slot: u16) -> Option<Arc<Node>> {
        match &self.servers {
            Servers::One(_) => None,
            Servers::Cluster(cluster) => {
                cluster.master_instead_of(node, slot, &self.connector).await
            }
        }
    }

    fn elsewhere(
        &self,
        there: &Elsewhere,
        here: &Connection,
    ) -> Result<(&Cluster, Address), StoreError> {
        match (&self.servers, there.seen_from(here.address())) {
            (Servers::Cluster(cluster), Some(address)) => Ok((cluster, address)),
            (Servers::Cluster(_), None) => {
                Err(unavailable().because("a node names another that has no address"))
            }
            (Servers::One(_), _) => Err(config().because("the server is a node of a cluster")),
        }
    }
}

/// What is done before anything is sent.
async fn in_time<T>(
    by: Deadline,
    preparing: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    by.within(preparing).await.unwrap_or_else(|| Err(overdue()))
}

fn overdue() -> StoreError {
    unavailable().because("no answer in time")
}
