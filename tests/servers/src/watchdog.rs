//! Sees to it that a container goes when the process that wanted it does, however that ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::process::until;

/// First removes what is overdue: containers whose watchdog was killed, too. Then waits for the end of its
/// input, which the system closes when the process is gone, and removes the container of this name.
const WATCH: &str = r#"
docker ps --all --filter label=session-test.until --format '{{.ID}} {{.Label "session-test.until"}}' |
    while read -r id until; do
        if [ "$until" -lt "$(date +%s)" ]; then docker rm --force --volumes "$id"; fi
    done
cat
docker rm --force --volumes "$1"
"#;

/// A shell that outlives this process by as long as it takes to remove a container. It is started before
/// the container is, so that there is no moment at which being killed leaves one behind running.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Watches over the container that will have this name.
    pub(crate) fn over(container: &str) -> Result<Self, String> {
        Command::new("sh")
            .args(["-c", WATCH, "watchdog", container])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends a terminal's whole process group does not reach it.
            .process_group(0)
            .spawn()
            .map(Self)
            .map_err(|error| format!("sh: {error}"))
    }
}

impl Drop for Watchdog {
    /// Has the container removed, and waits for it, but not for ever.
    fn drop(&mut self) {
        self.0.stdin = None;
        until(|| !matches!(self.0.try_wait(), Ok(None)));
    }
}
