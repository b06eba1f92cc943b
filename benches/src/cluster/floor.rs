//! What replication stands on: messages over TLS with certificates on both sides, and nothing done with
//! them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::node::{NodeSetup, Seen};
use super::{ClusterContender, Replicated};
use crate::subject::Role;

/// As long as a whole session of 200 B on the wire.
const MESSAGE: usize = 258;

/// The last node writes each message to all others, which write a byte back.
pub(super) fn tls() -> ClusterContender {
    ClusterContender {
        name: "raw TLS",
        role: Role::Floor,
        keeps: false,
        acknowledges: true,
        open: |setup| Box::pin(async { Box::new(Raw::start(setup).await) as _ }),
    }
}

type Writer = WriteHalf<client::TlsStream<TcpStream>>;

struct Raw {
    address: String,
    others: Vec<Mutex<Writer>>,
    others_in_all: Arc<AtomicUsize>,
    /// How many messages were written, and how many came back from whoever is furthest.
    written: AtomicUsize,
    answered: watch::Sender<usize>,
    waits: bool,
}

impl Raw {
    async fn start(setup: NodeSetup) -> Self {
        let (client, server) = configs(&setup.tls);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answered = watch::Sender::new(0);
        let mut others = Vec::new();
        for address in &setup.joins {
            let tcp = TcpStream::connect(address).await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let name = ServerName::try_from(NodeSetup::NAME).unwrap();
            let stream = TlsConnector::from(Arc::clone(&client)).connect(name, tcp);
            let (reader, writer) = tokio::io::split(stream.await.unwrap());
            tokio::spawn(count(reader, answered.clone()));
            others.push(Mutex::new(writer));
        }
        let others_in_all = Arc::new(AtomicUsize::new(others.len()));
        tokio::spawn(take(
            listener,
            TlsAcceptor::from(server),
            setup.seen,
            Arc::clone(&others_in_all),
        ));
        Self {
            address,
            others,
            others_in_all,
            written: AtomicUsize::new(0),
            answered,
            waits: setup.waits,
        }
    }
}

/// Counts answers.
async fn count(mut reader: ReadHalf<client::TlsStream<TcpStream>>, answered: watch::Sender<usize>) {
    let (mut count, mut answers) = (0, [0; 64]);
    while let Ok(len @ 1..) = reader.read(&mut answers).await {
        count += len;
        answered.send_if_modified(|furthest| {
            let is_further = count > *furthest;
            *furthest = count.max(*furthest);
            is_further
        });
    }
}

async fn take(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    seen: Seen,
    others_in_all: Arc<AtomicUsize>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        tcp.set_nodelay(true).unwrap();
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        let others_in_all = Arc::clone(&others_in_all);
        tokio::spawn(async move {
            let mut stream = acceptor.accept(tcp).await.unwrap();
            others_in_all.fetch_add(1, Ordering::Relaxed);
            let mut message = [0; MESSAGE];
            while stream.read_exact(&mut message).await.is_ok() {
                let text = String::from_utf8_lossy(&message);
                seen.note(text.trim_end());
                if stream.write_all(b".").await.is_err() || stream.flush().await.is_err() {
                    break;
                }
            }
        });
    }
}

fn configs(tls: &[String; 3]) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let [authority, chain, key] = tls;
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = || PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority)).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider.clone())
            .build()
            .unwrap();
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate(chain)], key())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(chain)], key())
        .unwrap();
    (Arc::new(client), Arc::new(server))
}

#[async_trait::async_trait]
impl Replicated for Raw {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn ready(&self) {}

    fn peers(&self) -> usize {
        self.others_in_all.load(Ordering::Relaxed)
    }

    fn sessions(&self) -> usize {
        0
    }

    async fn make(&self, _: usize) {}

    async fn write(&self, _: usize, value: &str) {
        let mut message = [b' '; MESSAGE];
        message[..value.len()].copy_from_slice(value.as_bytes());
        for other in &self.others {
            let mut other = other.lock().await;
            other.write_all(&message).await.unwrap();
            other.flush().await.unwrap();
        }
        let written = self.written.fetch_add(1, Ordering::Relaxed) + 1;
        if self.waits {
            let mut answered = self.answered.subscribe();
            answered.wait_for(|count| *count >= written).await.unwrap();
        }
    }

    async fn touch(&self, _: usize) {}

    async fn end(&self, _: usize) {}
}
