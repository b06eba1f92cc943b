//! A shared server, and where it comes from.

use std::env;
use std::fmt;

use crate::container::Container;

/// A server that all tests of this process share.
#[derive(Debug)]
pub struct Server {
    url: String,
    origin: Origin,
    /// Ends the server when the process ends, however it does.
    _guard: Option<Guard>,
}

/// Where a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The variable of this name.
    Variable(&'static str),
    /// A container of this image.
    Container(String),
    /// A program on this machine.
    Local,
}

/// What keeps a server running.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
pub(crate) enum Guard {
    Containers(Vec<Container>),
    Process(Box<dyn fmt::Debug + Send + Sync>),
}

/// What is to be known of a kind of server to find one.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The variable that names one.
    pub(crate) variable: &'static str,
    /// Starts it in containers, if an engine has the image or one is named.
    pub(crate) contained: fn() -> Result<Option<Contained>, String>,
    /// Starts the server's program, after installing it if need be.
    pub(crate) local: fn() -> Result<(String, Guard), String>,
}

/// A server in containers: one, or several that work together.
pub(crate) struct Contained {
    url: String,
    containers: Vec<Container>,
}

impl Contained {
    pub(crate) const fn new(url: String, containers: Vec<Container>) -> Self {
        Self { url, containers }
    }
}

impl Server {
    /// Where to connect to, as the server's own tools take it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it comes from.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Finds a server, or starts one.
    pub(crate) fn find(kind: &Kind) -> Self {
        match Self::try_find(kind) {
            Ok(server) => {
                eprintln!("{} for tests: {}", kind.name, server.origin);
                server
            }
            Err(why) => panic!(
                "no {} for tests ({why}): install it, run Docker, or set {}",
                kind.name, kind.variable
            ),
        }
    }

    fn try_find(kind: &Kind) -> Result<Self, String> {
        if let Some(url) = env::var(kind.variable).ok().filter(|url| !url.is_empty()) {
            return Ok(Self {
                url,
                origin: Origin::Variable(kind.variable),
                _guard: None,
            });
        }
        let choice = env::var("SESSION_TEST_SERVERS").unwrap_or_default();
        if !["", "docker", "local"].contains(&choice.as_str()) {
            return Err(format!(
                "SESSION_TEST_SERVERS is {choice:?}, neither docker nor local"
            ));
        }
        if choice != "local" {
            match (kind.contained)() {
                Ok(Some(Contained { url, containers })) => {
                    let image = containers.first().map(Container::image);
                    return Ok(Self {
                        url,
                        origin: Origin::Container(image.unwrap_or_default().to_owned()),
                        _guard: Some(Guard::Containers(containers)),
                    });
                }
                Ok(None) if choice == "docker" => {
                    let name = kind.name;
                    return Err(format!(
                        "no Docker engine answers that has an image of {name}; cargo xtask images makes one"
                    ));
                }
                Err(why) if choice == "docker" => return Err(why),
                Ok(None) => {}
                Err(why) => eprintln!("no container of {}: {why}", kind.name),
            }
        }
        let (url, guard) = (kind.local)().map_err(|why| match choice.as_str() {
            "local" => format!("{why}, and SESSION_TEST_SERVERS=local rules out Docker"),
            _ => why,
        })?;
        Ok(Self {
            url,
            origin: Origin::Local,
            _guard: Some(guard),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the one that {name} names"),
            Self::Container(image) => write!(f, "a container of {image}"),
            Self::Local => f.write_str("a local program, in a temporary directory"),
        }
    }
}
