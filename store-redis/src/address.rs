//! Where servers are: the URLs that a store takes.

use std::fmt;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) username: Option<Box<str>>,
    pub(crate) password: Option<Box<str>>,
    pub(crate) database: Option<u32>,
}

/// How the servers at some addresses work together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One server, or an address behind which there is one.
    Single(Address),
    /// The sentinels that know the master of this name.
    Sentinel(Vec<Address>, Box<str>),
    /// Some nodes of a cluster.
    Cluster(Vec<Address>),
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl Location {
    /// Reads a URL: `redis://`, `redis-sentinel://`, `redis-cluster://`, with `rediss` for TLS.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let (scheme, tls) = match scheme {
            "redis" | "valkey" => ("", false),
            "rediss" | "valkeys" => ("", true),
            "redis-sentinel" => ("sentinel", false),
            "rediss-sentinel" => ("sentinel", true),
            "redis-cluster" => ("cluster", false),
            "rediss-cluster" => ("cluster", true),
            _ => return Err(format!("its scheme {scheme} is unknown")),
        };
        if rest.contains(['?', '#']) {
            return Err("it has a query or a fragment, which mean nothing here".to_owned());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, "")))
        {
            Some((name, password)) => (decoded(name)?, decoded(password)?),
            None => (None, None),
        };
        let port = if scheme == "sentinel" {
            SENTINEL_PORT
        } else {
            PORT
        };
        let mut addresses = hosts
            .split(',')
            .map(|host| Address::parse(host, port))
            .collect::<Result<Vec<_>, _>>()?;
        let (topology, database) = match (scheme, path) {
            ("sentinel", path) => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                let name = decoded(name)?.ok_or("it does not name the master")?;
                (Topology::Sentinel(addresses, name), database)
            }
            ("cluster", database) => (Topology::Cluster(addresses), database),
            (_, database) => match (addresses.pop(), addresses.is_empty()) {
                (Some(address), true) => (Topology::Single(address), database),
                _ => return Err("several servers are a redis-cluster or redis-sentinel".to_owned()),
            },
        };
        let database = match database {
            "" => None,
            number => Some(number.parse().map_err(|_| "its database is no number")?),
        };
        Ok(Self {
            topology,
            tls,
            username,
            password,
            database,
        })
    }
}

/// Shows no password, not even that of a URL.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("topology", &self.topology)
            .field("tls", &self.tls)
            .field("username", &self.username)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads `host`, `host:port` or `[v6]:port`.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or("an address lacks its ]")?;
                (host, rest.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err("it lacks a host".to_owned());
        }
        let port = port.map_or(Ok(default_port), str::parse);
        Ok(Self {
            host: host.into(),
            port: port.map_err(|_| "a port is no number")?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text that a part of a URL stands for (RFC 3986, 2.1); nothing for an empty one.
fn decoded(part: &str) -> Result<Option<Box<str>>, String> {
    const WRONG: &str = "it has a % that is no code of a character";
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => {
                let code = digit().zip(digit()).ok_or(WRONG)?;
                u8::try_from(code.0 << 4 | code.1).map_err(|_| WRONG)?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
    Ok((!text.is_empty()).then(|| text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn a_url_names_a_server() {
        let location = Location::parse("rediss://app:p%40ss%2f@db.example:6400/3").unwrap();
        assert_eq!(
            location.topology,
            Topology::Single(address("db.example", 6400))
        );
        assert!(location.tls);
        assert_eq!(location.username.as_deref(), Some("app"));
        assert_eq!(location.password.as_deref(), Some("p@ss/"));
        assert_eq!(location.database, Some(3));
        let short = Location::parse("redis://[::1]").unwrap();
        assert_eq!(short.topology, Topology::Single(address("::1", 6379)));
        assert_eq!(
            Location::parse("redis://:secret@a/").unwrap().username,
            None
        );
    }

    #[test]
    fn a_url_names_a_cluster_or_sentinels() {
        let nodes = vec![address("a", 1), address("b", 6379)];
        let cluster = Location::parse("redis-cluster://a:1,b").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster(nodes));
        let sentinels = vec![address("a", 26379), address("b", 2)];
        let sentinel = Location::parse("redis-sentinel://a,b:2/main/1").unwrap();
        assert_eq!(
            sentinel.topology,
            Topology::Sentinel(sentinels, "main".into())
        );
        assert_eq!(sentinel.database, Some(1));
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        for url in [
            "localhost",
            "http://a",
            "redis://",
            "redis://a,b",
            "redis://a:x",
            "redis://a/x",
            "redis://a/0?x=1",
            "redis://%zz@a",
            "redis-sentinel://a",
            "redis://[::1",
        ] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
        let location = Location::parse("redis://app:secret@a").unwrap();
        assert!(!format!("{location:?}").contains("secret"));
    }
}
