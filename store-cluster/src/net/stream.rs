//! A connection, before anything is said on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::credentials::Security;

/// What the operating system may hold of what was written. Little, so that what is asked of a slow peer
/// now does not stand behind seconds of what it was sent before.
const SEND_BUFFER: u32 = 512 << 10;

/// A connection that is as secret, and as sure of its peer, as the cluster is told to be.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

pub(crate) type Stream = Box<dyn Duplex>;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(socket)
}

/// Listens at `addr`. A port that a former process left a moment ago can be used.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(addr)?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    // What is taken has the listener's buffers.
    socket.listen(BACKLOG)
}

/// Connects to `addr`.
pub(crate) async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let tcp = socket(addr)?.connect(addr).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Makes a connection to a peer secure. Of one without the right certificate nothing is taken.
pub(crate) async fn secure(tcp: TcpStream, security: &Security) -> io::Result<Stream> {
    match security {
        Security::Plaintext => Ok(Box::new(tcp)),
        Security::Tls(reloading) => {
            let tls = reloading.present();
            let connector = TlsConnector::from(Arc::clone(&tls.client));
            let stream = connector.connect(tls.name().clone(), tcp).await?;
            Ok(Box::new(stream))
        }
    }
}

/// Takes a connection that came in. Of a peer without the right certificate nothing is taken.
pub(crate) async fn accept(tcp: TcpStream, security: &Security) -> io::Result<Stream> {
    tcp.set_nodelay(true)?;
    match security {
        Security::Plaintext => Ok(Box::new(tcp)),
        Security::Tls(reloading) => {
            let tls = reloading.present();
            let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
            let stream = acceptor.accept(tcp).await?;
            if !tls.admits(stream.get_ref().1.peer_certificates()) {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the certificate is not made for the cluster's name",
                ));
            }
            Ok(Box::new(stream))
        }
    }
}
