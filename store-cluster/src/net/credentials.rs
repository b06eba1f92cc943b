//! Who may belong to the cluster: certificates, where they come from, and what is made of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::{Resumption, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use session_core::Timestamp;
use x509_parser::parse_x509_certificate;

/// How often files are looked at for a change.
pub(crate) const RELOAD: Duration = Duration::from_secs(5);
/// More than any chain of certificates needs.
const MAX_PEM: u64 = 1 << 20;

/// The certificates of a node, in PEM.
///
/// All nodes of a cluster show a certificate of one private authority, made for the cluster's name (a
/// DNS name among its subject alternative names), and fit for servers and clients alike. Whoever has
/// such a certificate and its key is a member: it holds every session.
///
/// ```
/// use store_cluster::Credentials;
///
/// let credentials = Credentials::files("ca.pem", "node.pem", "node.key");
/// assert!(format!("{credentials:?}").contains("node.key"));
/// ```
#[derive(Clone)]
pub struct Credentials(Source);

#[derive(Clone)]
enum Source {
    Files(Parts<PathBuf>),
    Pem(Parts<Arc<[u8]>>),
}

#[derive(Clone, PartialEq, Eq)]
struct Parts<T> {
    authority: T,
    chain: T,
    key: T,
}

impl Credentials {
    /// Credentials in files: the authority's certificate, this node's chain, and its key. They are read
    /// again within seconds of a change: no restart is needed before a certificate expires. Files that
    /// cannot be used change nothing, and are told in the log.
    pub fn files(
        authority: impl Into<PathBuf>,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        Self(Source::Files(Parts {
            authority: authority.into(),
            chain: chain.into(),
            key: key.into(),
        }))
    }

    /// Credentials in memory: the authority's certificate, this node's chain, and its key.
    #[must_use]
    pub fn pem(authority: &[u8], chain: &[u8], key: &[u8]) -> Self {
        Self(Source::Pem(Parts {
            authority: authority.into(),
            chain: chain.into(),
            key: key.into(),
        }))
    }

    async fn read(&self) -> Result<Parts<Arc<[u8]>>, Unusable> {
        match &self.0 {
            Source::Pem(parts) => Ok(parts.clone()),
            Source::Files(paths) => Ok(Parts {
                authority: read_file(&paths.authority).await?,
                chain: read_file(&paths.chain).await?,
                key: read_file(&paths.key).await?,
            }),
        }
    }
}

async fn read_file(path: &std::path::Path) -> Result<Arc<[u8]>, Unusable> {
    let read = async {
        if tokio::fs::metadata(path).await?.len() > MAX_PEM {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        tokio::fs::read(path).await
    };
    read.await.map(Into::into).map_err(|source| Unusable::File {
        path: path.into(),
        source,
    })
}

/// Shows no key.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        if let Source::Files(paths) = &self.0 {
            shown
                .field("authority", &paths.authority)
                .field("chain", &paths.chain)
                .field("key", &paths.key);
        }
        shown.finish_non_exhaustive()
    }
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{} cannot be read", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("there is no certificate in the {0}")]
    Empty(&'static str),
    #[error("the {0} is no PEM that can be read")]
    Pem(&'static str, #[source] rustls::pki_types::pem::Error),
    #[error("the certificates cannot be used")]
    Tls(#[from] rustls::Error),
    #[error("the authority's certificate cannot be used")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    #[error("the node's chain does not say how long it is valid")]
    Validity(#[from] x509_parser::nom::Err<x509_parser::error::X509Error>),
}

/// What makes connections secret and sure of the peer: TLS 1.3 with certificates on both sides.
///
/// Every connection proves its certificate anew: there is no resumption.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    /// After this no other node accepts it any more.
    pub(crate) expires_at: Timestamp,
    name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Tls {
    fn new(parts: &Parts<Arc<[u8]>>, name: &ServerName<'static>) -> Result<Self, Unusable> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("authority's certificate", &parts.authority)? {
            roots.add(certificate)?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("node's chain", &parts.chain)?;
        // What the others would refuse is refused here, where somebody reads the reason.
        for certificate in chain.iter().take(1) {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        let expires_at = expiry(&chain)?;
        let key = PrivateKeyDer::from_pem_slice(&parts.key)
            .map_err(|error| Unusable::Pem("node's key", error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = &[&rustls::version::TLS13];
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        client.resumption = Resumption::disabled();
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            expires_at,
            name: name.clone(),
        })
    }

    /// The name that every certificate of the cluster is made for.
    pub(crate) const fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// Whether a client's certificate, which is of the cluster's authority, is also made for the
    /// cluster's name. Of a server rustls checks that by itself.
    pub(crate) fn admits(&self, chain: Option<&[CertificateDer<'_>]>) -> bool {
        let certificate = chain.and_then(|chain| chain.first());
        certificate.is_some_and(|certificate| {
            ParsedCertificate::try_from(certificate)
                .and_then(|parsed| verify_server_name(&parsed, &self.name))
                .is_ok()
        })
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| Unusable::Pem(what, error))?;
    if read.is_empty() {
        return Err(Unusable::Empty(what));
    }
    Ok(read)
}

/// When the first certificate of a chain expires.
fn expiry(chain: &[CertificateDer<'_>]) -> Result<Timestamp, Unusable> {
    let mut earliest = Timestamp::MAX;
    for certificate in chain {
        let (_, certificate) = parse_x509_certificate(certificate)?;
        let last_second = certificate.validity().not_after.timestamp();
        let last_second = u64::try_from(last_second).unwrap_or_default();
        earliest = earliest.min(Timestamp::from_millis(last_second.saturating_mul(1_000)));
    }
    Ok(earliest)
}

/// How connections are made sure of: by TLS of the present credentials, or not at all.
#[derive(Debug)]
pub(crate) enum Security {
    Tls(Box<Reloading>),
    Plaintext,
}

/// TLS of credentials that may change while the node runs.
#[derive(Debug)]
pub(crate) struct Reloading {
    credentials: Credentials,
    name: ServerName<'static>,
    present: RwLock<Present>,
}

struct Present {
    parts: Parts<Arc<[u8]>>,
    tls: Tls,
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.tls, f)
    }
}

impl Reloading {
    pub(crate) async fn new(
        credentials: Credentials,
        name: ServerName<'static>,
    ) -> Result<Self, Unusable> {
        let parts = credentials.read().await?;
        let tls = Tls::new(&parts, &name)?;
        Ok(Self {
            credentials,
            name,
            present: RwLock::new(Present { parts, tls }),
        })
    }

    pub(crate) fn present(&self) -> Tls {
        self.present.read().tls.clone()
    }

    /// Reads the credentials again; says whether they changed. What cannot be used changes nothing.
    pub(crate) async fn reload(&self) -> Result<bool, Unusable> {
        let parts = self.credentials.read().await?;
        if parts == self.present.read().parts {
            return Ok(false);
        }
        let tls = Tls::new(&parts, &self.name)?;
        *self.present.write() = Present { parts, tls };
        Ok(true)
    }

    /// Reads the credentials again for as long as the node runs.
    pub(crate) async fn keep_reloading(&self) {
        if matches!(self.credentials.0, Source::Pem(_)) {
            return;
        }
        // The same words once, not at every look.
        let mut told = None;
        loop {
            tokio::time::sleep(RELOAD).await;
            match self.reload().await {
                Ok(true) => tracing::info!("new certificates are in use"),
                Ok(false) => told = None,
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::error!(%error, "the certificates in place stay in use");
                        told = Some(text);
                    }
                }
            }
        }
    }
}
