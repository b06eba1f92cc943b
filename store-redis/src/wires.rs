//! The wires to one server, which calls take turns to use.

use std::io::{Error, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redis::{Cmd, RedisResult, Value};
use session_core::StoreError;

use crate::address::Address;
use crate::connection::Connector;
use crate::failure::{config, of_connecting, unavailable};
use crate::greeting::Greeting;
use crate::wire::Wire;

/// Wires to one server, one for each batch under way. When one of them breaks, all are given up: the server
/// may be another by now.
#[derive(Debug)]
pub(crate) struct Wires {
    connector: Connector,
    address: Address,
    /// Whether sessions are to be trusted to the server.
    trusts: bool,
    idle: Mutex<Vec<Wire>>,
    are_open: AtomicBool,
}

/// How many idle wires are kept: one for each flight of questions and of changes, and for one of each that
/// goes alone.
const KEPT: usize = 6;

impl Wires {
    pub(crate) fn new(connector: Connector, address: Address, trusts: bool) -> Self {
        Self {
            connector,
            address,
            trusts,
            idle: Mutex::default(),
            are_open: AtomicBool::new(true),
        }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) const fn acknowledged(&self) -> Option<(u32, u64)> {
        self.connector.acknowledged
    }

    pub(crate) fn are_open(&self) -> bool {
        self.are_open.load(Ordering::Acquire)
    }

    /// Has nothing use them any more.
    pub(crate) fn close(&self) {
        self.are_open.store(false, Ordering::Release);
        self.idle.lock().clear();
    }

    /// An idle wire, or a new one.
    pub(crate) async fn take(&self) -> Result<Wire, StoreError> {
        let idle = self.idle.lock().pop();
        if let Some(mut wire) = idle {
            if wire.is_quiet() {
                return Ok(wire);
            }
            self.close();
        }
        if !self.are_open() {
            return Err(unavailable().because("the connection was closed"));
        }
        Box::pin(self.open()).await
    }

    /// Takes back a wire on which nothing is owed.
    pub(crate) fn put_back(&self, wire: Wire) {
        let mut idle = self.idle.lock();
        if self.are_open() && idle.len() < KEPT {
            idle.push(wire);
        }
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let mut wire = self.take().await.map_err(Error::other)?;
        let packed = command.get_packed_command();
        match wire.exchange(&mut [IoSlice::new(&packed)], 1).await {
            Ok(answers) => {
                self.put_back(wire);
                answers
                    .into_iter()
                    .next()
                    .unwrap_or_default()
                    .extract_error()
            }
            Err(error) => {
                self.close();
                Err(error.into())
            }
        }
    }

    /// A new wire.
    pub(crate) async fn open(&self) -> Result<Wire, StoreError> {
        let connecting = async {
            let mut wire = Wire::new(self.connector.stream(&self.address).await?);
            self.log_in(&mut wire).await?;
            if self.trusts {
                let info = say(&mut wire, &["INFO"]).await?.map_err(of_connecting)?;
                let info = redis::from_redis_value::<String>(info);
                let info = info.map_err(|error| unavailable().because(error))?;
                Greeting::new(&info).check(&self.connector.terms)?;
            }
            Ok(wire)
        };
        self.connector.within_limit(connecting).await
    }

    async fn log_in(&self, wire: &mut Wire) -> Result<(), StoreError> {
        let refused = |error| config().because(error);
        let login = &self.connector.login;
        if let Some(password) = login.password() {
            let mut words = vec!["AUTH"];
            words.extend(login.username());
            words.push(password);
            say(wire, &words).await?.map_err(refused)?;
        }
        if login.db() != 0 {
            let database = login.db().to_string();
            say(wire, &["SELECT", &database]).await?.map_err(refused)?;
        }
        // For people who look at a server's clients. A server before 7.2, or a user without the right, may not
        // do it.
        let _ = say(wire, &["CLIENT", "SETINFO", "LIB-NAME", "store-redis"]).await?;
        Ok(())
    }
}

/// One command and its answer, on a wire that is being made.
async fn say(wire: &mut Wire, words: &[&str]) -> Result<RedisResult<Value>, StoreError> {
    let packed = redis::pack_command(
        &words
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect::<Vec<_>>(),
    );
    let answers = wire.exchange(&mut [IoSlice::new(&packed)], 1).await;
    let answers = answers.map_err(|error| unavailable().because(error))?;
    Ok(answers
        .into_iter()
        .next()
        .unwrap_or_default()
        .extract_error())
}
