//! Where a node looks for the others at first, and again whenever it is alone.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

/// How often names are looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);
/// How long a name may take.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
/// How many addresses are taken from one name.
const PER_NAME: usize = 64;

/// Addresses, and names that may stand for other addresses every time they are looked up.
#[derive(Debug, Default)]
pub(crate) struct Seeds {
    addrs: Vec<SocketAddr>,
    names: Vec<Box<str>>,
    found: Mutex<Vec<HashSet<SocketAddr>>>,
}

impl Seeds {
    /// Reads `host:port`, where the host is an address or a DNS name; `None` if one is neither.
    pub(crate) fn parse<'a>(seeds: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut parsed = Self::default();
        for seed in seeds {
            if let Ok(addr) = seed.parse() {
                parsed.addrs.push(addr);
                continue;
            }
            let (host, port) = seed.rsplit_once(':')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_name) || port.parse::<u16>().is_err() {
                return None;
            }
            parsed.names.push(seed.into());
        }
        parsed.found = Mutex::new(vec![HashSet::new(); parsed.names.len()]);
        Some(parsed)
    }

    /// Whether there are none but perhaps this address.
    pub(crate) fn are_only(&self, addr: SocketAddr) -> bool {
        self.names.is_empty() && self.addrs.iter().all(|seed| *seed == addr)
    }

    /// Whether every name was found.
    pub(crate) fn are_found(&self) -> bool {
        self.found.lock().iter().all(|found| !found.is_empty())
    }

    /// All addresses that are known now.
    pub(crate) fn addrs(&self) -> HashSet<SocketAddr> {
        let found = self.found.lock();
        found.iter().flatten().chain(&self.addrs).copied().collect()
    }

    /// Looks names up for as long as the node runs. A name that is not found keeps its former addresses.
    pub(crate) async fn keep_looking_up(&self) {
        if self.names.is_empty() {
            return;
        }
        loop {
            for (at, name) in self.names.iter().enumerate() {
                match timeout(LOOK_UP_LIMIT, tokio::net::lookup_host(&**name)).await {
                    Ok(Ok(addrs)) => {
                        if let Some(found) = self.found.lock().get_mut(at) {
                            *found = addrs.take(PER_NAME).collect();
                        }
                    }
                    Ok(Err(error)) => tracing::warn!(%name, %error, "a seed is not found"),
                    Err(_) => tracing::warn!(%name, "a seed is not found in time"),
                }
            }
            sleep(LOOK_UP_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_addresses_and_names_with_ports() {
        let seeds = Seeds::parse(["127.0.0.1:7001", "[::1]:7002", "sessions.shop.svc:7000"]);
        let seeds = seeds.unwrap();
        assert_eq!(seeds.addrs().len(), 2);
        assert_eq!(seeds.names, [Box::from("sessions.shop.svc:7000")]);
        for wrong in ["", "host", "host:", "host:99999", ":1", "a b:1", "1.2.3.4"] {
            assert!(Seeds::parse([wrong]).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_node_that_is_its_own_only_seed_has_none() {
        let (own, other) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2");
        assert!(Seeds::default().are_only(own));
        assert!(Seeds::parse(["127.0.0.1:1"]).unwrap().are_only(own));
        assert!(!Seeds::parse(["127.0.0.1:1", other]).unwrap().are_only(own));
        assert!(!Seeds::parse(["localhost:1"]).unwrap().are_only(own));
    }

    #[tokio::test]
    async fn a_name_stands_for_its_addresses() {
        let seeds = Seeds::parse(["localhost:7001"]).unwrap();
        let looked_up = async {
            while seeds.addrs().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = seeds.keep_looking_up() => {}
            found = timeout(Duration::from_secs(20), looked_up) => found.unwrap(),
        }
        assert!(
            seeds
                .addrs()
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 7001)
        );
    }
}
