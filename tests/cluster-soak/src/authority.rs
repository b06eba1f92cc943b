//! Certificates for the nodes of a run.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// What all nodes' certificates are made for.
pub(crate) const CLUSTER: &str = "sessions.soak";

/// Makes an authority and the certificates of so many nodes in `folder`. The authority's key is never
/// written down.
pub(crate) fn certify(folder: &Path, nodes: usize) -> Result<(), String> {
    let told = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(told)?;
    let pem = params.self_signed(&key).map_err(told)?.pem();
    write(&authority(folder), &pem)?;
    let issuer = Issuer::new(params, key);
    for number in 0..nodes {
        let key = KeyPair::generate().map_err(told)?;
        let params = CertificateParams::new([CLUSTER.to_owned()]).map_err(told)?;
        let chain = params.signed_by(&key, &issuer).map_err(told)?.pem();
        write(&certificate(folder, number), &chain)?;
        write(&secret_key(folder, number), &key.serialize_pem())?;
    }
    Ok(())
}

pub(crate) fn authority(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}

pub(crate) fn certificate(folder: &Path, node: usize) -> PathBuf {
    folder.join(format!("node{node}.pem"))
}

pub(crate) fn secret_key(folder: &Path, node: usize) -> PathBuf {
    folder.join(format!("node{node}.key"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
