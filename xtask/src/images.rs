//! `cargo xtask images`: images of Redis and Postgres, made of the programs on this machine.
//!
//! They behave as the official ones do in what tests need, and are there where no image can be fetched.
//! An image is what Debian's package installed, the libraries it needs, a shell, and an entry point from
//! `tests/servers/images`. It is made anew when one of these has changed.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::tools::{POSTGRES, REDIS, Tool};
use crate::workspace::Workspace;

/// An image, and what it is made of.
struct Image {
    name: &'static str,
    program: Tool,
    /// What belongs to the program, besides libraries: files and whole folders.
    files: fn(program: &Path) -> Result<Vec<PathBuf>, String>,
    /// Below `tests/servers/images`.
    entry_point: &'static str,
    /// A folder that the server may write to.
    data: &'static str,
    /// As in a Dockerfile.
    changes: &'static [&'static str],
}

const IMAGES: [Image; 2] = [
    Image {
        name: "session-test/redis:latest",
        program: REDIS,
        files: |program| Ok(vec![program.to_owned()]),
        entry_point: "redis.sh",
        data: "data",
        changes: &["EXPOSE 6379", "WORKDIR /data", "VOLUME /data"],
    },
    Image {
        name: "session-test/postgres:latest",
        program: POSTGRES,
        files: postgres_files,
        entry_point: "postgres.sh",
        data: "var/lib/postgresql",
        // On the image's own layers a database is slow.
        changes: &["EXPOSE 5432", "VOLUME /var/lib/postgresql"],
    },
];

/// Whom the servers run as: Postgres refuses root.
const USER: &str = "999:999";

/// Postgres asks for the name of its user.
const USERS: &str = "root:x:0:0::/:/bin/sh\nserver:x:999:999::/:/bin/sh\n";

/// Both entry points are its scripts, and Postgres runs itself through it.
const SHELL: &str = "/bin/sh";

/// What the image was made of, as a number.
const LABEL: &str = "session-test.inputs";

/// How long an engine may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);

/// How long packing or importing an image may take: it is some 70 MB.
const WORK: Duration = Duration::from_secs(5 * 60);

/// Whether a Docker engine answers, else why not.
///
/// # Errors
///
/// When none does.
pub(crate) fn engine() -> Result<(), String> {
    said(
        docker(&["version", "--format", "{{.Server.Version}}"]),
        ANSWER,
    )
    .map(drop)
}

/// Makes the images that are missing or out of date, and says what became of each.
///
/// # Errors
///
/// When no engine answers, a program is missing and cannot be installed, or the engine refuses an image.
pub(crate) fn make(workspace: &Workspace) -> Result<(), String> {
    engine().map_err(|why| format!("no Docker engine answers: {why}"))?;
    for image in &IMAGES {
        let outcome = image.make(workspace);
        let done = outcome.map_err(|why| format!("{}: {why}", image.name))?;
        println!("{}: {done}", image.name);
    }
    Ok(())
}

impl Image {
    fn make(&self, workspace: &Workspace) -> Result<&'static str, String> {
        let program = self.program.ensure(workspace)?;
        let files = with_libraries((self.files)(&program)?)?;
        let entry_point = workspace
            .root
            .join("tests/servers/images")
            .join(self.entry_point);
        let inputs = self.fingerprint(&files, &entry_point)?;
        if self.label().is_some_and(|label| label == inputs) {
            return Ok("is up to date");
        }
        let scratch = workspace
            .target
            .join(format!("images-{}", std::process::id()));
        let made = self
            .pack(&files, &entry_point, &scratch)
            .and_then(|archive| self.import(&archive, &inputs));
        fs::remove_dir_all(&scratch).map_err(told(&scratch))?;
        made.map(|()| "made")
    }

    /// What the image that the engine has was made of.
    fn label(&self) -> Option<String> {
        let label = format!("{{{{index .Config.Labels {LABEL:?}}}}}");
        said(
            docker(&["image", "inspect", "--format", &label, self.name]),
            ANSWER,
        )
        .ok()
    }

    /// A number that changes whenever what the image is made of does.
    ///
    /// Of a file, size and date tell: whoever installs another version changes them.
    fn fingerprint(&self, files: &BTreeSet<PathBuf>, entry_point: &Path) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        (self.data, self.changes, USER, USERS).hash(&mut hasher);
        fs::read(entry_point)
            .map_err(told(entry_point))?
            .hash(&mut hasher);
        for file in files {
            each_file(file, &mut |path, found| {
                (path, found.len(), found.mtime()).hash(&mut hasher);
            })
            .map_err(told(file))?;
        }
        Ok(format!("{:016x}", hasher.finish()))
    }

    /// Packs the image's file system.
    fn pack(
        &self,
        files: &BTreeSet<PathBuf>,
        entry_point: &Path,
        scratch: &Path,
    ) -> Result<PathBuf, String> {
        let root = scratch.join("root");
        let (etc, entry) = (root.join("etc"), root.join("entrypoint.sh"));
        fs::create_dir_all(&etc).map_err(told(&etc))?;
        let users = etc.join("passwd");
        fs::write(&users, USERS).map_err(told(&users))?;
        fs::copy(entry_point, &entry).map_err(told(&entry))?;
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o755)).map_err(told(&entry))?;
        for name in ["tmp", self.data] {
            let folder = root.join(name);
            fs::create_dir_all(&folder).map_err(told(&folder))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777))
                .map_err(told(&folder))?;
        }
        let archive = scratch.join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--file").arg(&archive).args([
            // Libraries are often links, and so are the folders they are in.
            "--dereference",
            "--hard-dereference",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            // Whatever this process's umask is.
            "--mode=a+rX",
            "--directory=/",
        ]);
        tar.args(files.iter().filter_map(|file| file.strip_prefix("/").ok()));
        tar.arg("--directory").arg(&root).arg(".");
        said(tar, WORK).map(|_| archive)
    }

    fn import(&self, archive: &Path, inputs: &str) -> Result<(), String> {
        let before = said(
            docker(&["image", "inspect", "--format", "{{.Id}}", self.name]),
            ANSWER,
        );
        let mut import = docker(&["import"]);
        let ours = [
            format!("LABEL {LABEL}={inputs}"),
            format!("USER {USER}"),
            r#"ENTRYPOINT ["/entrypoint.sh"]"#.to_owned(),
        ];
        for change in ours
            .iter()
            .map(String::as_str)
            .chain(self.changes.iter().copied())
        {
            import.args(["--change", change]);
        }
        import.arg(archive).arg(self.name);
        said(import, WORK)?;
        if let Ok(before) = before {
            // Nothing has its name any more. A container may still use it: then it stays.
            let _ = said(docker(&["image", "rm", &before]), WORK);
        }
        Ok(())
    }
}

/// Postgres as Debian lays it out.
fn postgres_files(program: &Path) -> Result<Vec<PathBuf>, String> {
    // In a folder of `PATH` there may be but a link.
    let program = program.canonicalize().map_err(told(program))?;
    let programs = program.parent().ok_or("postgres is in no folder")?;
    let home = programs.parent().ok_or("postgres is in no folder")?;
    let version = home.file_name().ok_or("postgres is in no folder")?;
    let folder = home.join("lib");
    let modules = fs::read_dir(&folder).map_err(told(&folder))?;
    let mut files: Vec<_> = modules
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        // The compiler for long queries is three times as large as all the rest, and not needed.
        .filter(|path| !path.ends_with("llvmjit.so"))
        .collect();
    files.extend([
        programs.join("postgres"),
        programs.join("initdb"),
        Path::new("/usr/share/postgresql").join(version),
        "/usr/share/zoneinfo".into(),
        "/usr/lib/locale/C.utf8".into(),
    ]);
    Ok(files)
}

/// Files, folders and a shell, with the libraries they need.
fn with_libraries(files: Vec<PathBuf>) -> Result<BTreeSet<PathBuf>, String> {
    let mut files: BTreeSet<_> = files.into_iter().collect();
    files.insert(SHELL.into());
    let mut ldd = Command::new("ldd");
    ldd.args(files.iter().filter(|file| file.is_file()))
        .env("LC_ALL", "C");
    files.extend(libraries(&said(ldd, WORK)?)?);
    Ok(files)
}

/// The libraries in what `ldd` says.
fn libraries(said: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in said.lines() {
        if line.ends_with("not found") {
            return Err(format!("a library is missing: {}", line.trim()));
        }
        // Not indented is the name of a file that was asked about.
        let Some((library, _)) = line
            .strip_prefix('\t')
            .and_then(|line| line.rsplit_once(" ("))
        else {
            continue;
        };
        let path = library.rsplit_once("=> ").map_or(library, |(_, path)| path);
        // Without a path it is the kernel's own.
        if path.starts_with('/') {
            found.push(path.into());
        }
    }
    Ok(found)
}

/// Calls `on_file` for a file, or for all files in a folder, always in the same order.
fn each_file(path: &Path, on_file: &mut impl FnMut(&Path, &fs::Metadata)) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        on_file(path, &found);
        return Ok(());
    }
    let mut paths: Vec<_> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    paths.iter().try_for_each(|path| each_file(path, on_file))
}

fn docker(args: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(args);
    command
}

/// What a program says, if it succeeds.
fn said(mut command: Command, limit: Duration) -> Result<String, String> {
    let (succeeded, text) = process::capture(&mut command, limit)?;
    if succeeded {
        Ok(text.trim_end().to_owned())
    } else {
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        Err(last.unwrap_or("it failed and said nothing").to_owned())
    }
}

fn told(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_with_their_paths_and_the_loader_too() {
        let said = "/usr/bin/redis-server:
\tlinux-vdso.so.1 (0x00007ffc)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f01)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f02)
/usr/bin/static:
\tstatically linked
";
        let found = libraries(said).expect("nothing is missing");
        assert_eq!(
            found,
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libm.so.6"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let error = libraries("\tlibabsent.so.1 => not found\n").expect_err("it is missing");
        assert!(error.contains("libabsent.so.1"), "{error}");
    }

    #[test]
    fn an_image_is_made_anew_when_a_file_or_the_entry_point_changes() {
        let scratch = std::env::temp_dir().join(format!("fingerprint-{}", std::process::id()));
        let (folder, entry) = (scratch.join("share"), scratch.join("entry.sh"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("one"), "1").expect("a file");
        fs::write(&entry, "exit 0").expect("a file");
        let files = BTreeSet::from([folder.clone()]);
        let [image, ..] = IMAGES;
        let fingerprint = || image.fingerprint(&files, &entry).expect("files are there");
        let first = fingerprint();
        assert_eq!(first, fingerprint());
        fs::write(folder.join("two"), "").expect("a file");
        let second = fingerprint();
        assert_ne!(first, second);
        fs::write(&entry, "exit 1").expect("a file");
        assert_ne!(second, fingerprint());
        fs::remove_dir_all(scratch).expect("removed");
    }

    #[test]
    fn every_image_has_an_entry_point_and_exposes_a_port() {
        let workspace = Workspace::load().expect("cargo metadata");
        for image in IMAGES {
            let entry = Path::new("tests/servers/images").join(image.entry_point);
            assert!(workspace.root.join(entry).is_file(), "{}", image.name);
            assert!(
                image
                    .changes
                    .iter()
                    .any(|change| change.starts_with("EXPOSE "))
            );
        }
    }
}
