//! A server's program, in a temporary directory, that never outlives this process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Runs the program and obeys orders, one a line. When there are no more to come, because the pipe was
/// closed or whoever held it is gone, it ends the program and removes the directory.
///
/// What is killed has closed its sockets when the order is done: a stopped program makes no children that
/// nobody knows of, and they are waited for, too. What still runs is not started a second time, however
/// long it takes to be ready.
///
/// Everything that would end this shell with a terminal's whole process group does not reach it: it has
/// a group of its own.
const SUPERVISOR: &str = r#"
directory=$1 signal=$2
shift 2
cd "$directory" || exit
start() {
    "$@" >>log 2>&1 </dev/null &
    pid=$!
}
all() {
    echo $pid $(cat /proc/$pid/task/$pid/children)
}
runs() {
    grep -qs '^State:[[:space:]]*[^ZX]' /proc/$1/status
}
gone() {
    for each in "$@"; do
        while runs $each; do sleep 0.02; done
    done
}
start "$@"
echo done
while read -r order; do
    case $order in
        pause) kill -STOP $(all) ;;
        resume) kill -CONT $(all) ;;
        kill) kill -STOP $pid; pids=$(all); kill -KILL $pids; wait $pid; gone $pids ;;
        start) runs $pid || start "$@" ;;
    esac 2>>log
    echo done
done
exec 2>/dev/null
kill -CONT $(all)
kill -$signal $(all)
wait $pid
cd /
rm -rf "$directory" || { sleep 1; rm -rf "$directory"; }
"#;

/// A program under a supervisor. Dropped, or left behind by a process that died, it ends and its
/// directory is removed.
#[derive(Debug)]
pub(crate) struct Process {
    directory: Directory,
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// A directory that is removed, but by whoever took it over.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Whom it belongs to, and what runs in it.
    user: Option<User>,
    is_taken: bool,
}

/// Another user than this process's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl Directory {
    /// A new one. If this process is root's, it is given to `user` when there is one of that name, else
    /// to nobody; without a name it stays root's.
    pub(crate) fn new(user: Option<&str>) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("session-test-{}-{count}", std::process::id()));
        let told = |what: std::io::Error| format!("{}: {what}", path.display());
        fs::create_dir(&path).map_err(told)?;
        let is_root = fs::metadata(&path).map_err(told)?.uid() == 0;
        let user = user.filter(|_| is_root).and_then(User::of);
        if let Some(user) = user {
            std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).map_err(told)?;
        }
        Ok(Self {
            path,
            user,
            is_taken: false,
        })
    }

    /// Writes a file of this name.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.path.join(name), text).map_err(|error| format!("{name}: {error}"))
    }

    /// A command that runs here, as the user whose directory it is.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_taken {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl User {
    fn of(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let find = |wanted: &str| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let is_wanted = fields.next() == Some(wanted);
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                is_wanted.then_some(Self { uid, gid })
            })
        };
        find(name).or_else(|| find("nobody"))
    }
}

impl Process {
    /// Runs `command` in `directory`. `signal` ends it.
    pub(crate) fn start(
        mut directory: Directory,
        signal: &str,
        command: &[String],
    ) -> Result<Self, String> {
        let mut supervisor = directory
            .command("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&directory.path)
            .arg(signal)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        directory.is_taken = true;
        let orders = supervisor.stdin.take();
        let answers = BufReader::new(supervisor.stdout.take().ok_or("sh has no output")?);
        let mut process = Self {
            directory,
            supervisor,
            orders,
            answers,
        };
        process.wait_for_answer()?;
        Ok(process)
    }

    /// Has the supervisor do one of its orders, and waits until it has.
    pub(crate) fn order(&mut self, order: &str) -> Result<(), String> {
        let orders = self
            .orders
            .as_mut()
            .ok_or("the supervisor takes no orders")?;
        writeln!(orders, "{order}").map_err(|error| format!("{order}: {error}"))?;
        self.wait_for_answer()
    }

    fn wait_for_answer(&mut self) -> Result<(), String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(length) if length > 0 => Ok(()),
            _ => Err(format!("the supervisor is gone: {}", self.log())),
        }
    }

    /// The end of what the program printed.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.supervisor.wait();
    }
}

/// A port that nobody listens on, nor on the one 10,000 higher, where a node of a Redis cluster speaks
/// with the others. The next one to bind it may be another process all the same.
pub(crate) fn free_port() -> Result<u16, String> {
    for _ in 0..1000 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("no free port: {error}"))?
            .port();
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if port.checked_add(10_000).is_some_and(is_free) {
            return Ok(port);
        }
    }
    Err("no free port".to_owned())
}

/// Asks until it is so, for at most 30 s.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..30_000 / 20 {
        if is_so() {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}
