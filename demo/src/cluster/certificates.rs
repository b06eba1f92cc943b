//! Certificates for local trials.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use store_cluster::Credentials;

const AUTHORITY: &str = "ca.pem";
const CHAIN: &str = "node.pem";
const KEY: &str = "node.key";
const FILES: [&str; 3] = [AUTHORITY, CHAIN, KEY];

/// Makes an authority for a cluster, and one certificate for all of its nodes: for trials on one machine.
/// The authority's own key is not kept, and the certificates do not expire.
#[derive(Clone, Debug, Args)]
pub struct Certificates {
    /// What the cluster calls itself: the NAME of its cluster:// URL.
    #[arg(value_name = "CLUSTER", default_value = "demo")]
    cluster: String,

    /// Where to put them, by default in demo-certs/CLUSTER.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Certificates {
    pub(super) const fn new(cluster: String, dir: Option<PathBuf>) -> Self {
        Self { cluster, dir }
    }

    fn dir(&self) -> PathBuf {
        let default = || Path::new("demo-certs").join(&self.cluster);
        self.dir.clone().unwrap_or_else(default)
    }

    /// Makes them, unless they are there, and says what it did. What is there is never changed. Of several
    /// that do so at the same time, all end up with the same.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub fn make(&self) -> Result<String, String> {
        self.check_name()?;
        let dir = self.dir();
        let cannot = |error: io::Error| format!("{} cannot be written: {error}", dir.display());
        if !is_empty(&dir).map_err(cannot)? {
            return self.found(&dir);
        }
        let parent = dir
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(cannot)?;
        // It takes its name once it is complete: whoever is later finds all of it there, or nothing.
        let new = closed_dir(parent).map_err(cannot)?;
        let texts = issue(&self.cluster)
            .map_err(|error| format!("no certificate for {:?}: {error}", self.cluster))?;
        for (file, text) in FILES.iter().zip(&texts) {
            write(&new.path().join(file), text).map_err(cannot)?;
        }
        match fs::rename(new.path(), &dir) {
            Ok(()) => {
                // It has moved: there is nothing to remove.
                let _ = new.keep();
                Ok(format!(
                    "made {}, {CHAIN} and {KEY}: whoever has the key can join the cluster {:?}, and holds \
                     every session",
                    dir.join(AUTHORITY).display(),
                    self.cluster
                ))
            }
            Err(error) => match is_empty(&dir) {
                Ok(false) => self.found(&dir),
                _ => Err(cannot(error)),
            },
        }
    }

    /// What a node shows, and what it asks of others.
    ///
    /// # Errors
    ///
    /// Says what is missing, and how it is made.
    pub(super) fn credentials(&self) -> Result<Credentials, String> {
        let dir = self.dir();
        for file in FILES {
            if !dir.join(file).exists() {
                return Err(format!(
                    "there is no {}: make certificates once, for all nodes, by `cargo run -p demo -- \
                     certs {} --dir {}`",
                    dir.join(file).display(),
                    self.cluster,
                    dir.display()
                ));
            }
        }
        let [authority, chain, key] = FILES.map(|file| dir.join(file));
        Ok(Credentials::files(authority, chain, key))
    }

    /// The name stands in a certificate, and in a path.
    fn check_name(&self) -> Result<(), String> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let name = &self.cluster;
        if name.len() > 64 || name.split('.').any(str::is_empty) || !name.bytes().all(is_fit) {
            return Err(format!(
                "{name:?} is no name of a cluster: it is that of a DNS host, of 64 characters at most"
            ));
        }
        Ok(())
    }

    /// Says that nothing was to be made.
    fn found(&self, dir: &Path) -> Result<String, String> {
        match FILES.iter().find(|file| !dir.join(file).exists()) {
            None => Ok(format!(
                "{} holds certificates: nothing was changed",
                dir.display()
            )),
            Some(file) => Err(format!(
                "{} is there, and has no {file}: nothing was changed",
                dir.display()
            )),
        }
    }
}

/// Whether there is nothing in a directory, or no such directory.
fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The authority's certificate, a node's, and the node's key.
fn issue(cluster: &str) -> Result<[String; 3], rcgen::Error> {
    let mut params = CertificateParams::default();
    let name = format!("authority of the cluster {cluster}, for trials");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);

    let mut params = CertificateParams::new([cluster.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, cluster);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate()?;
    let chain = params.signed_by(&key, &issuer)?.pem();
    Ok([authority, chain, key.serialize_pem()])
}

/// A directory of a name that is not in use, which only its owner can look into.
fn closed_dir(parent: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".certs-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent)
}

/// Writes a file that only its owner reads.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    fn certificates(dir: &Path) -> Certificates {
        Certificates::new("shop".to_owned(), Some(dir.to_owned()))
    }

    fn text(dir: &Path, file: &str) -> String {
        fs::read_to_string(dir.join(file)).unwrap()
    }

    #[test]
    fn they_are_made_once_and_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("new/certs");
        assert!(certificates(&dir).credentials().is_err());
        let told = certificates(&dir).make().unwrap();
        assert!(told.starts_with("made "), "{told}");
        let key = text(&dir, KEY);
        let told = certificates(&dir).make().unwrap();
        assert!(told.contains("nothing was changed"), "{told}");
        assert_eq!(text(&dir, KEY), key);
        certificates(&dir).credentials().unwrap();
        assert!(text(&dir, AUTHORITY).starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(fs::read_dir(dir.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("certs");
        certificates(&dir).make().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(KEY)), 0o600);
    }

    #[test]
    fn of_many_that_make_them_at_once_all_have_the_same() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("certs");
        let made = thread::scope(|scope| {
            let make = || {
                certificates(&dir).make().unwrap();
                text(&dir, KEY)
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            all.into_iter()
                .map(|it| it.join().unwrap())
                .collect::<BTreeSet<_>>()
        });
        assert_eq!(made.len(), 1);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_half_there_is_left_alone_and_named() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(AUTHORITY), "mine").unwrap();
        let told = certificates(place.path()).make().unwrap_err();
        assert!(told.contains(CHAIN), "{told}");
        assert_eq!(text(place.path(), AUTHORITY), "mine");
        let told = certificates(place.path()).credentials().unwrap_err();
        assert!(told.contains("demo -- certs shop"), "{told}");
    }

    #[test]
    fn a_name_that_is_no_host_is_refused() {
        for name in ["", "..", "../shop", "a/b", "a b", &"a".repeat(65)] {
            let certificates = Certificates::new(name.to_owned(), None);
            assert!(certificates.make().is_err(), "{name:?}");
        }
    }
}
