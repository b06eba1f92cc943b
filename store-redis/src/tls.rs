//! TLS for connections.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use session_core::StoreError;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::{config, unavailable};

/// Which certificates are trusted and shown, in PEM.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    /// Trusted instead of what the operating system trusts.
    pub(crate) roots: Option<Vec<u8>>,
    /// Shown to the server: a chain and its key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("roots", &self.roots.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// Makes connections secret and sure of the server.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(crate) fn new(certificates: &Certificates) -> Result<Self, StoreError> {
        let mut roots = RootCertStore::empty();
        match &certificates.roots {
            Some(pem) => {
                for certificate in chain(pem)? {
                    roots
                        .add(certificate)
                        .map_err(|error| config().because(error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| config().because(error))?
            .with_root_certificates(roots);
        let client = match &certificates.identity {
            Some((pem, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key);
                let key = key.map_err(|error| config().because(error))?;
                builder
                    .with_client_auth_cert(chain(pem)?, key)
                    .map_err(|error| config().because(error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self(TlsConnector::from(Arc::new(client))))
    }

    pub(crate) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, StoreError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| config().because(error))?;
        let connected = self.0.connect(name, stream).await;
        connected.map_err(|error| unavailable().because(error))
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(config().because("there is no certificate in the PEM text")),
        Err(error) => Err(config().because(error)),
    }
}
