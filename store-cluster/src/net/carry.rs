//! What happens on a connection once both sides know each other: both write and read, until it is lost.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::Timestamp;
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::frame::{self, Frame, FrameReader, Oversized};
use super::hello::{Agreed, Channel, Refusal};
use super::link::{Link, Met, Place, Reach};
use super::mesh::{Mesh, Traffic, Unfit};
use super::peer::Peer;
use super::stream::Stream;
use super::{FIRST_KIND, GOODBYE, MEMBERSHIP, PING, VERSION};

/// How often each side shows that it lives: thrice within what counts as silence.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long nothing may move on a connection before it counts as lost.
pub(super) const SILENCE: Duration = Duration::from_secs(6);
/// How much is written before the time limit begins anew.
const PIECE: usize = 16 << 10;
/// What the buffer for writing may keep between two writes.
const KEPT: usize = 256 << 10;

/// Has a connection for as long as it lasts.
pub(super) async fn carry(link: &Arc<Link>, mesh: &Mesh, traffic: &Arc<dyn Traffic>, met: Met) {
    let Some(mut taken) = link.take_place(met.channel).await else {
        return;
    };
    let connection = Connection {
        link,
        mesh,
        traffic: &**traffic,
        peer: &met.peer,
        channel: met.channel,
    };
    let place = taken.place;
    let (frames, writer) = met.frames.split();
    let _open = Open::new(&connection, met.agreed);
    let lost = tokio::select! {
        lost = connection.read(frames) => lost,
        lost = connection.write(writer, place) => lost,
        () = taken.replaced() => Err(io::Error::other("a newer connection takes its place")),
    };
    match lost {
        Ok(()) => connection.closed(),
        Err(error) => connection.ended(&error),
    }
}

/// A connection and who is at its ends.
struct Connection<'a> {
    link: &'a Arc<Link>,
    mesh: &'a Mesh,
    traffic: &'a dyn Traffic,
    peer: &'a Peer,
    channel: Channel,
}

impl Connection<'_> {
    async fn read(&self, mut frames: FrameReader<ReadHalf<Stream>>) -> io::Result<()> {
        while let Some(frame) = frames.next().await? {
            self.take(frame)?;
            // A burst that is in the buffer already must not keep this thread from everybody else.
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    fn take(&self, frame: Frame) -> io::Result<()> {
        match (frame.kind, self.channel) {
            (PING, _) => self.judge_clock(&frame).map_err(invalid),
            (MEMBERSHIP, Channel::Control) => {
                self.traffic.datagram(frame.body);
                Ok(())
            }
            (GOODBYE, Channel::Control) => {
                self.traffic.left(self.peer);
                Ok(())
            }
            (FIRST_KIND.., Channel::Data) => {
                self.traffic.received(self.peer, frame).map_err(invalid)
            }
            // Of a later version.
            _ => Ok(()),
        }
    }

    /// A peer whose clock went astray after it was let in is let go.
    fn judge_clock(&self, ping: &Frame) -> Result<(), Refusal> {
        let Some(wall) = ping.body.first_chunk() else {
            return Ok(());
        };
        let (now, max_skew) = (self.mesh.local.clock.now(), self.mesh.local.terms.max_skew);
        let wall = Timestamp::from_millis(u64::from_be_bytes(*wall));
        // A ping may have waited for as long as nothing moved.
        if wall.since(now) > max_skew || now.since(wall) > max_skew + SILENCE {
            return Err(Refusal::Clock);
        }
        Ok(())
    }

    async fn write(&self, mut writer: impl AsyncWrite + Unpin, place: &Place) -> io::Result<()> {
        let mut pings = pings();
        let mut out = Vec::new();
        loop {
            out.clear();
            out.shrink_to(KEPT);
            if pings.tick().now_or_never().is_some() {
                let now = self.mesh.local.clock.now().as_millis().to_be_bytes();
                frame::append(&mut out, PING, VERSION, &now);
            }
            match self.channel {
                Channel::Control => self.link.take_posts(&mut out),
                Channel::Data => self.traffic.fill(self.peer, &mut out),
            }
            if out.is_empty() {
                tokio::select! {
                    () = place.wake.notified() => {}
                    _ = pings.tick() => pings.reset_immediately(),
                }
                continue;
            }
            for piece in out.chunks(PIECE) {
                timeout(SILENCE, writer.write_all(piece)).await??;
            }
            timeout(SILENCE, writer.flush()).await??;
            if self.channel == Channel::Control {
                self.link.wrote_posts();
            }
        }
    }

    fn closed(&self) {
        let (peer, channel) = (self.peer, self.channel);
        tracing::info!(?peer, ?channel, "a peer closed a connection");
    }

    /// Counts and logs why the connection ended.
    fn ended(&self, error: &io::Error) {
        let (peer, channel) = (self.peer, self.channel);
        if count(self.mesh, error) {
            tracing::warn!(?peer, ?channel, %error, "a peer's connection is ended");
        } else {
            tracing::info!(?peer, ?channel, %error, "a connection is lost");
        }
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Counts an error that a peer is to blame for; says whether it is one.
pub(super) fn count(mesh: &Mesh, error: &io::Error) -> bool {
    let Some(inner) = error.get_ref() else {
        return false;
    };
    if inner.is::<Oversized>() {
        mesh.counters.oversized();
    } else if let Some(unfit) = inner.downcast_ref::<Unfit>() {
        mesh.counters.unfit(*unfit);
    } else if let Some(refusal) = inner.downcast_ref::<Refusal>() {
        mesh.counters.refusal(*refusal);
    } else {
        return false;
    }
    true
}

fn pings() -> Interval {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// A connection that stands, for as long as it does.
struct Open<'a>(&'a Connection<'a>);

impl<'a> Open<'a> {
    fn new(connection: &'a Connection<'a>, agreed: Agreed) -> Self {
        let peer = connection.peer;
        tracing::info!(?peer, channel = ?connection.channel, "a connection stands");
        match connection.channel {
            Channel::Control => connection.link.set_reach(Reach::Linked(peer.clone())),
            Channel::Data => {
                let link = Arc::clone(connection.link);
                connection.mesh.opened(peer.incarnation, link);
                connection.traffic.opened(peer, agreed);
            }
        }
        Self(connection)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let connection = self.0;
        match connection.channel {
            Channel::Control => connection.link.set_reach(Reach::Away),
            Channel::Data => {
                connection.mesh.closed(connection.peer.incarnation);
                connection.traffic.closed(connection.peer);
            }
        }
    }
}
