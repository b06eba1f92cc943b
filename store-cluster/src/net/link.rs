//! A link: the two connections between this node and another, and how they are kept.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex as Seat, Notify, watch};
use tokio::time::{sleep, timeout};

use super::carry::{self, SILENCE};
use super::frame::{self, Frame, FrameReader};
use super::hello::{Agreed, Channel, Hello, Refusal};
use super::mesh::{HANDSHAKE, Mesh, Traffic};
use super::peer::Peer;
use super::stream::{self, Stream};
use super::{HELLO, REFUSED, VERSION};

/// The shortest and the longest wait before a link that is missing is dialled, in milliseconds.
const REDIAL: std::ops::Range<u64> = 50..500;
/// The wait before an address is asked again at which this node found itself, or one that is reached
/// at another.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// How many posts wait for a link, at most. The oldest go first: the membership sends its own again.
const OUTBOX: usize = 64;

/// How a link stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing is known yet, or there is no answer.
    Away,
    /// The host answers, and says that nobody listens there.
    Closed,
    /// Somebody takes connections there, who may belong to this cluster; no link came of it yet.
    Taken,
    /// Both sides know each other: the link leads to this peer.
    Linked(Peer),
}

/// A link, whether or not it stands just now.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) addr: SocketAddr,
    pub(super) control: Place,
    pub(super) data: Place,
    outbox: Mutex<VecDeque<(u8, Bytes)>>,
    outbox_is_empty: Notify,
    reach: Mutex<Reach>,
}

/// Where one connection of a link has its place. The newest connection has it: one before it may be half
/// open.
#[derive(Debug)]
pub(super) struct Place {
    /// Something may wait to be written.
    pub(super) wake: Notify,
    seat: Seat<()>,
    newest: watch::Sender<u64>,
}

/// A connection on which both sides know each other.
pub(super) struct Met {
    pub(super) frames: FrameReader<Stream>,
    pub(super) peer: Peer,
    pub(super) channel: Channel,
    pub(super) agreed: Agreed,
}

impl Place {
    fn new() -> Self {
        Self {
            wake: Notify::new(),
            seat: Seat::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Link {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            control: Place::new(),
            data: Place::new(),
            outbox: Mutex::default(),
            outbox_is_empty: Notify::new(),
            reach: Mutex::new(Reach::Away),
        }
    }

    /// Says that data may wait.
    pub(crate) fn wake(&self) {
        self.data.wake.notify_one();
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach.lock().clone()
    }

    pub(super) fn set_reach(&self, reach: Reach) {
        *self.reach.lock() = reach;
    }

    /// Notes what came of a try, unless the peer has made the link meanwhile.
    fn tried(&self, reach: Reach) {
        let mut known = self.reach.lock();
        if !matches!(*known, Reach::Linked(_)) {
            *known = reach;
        }
    }

    /// Whether it leads to a peer.
    pub(crate) fn stands(&self) -> bool {
        matches!(*self.reach.lock(), Reach::Linked(_))
    }

    /// Writes a small frame on the control connection, now or once it stands.
    pub(crate) fn post(&self, kind: u8, body: Bytes) {
        let mut outbox = self.outbox.lock();
        if outbox.len() >= OUTBOX {
            outbox.pop_front();
        }
        outbox.push_back((kind, body));
        drop(outbox);
        self.control.wake.notify_one();
    }

    /// Moves what was posted to the end of `out`.
    pub(super) fn take_posts(&self, out: &mut Vec<u8>) {
        for (kind, body) in self.outbox.lock().drain(..) {
            frame::append(out, kind, VERSION, &body);
        }
    }

    /// Says that nothing of what was taken waits any longer.
    pub(super) fn wrote_posts(&self) {
        self.outbox_is_empty.notify_waiters();
    }

    /// Waits until everything that was posted is written.
    pub(crate) async fn posted(&self) {
        loop {
            let written = self.outbox_is_empty.notified();
            if self.outbox.lock().is_empty() {
                return;
            }
            written.await;
        }
    }

    /// Makes the connections that are this node's to make, again and again, and lets the peer find this
    /// node where they are the peer's.
    pub(crate) async fn keep(self: &Arc<Self>, mesh: &Mesh, traffic: &Arc<dyn Traffic>) {
        tokio::join!(
            self.keep_channel(mesh, traffic, Channel::Control),
            self.keep_channel(mesh, traffic, Channel::Data),
        );
    }

    async fn keep_channel(
        self: &Arc<Self>,
        mesh: &Mesh,
        traffic: &Arc<dyn Traffic>,
        channel: Channel,
    ) {
        // The same words once, not at every try.
        let mut told = None;
        loop {
            let wait = match self.try_channel(mesh, traffic, channel).await {
                Ok(wait) => {
                    told = None;
                    wait
                }
                Err(failed) => {
                    if channel == Channel::Control {
                        self.tried(failed.reach());
                    }
                    let text = failed.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::warn!(addr = %self.addr, ?channel, reason = %text, "no link");
                        told = Some(text);
                    }
                    redial()
                }
            };
            sleep(wait).await;
        }
    }

    /// Has the connection for as long as it lasts, if it is this node's to make and it can be made. Says
    /// how long to wait before the next look.
    async fn try_channel(
        self: &Arc<Self>,
        mesh: &Mesh,
        traffic: &Arc<dyn Traffic>,
        channel: Channel,
    ) -> Result<Duration, Failed> {
        match (channel, self.reach()) {
            (Channel::Control, Reach::Linked(_)) => return Ok(redial()),
            (Channel::Data, Reach::Linked(peer)) if mesh.local.dials(&peer) => {}
            (Channel::Data, _) => return Ok(redial()),
            (Channel::Control, _) => {}
        }
        let met = match timeout(HANDSHAKE, self.meet(mesh, channel)).await? {
            Err(Failed::Refused(Refusal::Myself)) => {
                self.tried(Reach::Away);
                return Ok(ASK_AGAIN);
            }
            met => met?,
        };
        if let Err(refusal) = traffic.admits(&met.peer) {
            mesh.counters.refusal(refusal);
            return Err(Failed::Refuses(refusal));
        }
        traffic.found(&met.peer);
        if met.peer.addr != self.addr {
            self.tried(Reach::Away);
            return Ok(ASK_AGAIN);
        }
        if mesh.local.dials(&met.peer) {
            carry::carry(self, mesh, traffic, met).await;
        }
        Ok(redial())
    }

    /// Makes a connection, and learns who is at its other end.
    async fn meet(&self, mesh: &Mesh, channel: Channel) -> Result<Met, Failed> {
        let connecting = timeout(HANDSHAKE / 2, stream::connect(self.addr)).await;
        let tcp = connecting
            .unwrap_or_else(|late| Err(late.into()))
            .map_err(Failed::Away)?;
        if channel == Channel::Control {
            self.tried(Reach::Taken);
        }
        let mut stream = stream::secure(tcp, &mesh.local.security).await?;
        let mut out = Vec::new();
        let mine = mesh.local.hello(channel);
        frame::append(&mut out, HELLO, VERSION, &mine.encode());
        stream.write_all(&out).await?;
        stream.flush().await?;
        let mut frames = FrameReader::new(stream, SILENCE);
        let answer = frames.next().await?;
        let now = mesh.local.clock.now();
        // The answer was written about half-way between.
        let then = mine.wall + now.since(mine.wall) / 2;
        let (peer, agreed) =
            judge(answer, |hello| mine.judge(hello, then)).inspect_err(|failed| {
                if let Failed::Refuses(refusal) = failed {
                    mesh.counters.refusal(*refusal);
                }
            })?;
        frames.trust();
        Ok(Met {
            frames,
            peer,
            channel,
            agreed,
        })
    }

    /// Takes the place of a channel for a new connection, once the one before has left it.
    pub(super) async fn take_place(&self, channel: Channel) -> Option<Taken<'_>> {
        let place = match channel {
            Channel::Control => &self.control,
            Channel::Data => &self.data,
        };
        let mut number = 0;
        place.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let mut newest = place.newest.subscribe();
        let seat = timeout(HANDSHAKE, place.seat.lock()).await.ok()?;
        let is_newest = *newest.borrow_and_update() == number;
        is_newest.then_some(Taken {
            place,
            newest,
            _seat: seat,
        })
    }
}

/// The place of a connection, while it has it.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) place: &'a Place,
    newest: watch::Receiver<u64>,
    _seat: tokio::sync::MutexGuard<'a, ()>,
}

impl Taken<'_> {
    /// Waits until a newer connection wants the place.
    pub(super) async fn replaced(&mut self) {
        // It cannot fail: the sender is in the place.
        let _ = self.newest.changed().await;
    }
}

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Away(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("there is no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the peer refuses this node: {0}")]
    Refused(Refusal),
    #[error("the peer is refused: {0}")]
    Refuses(Refusal),
}

impl Failed {
    fn reach(&self) -> Reach {
        match self {
            Self::Away(error) if error.kind() == io::ErrorKind::ConnectionRefused => Reach::Closed,
            Self::Away(_) => Reach::Away,
            // Another cluster's, or nothing of the kind.
            Self::Refused(Refusal::Cluster | Refusal::Garbled)
            | Self::Refuses(Refusal::Cluster | Refusal::Garbled) => Reach::Away,
            Self::Io(_) | Self::Late(_) | Self::Refused(_) | Self::Refuses(_) => Reach::Taken,
        }
    }
}

/// What to make of the answer to a hello.
fn judge(
    answer: Option<Frame>,
    judge: impl FnOnce(&Hello) -> Result<Agreed, Refusal>,
) -> Result<(Peer, Agreed), Failed> {
    let answer = answer.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
    if answer.kind == REFUSED {
        let code = answer.body.first().copied().unwrap_or_default();
        return Err(Failed::Refused(Refusal::from_code(code)));
    }
    let hello = Some(answer)
        .filter(|answer| answer.kind == HELLO)
        .and_then(|answer| Hello::decode(&answer.body))
        .ok_or(Failed::Refuses(Refusal::Garbled))?;
    match judge(&hello) {
        Ok(agreed) => Ok((hello.peer, agreed)),
        Err(Refusal::Myself) => Err(Failed::Refused(Refusal::Myself)),
        Err(refusal) => Err(Failed::Refuses(refusal)),
    }
}

/// Some time between 50 and 500 ms: peers that lost each other at once do not dial at once.
fn redial() -> Duration {
    let random = getrandom::u64().unwrap_or_default();
    Duration::from_millis(REDIAL.start + random % (REDIAL.end - REDIAL.start))
}
