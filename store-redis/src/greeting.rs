//! What a server says of itself, and whether a store may work with it.

use session_core::StoreError;

use crate::failure::{config, unavailable};

/// The answer to `INFO`.
#[derive(Debug)]
pub(crate) struct Greeting<'a>(&'a str);

/// What is asked of a server before it is used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The evicting policies that were allowed by name.
    pub(crate) evictions: Vec<Box<str>>,
    pub(crate) cluster: bool,
}

/// The oldest version that has all commands: `SET … PXAT`, `ZRANDMEMBER`.
const OLDEST: (u32, u32) = (6, 2);

impl<'a> Greeting<'a> {
    pub(crate) fn new(info: &'a str) -> Self {
        Self(info)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Whether more than four fifths of the memory that it may take are used.
    pub(crate) fn is_crowded(&self) -> bool {
        let used = self.number("used_memory").unwrap_or(0);
        match self.number("maxmemory") {
            None | Some(0) => false,
            Some(max) => used > max - max / 5,
        }
    }

    /// Refuses a server that sessions cannot be trusted to.
    pub(crate) fn check(&self, terms: &Terms) -> Result<(), StoreError> {
        let version = self.get("redis_version").unwrap_or_default();
        let mut numbers = version.split('.').map_while(|number| number.parse().ok());
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
            return Err(config().because(format!("version {version} is older than 6.2")));
        }
        let is_cluster = self.number("cluster_enabled") == Some(1);
        if is_cluster != terms.cluster {
            let why = if is_cluster {
                "the server is a node of a cluster: its URL begins with redis-cluster://"
            } else {
                "the server is not a node of a cluster"
            };
            return Err(config().because(why));
        }
        let policy = self.get("maxmemory_policy").unwrap_or("unknown");
        if policy != "noeviction" && !terms.evictions.iter().any(|allowed| **allowed == *policy) {
            return Err(config().because(format!(
                "maxmemory-policy is {policy}: sessions would be dropped silently"
            )));
        }
        self.check_role()
    }

    /// Refuses a server that takes no writes of its own.
    pub(crate) fn check_role(&self) -> Result<(), StoreError> {
        match self.get("role") {
            Some("master") => Ok(()),
            _ => Err(unavailable().because("the server is a replica")),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    fn check(line: &str, terms: &Terms) -> Option<ErrorKind> {
        let name = line.split(':').next().unwrap_or_default();
        let info = [
            "redis_version:7.2.4",
            "role:master",
            "cluster_enabled:0",
            "maxmemory_policy:noeviction",
        ]
        .map(|usual| if usual.starts_with(name) { line } else { usual })
        .join("\r\n");
        Greeting::new(&info)
            .check(terms)
            .err()
            .map(|error| error.kind())
    }

    #[test]
    fn a_server_that_would_drop_sessions_is_refused_unless_its_policy_is_allowed_by_name() {
        let allowed = Terms {
            evictions: vec!["volatile-lru".into()],
            cluster: false,
        };
        let none = Terms::default();
        assert_eq!(check("maxmemory_policy:noeviction", &none), None);
        let lru = "maxmemory_policy:volatile-lru";
        assert_eq!(check(lru, &none), Some(ErrorKind::Config));
        assert_eq!(check(lru, &allowed), None);
        let other = check("maxmemory_policy:allkeys-lru", &allowed);
        assert_eq!(other, Some(ErrorKind::Config));
    }

    #[test]
    fn servers_that_are_too_old_or_of_the_wrong_kind_are_refused() {
        let terms = Terms::default();
        assert_eq!(check("redis_version:6.2.0", &terms), None);
        assert_eq!(check("redis_version:8.0.1", &terms), None);
        let config = Some(ErrorKind::Config);
        assert_eq!(check("redis_version:6.0.16", &terms), config);
        assert_eq!(check("cluster_enabled:1", &terms), config);
        assert_eq!(check("role:slave", &terms), Some(ErrorKind::Unavailable));
    }

    #[test]
    fn memory_is_crowded_beyond_four_fifths_of_its_bound() {
        let crowded = |used: u64, max: u64| {
            Greeting::new(&format!("used_memory:{used}\r\nmaxmemory:{max}\r\n")).is_crowded()
        };
        assert!(!crowded(80, 100));
        assert!(crowded(81, 100));
        assert!(!crowded(1_000_000, 0));
    }
}
