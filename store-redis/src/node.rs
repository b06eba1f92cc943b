//! A server, and the connection to it.

use std::sync::Arc;

use parking_lot::Mutex;
use session_core::StoreError;

use crate::address::Address;
use crate::connection::{Connection, Connector};
use crate::sentinel::Sentinels;

/// A server that is connected to when it is first needed, and again when the connection is gone.
#[derive(Debug)]
pub(crate) struct Node {
    place: Place,
    current: Mutex<Option<Arc<Connection>>>,
    /// Whoever connects does it for all.
    connecting: tokio::sync::Mutex<()>,
}

/// Where a server is.
#[derive(Debug)]
pub(crate) enum Place {
    At(Address),
    /// Where the sentinels say, asked anew for each connection.
    Master(Sentinels),
}

impl Node {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// The open connection, or a new one.
    pub(crate) async fn connection(
        &self,
        connector: &Connector,
    ) -> Result<Arc<Connection>, StoreError> {
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        let connection = connector.connect(&self.address().await?).await?;
        let connection = Arc::new(connection);
        *self.current.lock() = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Where it is now.
    pub(crate) async fn address(&self) -> Result<Address, StoreError> {
        match &self.place {
            Place::At(address) => Ok(address.clone()),
            Place::Master(sentinels) => sentinels.master().await,
        }
    }

    /// The open connection.
    pub(crate) fn open(&self) -> Option<Arc<Connection>> {
        self.current
            .lock()
            .as_ref()
            .filter(|connection| connection.is_open())
            .map(Arc::clone)
    }
}
