//! Running another program: with a time limit, and ended when this one is.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit of a program that is given no other. The slowest, a cold build, needs a third of
/// it.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How often a running program is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long output is awaited after the program has ended: what it left running may hold its
/// output open for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// The process group of the program that runs now.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Has the running program ended together with this one, by Ctrl-C or a signal.
///
/// # Errors
///
/// When the signal handler cannot be set.
pub(crate) fn stop_with_us() -> Result<(), String> {
    ctrlc::set_handler(|| {
        if let Some(group) = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
            kill(group);
        }
        std::process::exit(130);
    })
    .map_err(|error| format!("cannot handle signals: {error}"))
}

/// Runs a program in full view.
///
/// # Errors
///
/// When it cannot be started, does not succeed, or runs longer than the time limit.
pub(crate) fn show(command: &mut Command) -> Result<(), String> {
    show_for(command, LIMIT)
}

/// As [`show`], with another time limit.
///
/// # Errors
///
/// As [`show`].
pub(crate) fn show_for(command: &mut Command, limit: Duration) -> Result<(), String> {
    let nothing = read_lines(io::empty());
    succeeded(wait(command.stdin(Stdio::null()), limit, &nothing, |_| {})?)
}

/// Runs a program and reads what it says on both outputs, line by line as it comes.
///
/// # Errors
///
/// When it cannot be started, does not succeed, or runs longer than the time limit.
pub(crate) fn read(command: &mut Command, on_line: impl FnMut(&str)) -> Result<(), String> {
    succeeded(wait_reading(command, LIMIT, on_line)?)
}

/// Runs a program and keeps what it says on both outputs: whether it succeeded, and the text.
///
/// # Errors
///
/// When it cannot be started, or runs longer than `limit`.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<(bool, String), String> {
    let mut text = String::new();
    let status = wait_reading(command, limit, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok((status.success(), text))
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The present.
#[allow(
    clippy::disallowed_methods,
    reason = "how long a step took is shown, nothing hangs on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn succeeded(status: ExitStatus) -> Result<(), String> {
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

fn wait_reading(
    command: &mut Command,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<ExitStatus, String> {
    // One pipe for both outputs: what is said on them stays in order.
    let (output, input) = io::pipe().map_err(|error| error.to_string())?;
    let other = input.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(input).stderr(other);
    wait(command, limit, &read_lines(output), on_line)
}

fn wait(
    command: &mut Command,
    limit: Duration,
    lines: &Receiver<String>,
    on_line: impl FnMut(&str),
) -> Result<ExitStatus, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.process_group(0).spawn();
    // Our ends of the pipe, which would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.map_err(|error| format!("cannot start {name}: {error}"))?;
    let group = child.id();
    running(Some(group));
    let status = follow(&mut child, limit, lines, on_line);
    running(None);
    match status {
        Ok(Some(status)) => Ok(status),
        Ok(None) => {
            kill(group);
            // It was killed: this cannot last.
            let _ = child.wait();
            Err(format!("still running after {} s, ended", limit.as_secs()))
        }
        Err(error) => Err(format!("cannot wait for {name}: {error}")),
    }
}

/// Reads lines until the program has ended; `None` when it did not within the limit.
fn follow(
    child: &mut Child,
    limit: Duration,
    lines: &Receiver<String>,
    mut on_line: impl FnMut(&str),
) -> io::Result<Option<ExitStatus>> {
    let started = now();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut open = true;
    loop {
        if open {
            match lines.recv_timeout(TICK) {
                Ok(line) => on_line(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        } else {
            thread::sleep(TICK);
        }
        if ended.is_none() {
            ended = child.try_wait()?.map(|status| (status, now()));
        }
        match ended {
            Some((status, at)) if !open || at.elapsed() >= DRAIN => return Ok(Some(status)),
            None if started.elapsed() >= limit => return Ok(None),
            _ => {}
        }
    }
}

/// Reads lines in a thread of its own, which ends with the output.
fn read_lines(output: impl io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(1024);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line);
            if sender
                .send(text.trim_end_matches(['\r', '\n']).to_owned())
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
    lines
}

fn running(group: Option<u32>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = group;
}

/// Ends a program and all that it has started.
fn kill(group: u32) {
    // A shell's own `kill`: the program of that name is not on every machine.
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -KILL -{group}")])
        .status();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_arrive_in_order_and_without_their_ends() {
        let mut lines = Vec::new();
        read(&mut sh("printf 'one\\ntwo\\r\\n\\nlast'"), |line| {
            lines.push(line.to_owned());
        })
        .expect("it succeeds");
        assert_eq!(lines, ["one", "two", "", "last"]);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_reading() {
        let mut lines = Vec::new();
        read(&mut sh("printf '\\377\\nnext\\n'"), |line| {
            lines.push(line.to_owned());
        })
        .expect("it succeeds");
        assert_eq!(lines, ["\u{fffd}", "next"]);
    }

    #[test]
    fn what_was_said_is_kept_with_the_verdict() {
        let kept = capture(&mut sh("echo why; exit 3"), LIMIT).expect("it runs");
        assert_eq!(kept, (false, "why\n".to_owned()));
    }

    #[test]
    fn a_failure_says_how_the_program_ended() {
        let error = show(&mut sh("exit 7")).expect_err("it fails");
        assert!(error.contains('7'), "{error}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = show(&mut Command::new("no-such-program")).expect_err("it cannot start");
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let (output, input) = io::pipe().expect("a pipe");
        let mut command = sh("sleep 300 & sleep 300");
        let none = read_lines(io::empty());
        let outcome = wait(
            command.stdout(input),
            Duration::from_millis(300),
            &none,
            |_| {},
        );
        assert!(outcome.is_err_and(|error| error.contains("still running")));
        // The pipe ends once no process holds it any more.
        let end = read_lines(output).recv_timeout(Duration::from_secs(10));
        assert_eq!(end, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn both_outputs_are_read_in_the_order_they_were_written() {
        let script = "for i in 1 2 3 4 5; do echo out; echo err >&2; done";
        let (_, text) = capture(&mut sh(script), LIMIT).expect("it runs");
        assert_eq!(text, "out\nerr\n".repeat(5));
    }

    #[test]
    fn what_a_program_leaves_running_does_not_hold_us_up() {
        let mut pid = String::new();
        read(&mut sh("sleep 300 & echo $!"), |line| {
            line.clone_into(&mut pid);
        })
        .expect("it succeeds");
        show(&mut sh(&format!("kill {pid}"))).expect("the child still ran");
    }
}
