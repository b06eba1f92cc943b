//! Sentinels, who know which server is the master.

use redis::{FromRedisValue, Value};
use session_core::StoreError;

use crate::address::Address;
use crate::connection::{Connection, Connector};
use crate::failure::{config, unavailable};

/// The sentinels that watch over one master.
#[derive(Debug)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    /// What they call the master.
    name: Box<str>,
    connector: Connector,
}

impl Sentinels {
    pub(crate) fn new(addresses: Vec<Address>, name: Box<str>, connector: Connector) -> Self {
        Self {
            addresses,
            name,
            connector,
        }
    }

    /// Where the first sentinel that answers says the master is.
    pub(crate) async fn master(&self) -> Result<Address, StoreError> {
        let mut last = config().because("no sentinel is named");
        for address in &self.addresses {
            let asked = async {
                let sentinel = self.connector.open(address).await?;
                self.ask(&sentinel).await
            };
            // One that hangs must leave time for the others.
            match tokio::time::timeout(self.connector.limit, asked).await {
                Ok(Ok(master)) => return Ok(master),
                Ok(Err(error)) => last = error,
                Err(_) => last = unavailable().because("a sentinel did not answer in time"),
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &Connection) -> Result<Address, StoreError> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&*self.name);
        let answer = sentinel.ask(&question).await;
        let answer = answer.map_err(|error| unavailable().because(error))?;
        if answer == Value::Nil {
            return Err(config().because("no master of this name is known to the sentinels"));
        }
        let (host, port) = <(String, u16)>::from_redis_value(answer)
            .map_err(|error| unavailable().because(error))?;
        Ok(Address {
            host: host.into(),
            port,
        })
    }
}
