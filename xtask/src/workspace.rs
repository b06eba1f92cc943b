//! What cargo says of this workspace.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// This workspace, its packages and those it depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

/// One package: a crate of ours, or one that we depend on.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) rust_version: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the workspace this program was built from.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run, or cannot make out the workspace.
    pub(crate) fn load() -> Result<Self, String> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1"])
            .current_dir(here)
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned());
        }
        Self::parse(&output.stdout)
    }

    fn parse(metadata: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(metadata)
            .map_err(|error| format!("cannot read what cargo metadata printed: {error}"))
    }

    /// The crates of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The crates of others that this workspace depends on.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| !self.workspace_members.contains(&package.id))
    }

    /// The integration tests of all members, by name.
    pub(crate) fn test_targets(&self) -> BTreeSet<&str> {
        self.members().flat_map(Package::test_targets).collect()
    }

    /// Whether a member has an integration test of this name.
    pub(crate) fn has_test(&self, package: &str, test: &str) -> bool {
        self.members()
            .any(|member| member.name == package && member.test_targets().any(|name| name == test))
    }

    /// Where the tools are that were installed for this checkout alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A call to cargo, from the root, with our tools at hand.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut path = OsString::from(self.tools().join("bin"));
        if let Some(rest) = env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        let mut command = Command::new(cargo());
        command.args(args).current_dir(&self.root).env("PATH", path);
        command
    }
}

impl Package {
    fn test_targets(&self) -> impl Iterator<Item = &str> {
        self.targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "test"))
            .map(|target| target.name.as_str())
    }
}

/// The cargo that runs us.
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A workspace of two crates and one dependency.
    pub(crate) fn example() -> Workspace {
        Workspace::parse(
            br#"{
                "packages": [
                    {"id": "a", "name": "app", "version": "0.1.0", "rust_version": "1.95",
                     "targets": [{"name": "app", "kind": ["lib"]},
                                 {"name": "browser", "kind": ["test"]},
                                 {"name": "http", "kind": ["test"]}]},
                    {"id": "b", "name": "core", "version": "0.1.0", "rust_version": "1.95",
                     "targets": [{"name": "laws", "kind": ["test"]},
                                 {"name": "speed", "kind": ["bench"]}]},
                    {"id": "c", "name": "dep", "version": "3.2.1", "rust_version": "1.70.0",
                     "targets": [{"name": "of_the_dependency", "kind": ["test"]}]}
                ],
                "workspace_members": ["a", "b"],
                "workspace_root": "/checkout",
                "target_directory": "/checkout/target",
                "version": 1
            }"#,
        )
        .expect("valid metadata")
    }

    impl Workspace {
        /// The same workspace with another minimum Rust version for one package.
        pub(crate) fn with_rust_version(mut self, name: &str, version: Option<&str>) -> Self {
            for package in self
                .packages
                .iter_mut()
                .filter(|package| package.name == name)
            {
                package.rust_version = version.map(str::to_owned);
            }
            self
        }
    }

    #[test]
    fn only_the_integration_tests_of_members_are_ours() {
        let workspace = example();
        assert_eq!(
            workspace.test_targets(),
            BTreeSet::from(["browser", "http", "laws"])
        );
        assert!(workspace.has_test("app", "browser"));
        assert!(!workspace.has_test("core", "browser"));
    }

    #[test]
    fn members_and_dependencies_are_told_apart() {
        let workspace = example();
        let names = |packages: Vec<&Package>| -> Vec<String> {
            packages
                .iter()
                .map(|package| package.name.clone())
                .collect()
        };
        assert_eq!(names(workspace.members().collect()), ["app", "core"]);
        assert_eq!(names(workspace.dependencies().collect()), ["dep"]);
    }

    #[test]
    fn the_real_workspace_can_be_read() {
        let workspace = Workspace::load().expect("cargo metadata");
        assert!(
            workspace
                .members()
                .any(|member| member.name == env!("CARGO_PKG_NAME"))
        );
        assert!(workspace.root.join("xtask").is_dir());
    }
}
