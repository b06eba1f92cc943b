//! Whoever does not belong to the cluster: refused, counted, and nothing changed.

use std::sync::Arc;
use std::time::Duration;

use session_core::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::authority::Authority;
use super::node::{Node, Seen, any_port, eventually};
use crate::net::frame;
use crate::net::hello::{Channel, Hello};
use crate::net::stream;
use crate::net::{FIRST_KIND, HELLO, Local, REFUSED, Refusal, Refused, Security};

/// A node, and a peer of it that differs, which wants a link.
async fn pair(change: impl FnOnce(&mut Local)) -> (Node, Node) {
    let node = Node::start(Security::Plaintext).await;
    let other = Node::with(Security::Plaintext, any_port(), change).await;
    other.wants(&[&node]);
    (node, other)
}

/// Waits until the node has refused as expected, and looks whether anything came of it.
async fn refuses(node: &Node, other: &Node, is_counted: impl Fn(&Refused) -> bool) {
    let is_refused = || is_counted(&node.mesh.counters.read());
    eventually(is_refused, "it is refused").await;
    assert_eq!((node.seen(), other.seen()), (vec![], vec![]));
}

#[tokio::test]
async fn a_peer_of_another_authority() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let node = Node::start(ours.security().await).await;
    let other = Node::start(theirs.security().await).await;
    other.wants(&[&node]);
    refuses(&node, &other, |refused| refused.certificate > 0).await;
}

#[tokio::test]
async fn a_peer_whose_certificate_is_made_for_another_name() {
    let authority = Authority::new();
    let node = Node::start(authority.security().await).await;
    // Its own node would not start with it; somebody else's program does.
    let certificate = authority.credentials("another");
    let name = "another".try_into().unwrap();
    let reloading = crate::net::Reloading::new(certificate, name).await.unwrap();
    let tls = reloading.present();
    let mut config = (*tls.client).clone();
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(trusting::Anyone));
    let tcp = TcpStream::connect(node.addr).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    if let Ok(mut tls) = connector.connect("shop".try_into().unwrap(), tcp).await {
        let other = Node::start(Security::Plaintext).await;
        let _ = tls.write_all(&hello(&other)).await;
        let mut read = Vec::new();
        let _ = tls.read_to_end(&mut read).await;
        assert_eq!(read, b"", "it is told nothing");
    }
    eventually(
        || node.mesh.counters.read().certificate == 1,
        "it is refused",
    )
    .await;
    assert_eq!(node.seen(), []);
}

#[tokio::test]
async fn a_peer_without_a_certificate() {
    let authority = Authority::new();
    let node = Node::start(authority.security().await).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusting::Anyone))
        .with_no_client_auth();
    let tcp = TcpStream::connect(node.addr).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    if let Ok(mut tls) = connector.connect("shop".try_into().unwrap(), tcp).await {
        let mut read = Vec::new();
        let _ = tls.read_to_end(&mut read).await;
        assert_eq!(read, b"");
    }
    eventually(
        || node.mesh.counters.read().certificate == 1,
        "it is refused",
    )
    .await;
    assert_eq!(node.seen(), []);
}

#[tokio::test]
async fn a_peer_without_tls_and_one_that_says_nothing() {
    let authority = Authority::new();
    let node = Node::start(authority.security().await).await;
    let other = Node::start(Security::Plaintext).await;
    other.wants(&[&node]);
    refuses(&node, &other, |refused| refused.certificate > 0).await;
    let before = node.mesh.counters.read().certificate;
    other.wants(&[]);
    let _silent = TcpStream::connect(node.addr).await.unwrap();
    refuses(&node, &other, |refused| refused.certificate > before).await;
}

#[tokio::test]
async fn a_node_does_not_start_with_a_certificate_that_the_others_would_refuse() {
    let authority = Authority::new();
    let certificate = authority.credentials("another");
    let name = "shop".try_into().unwrap();
    let refused = crate::net::Reloading::new(certificate, name).await;
    assert!(refused.unwrap_err().to_string().contains("certificates"));
}

#[tokio::test]
async fn a_node_of_another_cluster() {
    let (node, other) = pair(|local| local.cluster = "staging".into()).await;
    refuses(&node, &other, |refused| refused.hello > 0).await;
}

#[tokio::test]
async fn a_node_that_places_subjects_otherwise() {
    let (node, other) = pair(|local| local.terms.sharding = [9; 8]).await;
    refuses(&node, &other, |refused| refused.hello > 0).await;
}

#[tokio::test]
async fn a_node_whose_clock_differs_too_much() {
    let skewed = session_core::ManualClock::default();
    skewed.advance(Duration::from_millis(10_001));
    let (node, other) = pair(|local| local.clock = Arc::new(skewed)).await;
    refuses(&node, &other, |refused| refused.clock > 0).await;
}

#[tokio::test]
async fn a_node_whose_clock_goes_astray_later() {
    let (node, other) = pair(|_| {}).await;
    node.is_linked_to(&other).await;
    other.clock.advance(Duration::from_secs(11));
    eventually(
        || node.mesh.counters.read().clock + other.mesh.counters.read().clock > 0,
        "its connection is ended",
    )
    .await;
    node.sees(&Seen::Closed(other.incarnation())).await;
    other.clock.set(Timestamp::from_millis(2_000_000_000_000));
    let is_back = || node.seen().last() == Some(&Seen::Opened(other.incarnation()));
    eventually(is_back, "it is let in again").await;
}

fn hello(of: &Node) -> Vec<u8> {
    let mut out = Vec::new();
    let said = of.mesh.local.hello(Channel::Data).encode();
    frame::append(&mut out, HELLO, 1, &said);
    out
}

/// What a node answers to these bytes, until it closes the connection.
async fn answer(node: &Node, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(node.addr).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    let _ = tcp.read_to_end(&mut read).await;
    read
}

#[tokio::test]
async fn bytes_that_are_no_hello() {
    let node = Node::start(Security::Plaintext).await;
    let mut http = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    assert_eq!(answer(&node, &http).await, b"", "a length out of bounds");
    assert_eq!(node.mesh.counters.read().oversized, 1);
    http.splice(0..0, [0, 0, 0, 18]);
    let refused = [0, 0, 0, 3, REFUSED, 1, Refusal::Garbled.code()];
    assert_eq!(answer(&node, &http).await, refused);
    assert_eq!(node.mesh.counters.read().hello, 1);
    assert_eq!(node.seen(), []);
}

#[tokio::test]
async fn a_hello_over_the_bound() {
    let node = Node::start(Security::Plaintext).await;
    let mut large = Vec::new();
    frame::append(&mut large, HELLO, 1, &vec![0; frame::MAX_FIRST_FRAME]);
    assert_eq!(answer(&node, &large).await, b"");
    assert_eq!(node.mesh.counters.read().oversized, 1);
    assert_eq!(node.seen(), []);
}

#[tokio::test]
async fn a_frame_of_a_member_that_is_over_the_bound_or_cannot_be_read() {
    let authority = Authority::new();
    let (node, other) = (
        Node::start(authority.security().await).await,
        Node::start(authority.security().await).await,
    );
    other.wants(&[&node]);
    node.is_linked_to(&other).await;
    let mut oversized = u32::try_from(frame::MAX_FRAME + 1)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    oversized.extend_from_slice(&[FIRST_KIND, 1]);
    other.sends_bytes(node.incarnation(), oversized);
    node.sees(&Seen::Closed(other.incarnation())).await;
    assert_eq!(node.mesh.counters.read().oversized, 1);
    other.sends(&node, FIRST_KIND, b"malformed");
    eventually(|| node.mesh.counters.read().malformed == 1, "it is refused").await;
    other.sends(&node, FIRST_KIND, b"sound");
    let sound = Seen::Frame(other.incarnation(), FIRST_KIND, b"sound".as_slice().into());
    node.sees(&sound).await;
    let frames = node
        .seen()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Frame(..)));
    assert_eq!(frames.collect::<Vec<_>>(), [sound]);
}

/// An old hello, sent again by somebody who recorded it, opens nothing without the certificate; and
/// through a member's own link it is a frame of an unknown kind.
#[tokio::test]
async fn a_hello_that_is_sent_again() {
    let authority = Authority::new();
    let (node, other) = (
        Node::start(authority.security().await).await,
        Node::start(authority.security().await).await,
    );
    other.wants(&[&node]);
    node.is_linked_to(&other).await;
    assert_ne!(answer(&node, &hello(&other)).await, hello(&node));
    eventually(
        || node.mesh.counters.read().certificate == 1,
        "it is refused",
    )
    .await;
    other.sends_bytes(node.incarnation(), hello(&other));
    other.sends(&node, FIRST_KIND, b"after");
    let after = Seen::Frame(other.incarnation(), FIRST_KIND, b"after".as_slice().into());
    node.sees(&after).await;
    assert_eq!(node.seen(), [Seen::Opened(other.incarnation()), after]);
}

#[tokio::test]
async fn a_node_finds_itself_among_its_seeds() {
    let node = Node::start(Security::Plaintext).await;
    let connection = stream::connect(node.addr).await;
    let mut connection = connection.unwrap();
    connection.write_all(&hello(&node)).await.unwrap();
    let mut read = [0; 7];
    connection.read_exact(&mut read).await.unwrap();
    assert_eq!(read, [0, 0, 0, 3, REFUSED, 1, Refusal::Myself.code()]);
    assert_eq!(node.mesh.counters.read(), Refused::default());
    assert!(Hello::decode(&hello(&node)[6..]).is_some());
}

mod trusting {
    //! A client that trusts every server, as an attacker's would.

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(super) struct Anyone;

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![
                SignatureScheme::ECDSA_NISTP256_SHA256,
                SignatureScheme::ED25519,
            ]
        }
    }
}
