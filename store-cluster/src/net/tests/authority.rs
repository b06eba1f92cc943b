//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::net::{Credentials, Reloading, Security};

/// An authority of a cluster.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A chain and its key, made for `name`.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        self.issue_until(name, 2099)
    }

    /// The same, valid until the first instant of a year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        let (chain, key) = self.issue(name);
        Credentials::pem(self.pem.as_bytes(), chain.as_bytes(), key.as_bytes())
    }

    /// TLS of a certificate made for `shop`.
    pub(crate) async fn security(&self) -> Security {
        security(self.credentials("shop")).await
    }
}

pub(crate) async fn security(credentials: Credentials) -> Security {
    let name = "shop".try_into().unwrap();
    Security::Tls(Box::new(Reloading::new(credentials, name).await.unwrap()))
}
