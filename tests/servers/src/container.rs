//! Servers in containers.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

use crate::process::{AtEnd, at_end};

/// Which image a server runs from: the one that a variable names, which is fetched if need be; else the
/// first of some that the engine already has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    pub(crate) variable: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) port: u16,
    /// What it prints once it is ready: on its output, then on its errors.
    pub(crate) ready: &'static [Ready],
    pub(crate) environment: &'static [(&'static str, &'static str)],
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
    _end: AtEnd,
}

/// How long an engine may take to answer, and a container to be ready.
const START: Duration = Duration::from_secs(120);

impl Container {
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// Its host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Image {
    /// Starts a container, if an engine has the image.
    pub(crate) fn start(&self) -> Result<Option<Container>, String> {
        let named = env::var(self.variable).ok().filter(|name| !name.is_empty());
        let found = self.names.iter().find(|name| is_there(name));
        let Some(image) = named.or_else(|| found.map(|&name| name.to_owned())) else {
            return Ok(None);
        };
        // A client is bound to the runtime it was made in, and a test's ends with the test.
        let this = *self;
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?
                .block_on(this.start_from(image))
        })
        .join()
        .map_err(|_| "starting a container panicked".to_owned())?
        .map(Some)
    }

    async fn start_from(self, image: String) -> Result<Container, String> {
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let mut generic = GenericImage::new(name, tag).with_exposed_port(self.port.tcp());
        for ready in self.ready {
            generic = generic.with_wait_for(match ready {
                Ready::Output(line) => WaitFor::message_on_stdout(*line),
                Ready::Errors(line) => WaitFor::message_on_stderr(*line),
            });
        }
        let mut request = generic.with_startup_timeout(START);
        for (name, value) in self.environment {
            request = request.with_env_var(*name, *value);
        }
        if !self.command.is_empty() {
            request = request.with_cmd(self.command.iter().copied());
        }
        let told = |error: testcontainers::TestcontainersError| format!("{image}: {error}");
        let container = request.start().await.map_err(told)?;
        let end = at_end("docker rm --force --volumes \"$1\"", container.id())?;
        let host = container.get_host().await.map_err(told)?;
        let port = container
            .get_host_port_ipv4(self.port)
            .await
            .map_err(told)?;
        let authority = format!("{host}:{port}");
        // Its own drop needs the runtime, which is gone by then: the shell removes it.
        std::mem::forget(container);
        Ok(Container {
            image,
            authority,
            _end: end,
        })
    }
}

/// Whether an engine runs and has this image.
fn is_there(name: &str) -> bool {
    Command::new("docker")
        .args(["image", "inspect", "--format", "there", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}
