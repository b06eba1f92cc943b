//! A minute of what `cargo xtask soak --store cluster` does for longer, and less of the two that go with it.

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use test_servers::program;

/// What each run is to show, and how many seconds it has for it.
const RUNS: [(&str, &str, u32); 3] = [
    (
        "five_nodes_go_through_a_minute_of_faults_and_lose_nothing",
        "kept",
        60,
    ),
    (
        "what_only_a_node_that_was_killed_had_is_seen_to_be_lost",
        "control",
        15,
    ),
    (
        "nodes_that_are_upgraded_under_load_lose_nothing",
        "upgrade",
        40,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has five processes that are busy.
    arguments.test_threads = Some(1);
    let trials =
        RUNS.map(|(name, aim, seconds)| Trial::ignorable_test(name, move || soak(aim, seconds)));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn soak(aim: &str, seconds: u32) -> Result<Completion, Failed> {
    for (name, package) in [("ip", "iproute2"), ("iptables", "iptables")] {
        if let Err(why) = program(name, package) {
            return Ok(Completion::ignored_with(why));
        }
    }
    let check = as_root().arg("--check").output();
    let Some(check) = check.ok().filter(|check| check.status.success()) else {
        let why = "it needs to be root, or sudo that asks for no password";
        return Ok(Completion::ignored_with(why));
    };
    let why = String::from_utf8_lossy(&check.stdout);
    if !why.trim().is_empty() {
        return Ok(Completion::ignored_with(why.trim()));
    }
    let seconds = seconds.to_string();
    let mut soak = as_root()
        .args(["--attended", "--show", aim, "--seconds", &seconds])
        .stdin(Stdio::piped())
        .spawn()?;
    let attended = soak.stdin.take();
    let status = soak.wait()?;
    drop(attended);
    match status.success() {
        true => Ok(Completion::Completed),
        false => Err(format!("see the report above: {status}").into()),
    }
}

/// The program, run by whoever may make namespaces.
fn as_root() -> Command {
    const PROGRAM: &str = env!("CARGO_BIN_EXE_session-cluster-soak");
    let id = Command::new("id").arg("-u").output();
    if id.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return Command::new(PROGRAM);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", PROGRAM]);
    command
}
