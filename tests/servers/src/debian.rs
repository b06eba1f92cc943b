//! Programs of servers: where they are, and the packages they come from.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Finds a program, after installing `package` if it is nowhere.
///
/// `folders` are looked at besides those of `PATH`.
pub(crate) fn program(
    name: &str,
    package: &str,
    folders: impl Fn() -> Vec<PathBuf>,
) -> Result<PathBuf, String> {
    /// Tests ask at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let find = || {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = folders()
            .into_iter()
            .chain(env::split_paths(&path))
            .collect();
        folders.push("/usr/sbin".into());
        folders
            .into_iter()
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    install(package)?;
    find().ok_or_else(|| format!("{package} was installed, but {name} is nowhere"))
}

fn install(package: &str) -> Result<(), String> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let (program, before): (_, &[&str]) = if is_root {
        ("env", &[])
    } else {
        ("sudo", &["-n", "env"])
    };
    for arguments in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends", package],
    ] {
        let mut command = Command::new(program);
        command
            .args(before)
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            // Another process may be installing something, too.
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(arguments);
        eprintln!("{package} is not on this machine; to install it: {command:?}");
        let ran = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        // An old list of packages may well do.
        let is_last = arguments.len() > 1;
        if is_last && !ran.is_ok_and(|status| status.success()) {
            return Err(format!("{package} could not be installed with apt-get"));
        }
    }
    Ok(())
}
