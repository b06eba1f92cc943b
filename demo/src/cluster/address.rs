//! What a `cluster://` URL says.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use store_cluster::{Credentials, WriteAck};
use url::{Host, Url};

use super::certificates::Certificates;

/// How such a URL is written, for whoever wrote it otherwise.
const FORM: &str = "cluster://NAME@127.0.0.1:7001?seeds=127.0.0.1:7002,127.0.0.1:7003";

/// A node of a cluster, as a URL describes it.
#[derive(Debug, PartialEq)]
pub(super) struct Address {
    pub(super) cluster: String,
    pub(super) listen: SocketAddr,
    pub(super) seeds: Vec<String>,
    pub(super) node: Option<String>,
    pub(super) security: Security,
    pub(super) ack: WriteAck,
    /// How long a call may take.
    pub(super) limit: Option<Duration>,
    /// How long it looks for others before it takes the cluster for empty.
    pub(super) wait: Option<Duration>,
}

/// How nodes prove to each other that they belong to the cluster.
#[derive(Debug, PartialEq)]
pub(super) enum Security {
    /// By certificates, in this directory or in the default one.
    Tls(Option<PathBuf>),
    /// Not at all.
    Plaintext,
}

impl Address {
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}: it is to be {FORM}"))?;
        if url.username().is_empty() || url.password().is_some() {
            return Err(format!("there is no NAME of a cluster in it: {FORM}"));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(format!("cluster: takes no path {:?}", url.path()));
        }
        let listen = SocketAddr::new(ip(&url)?, url.port().ok_or_else(no_port)?);
        let mut address = Self {
            cluster: url.username().to_owned(),
            listen,
            seeds: Vec::new(),
            node: None,
            security: Security::Tls(None),
            ack: WriteAck::ONE,
            limit: None,
            wait: None,
        };
        let (mut certs, mut is_plaintext) = (None, false);
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("seeds", seeds) => address.seeds.extend(list(seeds)),
                ("node", node) => address.node = Some(node.to_owned()),
                ("certs", dir) => certs = Some(PathBuf::from(dir)),
                ("plaintext", "") => is_plaintext = true,
                ("plaintext", _) => return Err("plaintext takes no value".to_owned()),
                ("ack", ack) => address.ack = acknowledgement(ack)?,
                ("limit", limit) => address.limit = Some(duration("limit", limit)?),
                ("wait", wait) => address.wait = Some(duration("wait", wait)?),
                (other, _) => {
                    return Err(format!(
                        "cluster: has no option {other:?}; it has seeds, node, certs, plaintext, ack, \
                         limit and wait"
                    ));
                }
            }
        }
        address.security = match (certs, is_plaintext) {
            (Some(_), true) => {
                return Err("plaintext uses no certs: leave out one of the two".to_owned());
            }
            (None, true) if !listen.ip().is_loopback() => {
                return Err(format!(
                    "plaintext is for trials on one machine: whoever reaches {listen} could read and make \
                     every session"
                ));
            }
            (None, true) => Security::Plaintext,
            (certs, false) => Security::Tls(certs),
        };
        Ok(address)
    }

    /// The certificates in `dir`, or else in the default directory. Those are made if there are none, as long
    /// as the node is one that no other machine reaches: there, others could not have been made.
    ///
    /// # Errors
    ///
    /// Says which certificates are missing, and how to make them.
    pub(super) fn certificates(&self, dir: Option<&Path>) -> Result<Credentials, String> {
        let certificates = Certificates::new(self.cluster.clone(), dir.map(Path::to_owned));
        if dir.is_none() && self.listen.ip().is_loopback() {
            tracing::info!("{}", certificates.make()?);
        }
        certificates.credentials()
    }
}

fn ip(url: &Url) -> Result<IpAddr, String> {
    match url.host() {
        Some(Host::Ipv6(ip)) => Ok(ip.into()),
        Some(Host::Ipv4(ip)) => Ok(ip.into()),
        // The host of such a scheme is a text to the parser.
        Some(Host::Domain(host)) => host
            .parse()
            .map_err(|_| format!("{host:?} is no address at which the node could listen: {FORM}")),
        None => Err(format!("there is no address in it: {FORM}")),
    }
    .and_then(|ip: IpAddr| {
        if ip.is_unspecified() {
            return Err(format!(
                "the others cannot reach a node at {ip}: give one address of this machine"
            ));
        }
        Ok(ip)
    })
}

fn no_port() -> String {
    format!("there is no port in it: {FORM}")
}

fn list(seeds: &str) -> impl Iterator<Item = String> {
    let seeds = seeds.split(',').map(str::trim);
    seeds.filter(|seed| !seed.is_empty()).map(str::to_owned)
}

fn acknowledgement(text: &str) -> Result<WriteAck, String> {
    match text {
        "local" => Ok(WriteAck::Local),
        "one" => Ok(WriteAck::ONE),
        "all" => Ok(WriteAck::AllAlive),
        other => Err(format!("ack={other}: it is local, one or all")),
    }
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(format!("{name}={text}: that is no time such as 500ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "cluster://shop@127.0.0.1:7001";

    #[test]
    fn everything_that_can_be_said_is_understood() {
        let url = format!(
            "{SHORT}?seeds=127.0.0.1:7002,%20other:7003&node=north&certs=a/b&ack=all&limit=2s&wait=60s"
        );
        let expected = Address {
            cluster: "shop".to_owned(),
            listen: "127.0.0.1:7001".parse().unwrap(),
            seeds: vec!["127.0.0.1:7002".to_owned(), "other:7003".to_owned()],
            node: Some("north".to_owned()),
            security: Security::Tls(Some("a/b".into())),
            ack: WriteAck::AllAlive,
            limit: Some(Duration::from_secs(2)),
            wait: Some(Duration::from_secs(60)),
        };
        assert_eq!(Address::parse(&url), Ok(expected));
    }

    #[test]
    fn what_is_not_said_is_the_safe_choice() {
        let address = Address::parse(SHORT).unwrap();
        assert_eq!(address.security, Security::Tls(None));
        assert_eq!(address.ack, WriteAck::ONE);
        assert_eq!(address.seeds, [""; 0]);
        assert_eq!(address.node, None);
        assert_eq!((address.limit, address.wait), (None, None));
        let six = Address::parse("cluster://shop@[::1]:0/").unwrap();
        assert_eq!(six.listen, "[::1]:0".parse().unwrap());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = [
            ("cluster:", "NAME"),
            ("cluster://127.0.0.1:7001", "NAME"),
            ("cluster://shop@127.0.0.1", "port"),
            ("cluster://shop@localhost:7001", "\"localhost\""),
            ("cluster://shop@0.0.0.0:7001", "one address"),
            ("cluster://shop@127.0.0.1:70010", "port"),
            ("cluster://shop@127.0.0.1:7001/app", "/app"),
            ("cluster://shop@127.0.0.1:7001?seed=a:1", "\"seed\""),
            ("cluster://shop@127.0.0.1:7001?ack=most", "ack=most"),
            ("cluster://shop@127.0.0.1:7001?limit=soon", "limit=soon"),
            ("cluster://shop@127.0.0.1:7001?wait=0s", "wait=0s"),
            ("cluster://shop@127.0.0.1:7001?plaintext=no", "no value"),
            ("cluster://shop@127.0.0.1:7001?plaintext&certs=a", "certs"),
            ("cluster://shop@10.0.0.1:7001?plaintext", "10.0.0.1:7001"),
        ];
        for (url, word) in refused {
            let error = Address::parse(url).unwrap_err();
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}
