//! Connections that others make to this node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::carry::{self, SILENCE};
use super::frame::{self, Frame, FrameReader};
use super::hello::{Agreed, Hello, Refusal};
use super::link::{Link, Met};
use super::mesh::{HANDSHAKE, MAX_NODES, Mesh, Traffic};
use super::stream;
use super::{HELLO, REFUSED, VERSION};

/// How many connections may be under way to be known, at once.
const STRANGERS: usize = 64;
/// How many connections there may be in all.
const CONNECTIONS: usize = STRANGERS + 4 * MAX_NODES;
/// The wait after the operating system would give no connection.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections for as long as the node runs.
pub(super) async fn run(mesh: &Arc<Mesh>, listener: TcpListener, traffic: &Arc<dyn Traffic>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    let mut tasks = JoinSet::new();
    loop {
        let (tcp, addr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                sleep(BREATH).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        let stranger = Arc::clone(&strangers).try_acquire_owned();
        let Some(stranger) = stranger.ok().filter(|_| tasks.len() < CONNECTIONS) else {
            refuse(mesh, addr, Refusal::Crowded);
            continue;
        };
        let (mesh, traffic) = (Arc::clone(mesh), Arc::clone(traffic));
        tasks.spawn(async move {
            let met = timeout(HANDSHAKE, meet(&mesh, &*traffic, tcp, addr)).await;
            drop(stranger);
            match met {
                Ok(Some((link, met))) => carry::carry(&link, &mesh, &traffic, met).await,
                Ok(None) => {}
                Err(_) => {
                    mesh.counters.certificate();
                    tracing::warn!(%addr, "a connection did not say in time whose it is");
                }
            }
        });
    }
}

fn refuse(mesh: &Mesh, addr: SocketAddr, refusal: Refusal) {
    mesh.counters.refusal(refusal);
    if refusal != Refusal::Myself {
        tracing::warn!(%addr, reason = %refusal, "a peer is refused");
    }
}

/// Learns who is at the other end of a connection, and says who is at this one. Nothing comes of it if the
/// peer may not take part, or if the connections between the two are this node's to make.
async fn meet(
    mesh: &Arc<Mesh>,
    traffic: &dyn Traffic,
    tcp: TcpStream,
    addr: SocketAddr,
) -> Option<(Arc<Link>, Met)> {
    let stream = match stream::accept(tcp, &mesh.local.security).await {
        Ok(stream) => stream,
        Err(error) => {
            mesh.counters.certificate();
            tracing::warn!(%addr, %error, "a connection without a valid certificate is refused");
            return None;
        }
    };
    let mut frames = FrameReader::new(stream, SILENCE);
    let first = match frames.next().await {
        Ok(first) => first,
        Err(error) => {
            if carry::count(mesh, &error) {
                tracing::warn!(%addr, %error, "a peer is refused");
            }
            return None;
        }
    };
    let judged = judge(mesh, traffic, first.as_ref());
    let mut out = Vec::new();
    match &judged {
        Ok((_, hello, _)) => {
            let mine = mesh.local.hello(hello.channel).encode();
            frame::append(&mut out, HELLO, VERSION, &mine);
        }
        Err(refusal) => {
            refuse(mesh, addr, *refusal);
            frame::append(&mut out, REFUSED, VERSION, &[refusal.code()]);
        }
    }
    let stream = frames.stream();
    stream.write_all(&out).await.ok()?;
    stream.flush().await.ok()?;
    let (link, hello, agreed) = judged.ok()?;
    traffic.found(&hello.peer);
    if mesh.local.dials(&hello.peer) {
        return None;
    }
    frames.trust();
    let met = Met {
        frames,
        peer: hello.peer,
        channel: hello.channel,
        agreed,
    };
    Some((link, met))
}

fn judge(
    mesh: &Arc<Mesh>,
    traffic: &dyn Traffic,
    first: Option<&Frame>,
) -> Result<(Arc<Link>, Hello, Agreed), Refusal> {
    let hello = first
        .filter(|frame| frame.kind == HELLO)
        .and_then(|frame| Hello::decode(&frame.body))
        .ok_or(Refusal::Garbled)?;
    let local = &mesh.local;
    let mine = local.hello(hello.channel);
    let agreed = mine.judge(&hello, local.clock.now())?;
    traffic.admits(&hello.peer)?;
    let link = mesh.link_to(hello.peer.addr)?;
    Ok((link, hello, agreed))
}
