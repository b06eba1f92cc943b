//! Certificates for nodes in tests.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use store_cluster::Credentials;

/// The authority of a cluster.
#[derive(Debug)]
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Those of one node.
    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Credentials::pem(self.pem.as_bytes(), chain.as_bytes(), key.as_bytes())
    }
}
