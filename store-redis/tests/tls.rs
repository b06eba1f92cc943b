//! Connections over TLS.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "tls")]

mod support;

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_core::ErrorKind;
use store_redis::RedisStore;
use support::visitor;
use test_servers::RedisServer;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    // Or it would have the name of those that it certifies.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of `authority` for `name`, and its key, in PEM.
fn identity(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Has the server listen over TLS, and only to those whom `authority` certifies.
fn listen(server: &RedisServer, authority: &Authority, name: &str) -> String {
    let port = test_servers::free_port().to_string();
    let directory = server.ask(&["CONFIG", "GET", "dir"]);
    let directory = Path::new(directory.lines().nth(1).unwrap());
    let (certificate, key) = identity(authority, name);
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let words = [
        "CONFIG",
        "SET",
        "tls-cert-file",
        &file("server.pem", &certificate),
        "tls-key-file",
        &file("server.key", &key),
        "tls-ca-cert-file",
        &file("authority.pem", &authority.pem()),
        "tls-port",
        &port,
    ];
    assert_eq!(server.ask(&words), "OK");
    format!("rediss://127.0.0.1:{port}/")
}

#[tokio::test]
async fn a_store_and_a_server_that_know_each_other_are_connected() {
    let (server, authority) = (RedisServer::start(&[]), authority());
    let url = listen(&server, &authority, "127.0.0.1");
    let (chain, key) = identity(&authority, "store");
    let builder = RedisStore::builder(&url)
        .tls_roots(authority.pem().as_bytes())
        .tls_identity(chain.as_bytes(), key.as_bytes());
    visitor(&builder.connect().await.unwrap()).await;
}

#[tokio::test]
async fn a_server_that_is_not_known_is_not_spoken_to() {
    let (server, authority) = (RedisServer::start(&[]), authority());
    let url = listen(&server, &authority, "127.0.0.1");
    let (chain, key) = identity(&authority, "store");
    let builder = RedisStore::builder(&url).tls_identity(chain.as_bytes(), key.as_bytes());
    let other = self::authority();
    for stranger in [builder.clone(), builder.tls_roots(other.pem().as_bytes())] {
        let error = stranger.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_not_spoken_to() {
    let (server, authority) = (RedisServer::start(&[]), authority());
    let url = listen(&server, &authority, "somebody.example");
    let (chain, key) = identity(&authority, "store");
    let builder = RedisStore::builder(&url)
        .tls_roots(authority.pem().as_bytes())
        .tls_identity(chain.as_bytes(), key.as_bytes());
    assert!(builder.connect().await.is_err());
}

#[tokio::test]
async fn a_server_that_asks_who_calls_refuses_a_stranger() {
    let (server, authority) = (RedisServer::start(&[]), authority());
    let url = listen(&server, &authority, "127.0.0.1");
    let stranger = RedisStore::builder(&url).tls_roots(authority.pem().as_bytes());
    assert!(stranger.connect().await.is_err());
}

#[tokio::test]
async fn what_is_no_certificate_is_refused() {
    let builder = RedisStore::builder("rediss://127.0.0.1/").tls_roots(b"nothing");
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
