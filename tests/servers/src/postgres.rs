//! Postgres.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::container::{Container, Image, Ready};
use crate::debian;
use crate::process::{Directory, Process, free_port, until};
use crate::server::{Contained, Guard, Kind, Server};

const KIND: Kind = Kind {
    name: "Postgres",
    variable: "SESSION_TEST_POSTGRES_URL",
    contained: || {
        let one = |container: Container| {
            let authority = container.authority();
            let url = format!("postgres://postgres:session@{authority}/postgres");
            Contained::new(url, vec![container])
        };
        Ok(IMAGE.start()?.map(one))
    },
    local: || {
        let server = PostgresServer::try_start(&["fsync=off"])?;
        Ok((server.url(), Guard::Process(Box::new(server))))
    },
};

const IMAGE: Image = Image {
    variable: "SESSION_TEST_POSTGRES_IMAGE",
    names: &[
        "session-test/postgres:latest",
        "postgres:18",
        "postgres:17",
        "postgres:16",
        "postgres:15",
        "postgres:latest",
    ],
    port: 5432,
    // It sets itself up first, which prints on its output, and then starts for real.
    ready: &[Ready::Output(READY), Ready::Errors(READY)],
    environment: &[("POSTGRES_PASSWORD", "session")],
    entry_point: None,
    command: &["postgres", "-c", "fsync=off", "-c", "max_connections=200"],
};

const READY: &str = "database system is ready to accept connections";

/// The Postgres that all tests of this process share, as its superuser. Found or started when it is
/// first asked for, which may take seconds and keeps the caller's thread.
///
/// It may be started with `fsync=off`: whoever tests what a crash leaves starts a [`PostgresServer`].
///
/// # Panics
///
/// If there is none and none can be started.
pub fn postgres() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::find(&KIND))
}

/// Makes the data if there are none, and starts the server on them.
const START: &str = r#"
initdb=$1 postgres=$2
shift 2
if ! [ -e made ]; then
    "$initdb" --pgdata=data --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync || exit
    : >made
fi
exec "$postgres" -D data "$@"
"#;

/// A Postgres of one's own on this machine, for tests that pause, kill and restart it, as its superuser.
/// Dropped, it ends and its data are removed.
#[derive(Debug)]
pub struct PostgresServer {
    process: Process,
    port: u16,
    programs: PathBuf,
}

impl PostgresServer {
    /// Starts one, with these settings (`name=value`) besides the defaults.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::try_start(settings).unwrap_or_else(|why| {
            panic!("Postgres does not start: {why}; install Debian's postgresql")
        })
    }

    fn try_start(settings: &[&str]) -> Result<Self, String> {
        let mut last = String::new();
        // Between the choice of a port and its use another process may take it.
        for _ in 0..3 {
            match Self::start_once(settings) {
                Ok(server) => return Ok(server),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn start_once(settings: &[&str]) -> Result<Self, String> {
        let initdb = debian::program("initdb", "postgresql", installed)?;
        let programs = initdb.parent().ok_or("initdb is in no folder")?.to_owned();
        // It refuses to run as root.
        let directory = Directory::new(Some("postgres"))?;
        let port = free_port()?;
        let postgres = programs.join("postgres");
        let mut command: Vec<String> = ["sh", "-c", START, "start"].map(str::to_owned).into();
        command.extend([initdb, postgres].map(|path| path.to_string_lossy().into_owned()));
        let defaults = [
            &format!("port={port}"),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
        ];
        for setting in defaults.iter().chain(settings) {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let server = Self {
            process: Process::start(directory, "QUIT", &command)?,
            port,
            programs,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where to connect to, as its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Stops it where it is (`SIGSTOP` to all its processes): connections are taken, and nothing is
    /// answered.
    pub fn pause(&mut self) {
        self.order("pause");
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.order("resume");
    }

    /// Kills it (`SIGKILL` to all its processes).
    pub fn kill(&mut self) {
        self.order("kill");
    }

    /// Starts it again on its data, after [`PostgresServer::kill`], and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        let is_up = until(|| {
            self.order("start");
            // It refuses to start while what is left of the one before goes on.
            (0..50).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                self.is_ready()
            })
        });
        assert!(
            is_up,
            "Postgres does not start again: {}",
            self.process.log()
        );
    }

    fn order(&mut self, order: &str) {
        self.process.order(order).unwrap();
    }

    fn is_ready(&self) -> bool {
        Command::new(self.programs.join("pg_isready"))
            .args(["--quiet", "--host=127.0.0.1", "--timeout=1"])
            .arg(format!("--port={}", self.port))
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        if until(|| self.is_ready()) {
            Ok(())
        } else {
            Err(format!("Postgres is not ready: {}", self.process.log()))
        }
    }
}

/// Where Debian puts Postgres, the newest version first.
fn installed() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<_> = versions
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path(),
            ))
        })
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .map(|(_, path)| path.join("bin"))
        .collect()
}
