//! Servers in containers.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt, TestcontainersError};

use crate::process::until;
use crate::watchdog::Watchdog;

/// Which image a server runs from: the one that a variable names, which is fetched if need be; else the
/// first of some that the engine already has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    pub(crate) variable: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) port: u16,
    /// What it prints once it is ready, in this order.
    pub(crate) ready: &'static [Ready],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Instead of the image's own.
    pub(crate) entry_point: Option<&'static str>,
    pub(crate) command: &'static [&'static str],
}

/// A line that says that a server is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    /// On its output.
    Output(&'static str),
    /// On its errors.
    Errors(&'static str),
}

/// A running container. It is removed when it is dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct Container {
    image: String,
    authority: String,
    address: SocketAddr,
    _watchdog: Watchdog,
}

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(120);

/// How long all of it may take: to fetch the image, to make the container, to start the server.
const LIMIT: Duration = Duration::from_secs(300);

/// No run of tests takes as long: a container that is older was left behind.
const OVERDUE: Duration = Duration::from_secs(24 * 60 * 60);

impl Container {
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// Where the other containers of its network reach it; on Linux this machine does, too.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host and port at which every engine makes it reachable.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Image {
    /// Starts a container, if an engine has the image or one is named.
    pub(crate) fn start(&self) -> Result<Option<Container>, String> {
        let named = env::var(self.variable).ok().filter(|name| !name.is_empty());
        let Some(image) = named.or_else(|| first_there(self.names)) else {
            return Ok(None);
        };
        // A client is bound to the runtime it was made in, and a test's ends with the test.
        let this = *self;
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?
                .block_on(async {
                    let started = tokio::time::timeout(LIMIT, this.start_from(&image)).await;
                    let late = || format!("not ready after {} s", LIMIT.as_secs());
                    started
                        .unwrap_or_else(|_| Err(late()))
                        .map_err(|why| format!("{image}: {why}"))
                })
        })
        .join()
        .map_err(|_| "starting a container panicked".to_owned())?
        .map(Some)
    }

    async fn start_from(self, image: &str) -> Result<Container, String> {
        let name = format!("session-test-{:016x}", RandomState::new().hash_one(image));
        let watchdog = Watchdog::over(&name)?;
        let told = |error: TestcontainersError| error.to_string();
        let container = self.request(image, &name).start().await.map_err(told)?;
        let host = container.get_host().await.map_err(told)?.to_string();
        let port = container
            .get_host_port_ipv4(self.port)
            .await
            .map_err(told)?;
        // The name may stand for an address of IPv6, too, where this port is another container's.
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            &host
        };
        let authority = format!("{host}:{port}");
        let address = address_of(&name)?;
        // Its own drop needs the runtime, which is gone by then.
        std::mem::forget(container);
        Ok(Container {
            image: image.to_owned(),
            authority,
            address: (address, self.port).into(),
            _watchdog: watchdog,
        })
    }

    fn request(self, image: &str, name: &str) -> ContainerRequest<GenericImage> {
        let (repository, tag) = image
            .rsplit_once(':')
            // What stands before a slash is a port.
            .filter(|(_, tag)| !tag.contains('/'))
            .unwrap_or((image, "latest"));
        let mut generic = GenericImage::new(repository, tag).with_exposed_port(self.port.tcp());
        if let Some(program) = self.entry_point {
            generic = generic.with_entrypoint(program);
        }
        for ready in self.ready {
            generic = generic.with_wait_for(match ready {
                Ready::Output(line) => WaitFor::message_on_stdout(*line),
                Ready::Errors(line) => WaitFor::message_on_stderr(*line),
            });
        }
        let mut request = generic
            .with_startup_timeout(START)
            .with_container_name(name)
            .with_label("session-test.process", std::process::id().to_string())
            .with_label("session-test.until", overdue_at().to_string());
        for (name, value) in self.environment {
            request = request.with_env_var(*name, *value);
        }
        if !self.command.is_empty() {
            request = request.with_cmd(self.command.iter().copied());
        }
        request
    }
}

/// What a container's network calls it.
fn address_of(name: &str) -> Result<IpAddr, String> {
    const ADDRESS: &str = "{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}";
    let asked = Command::new("docker")
        .args(["container", "inspect", "--format", ADDRESS, name])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("docker: {error}"))?;
    let addresses = String::from_utf8_lossy(&asked.stdout);
    let mut addresses = addresses.lines().flat_map(str::parse);
    addresses
        .next()
        .ok_or_else(|| format!("{name} has no address"))
}

/// When a container that is made now is overdue, in seconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "it is compared with the machine's own clock"
)]
fn overdue_at() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (now.unwrap_or_default() + OVERDUE).as_secs()
}

/// The first of these images that an engine has, if one answers.
fn first_there(names: &[&str]) -> Option<String> {
    let mut asked = Command::new("docker")
        .args(["image", "inspect", "--format", "{{json .RepoTags}}"])
        .args(names)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    if !until(|| !matches!(asked.try_wait(), Ok(None))) {
        let _ = asked.kill();
    }
    // It fails if any of them is missing, and tells of the others.
    let tags = String::from_utf8(asked.wait_with_output().ok()?.stdout).ok()?;
    let is_there = |name: &&&str| tags.contains(&format!("\"{name}\""));
    names.iter().find(is_there).map(|&name| name.to_owned())
}
