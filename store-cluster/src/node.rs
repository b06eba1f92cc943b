//! A node: the replica, the mesh that carries its frames, and the membership.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use session_core::{Clock, FeedSource};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use crate::acks::Acks;
use crate::core::{
    Alarm, AskId, Effect, Effects, FrameError, Incarnation, Now, Presence, Refused, Replica,
};
use crate::member::{Event, Roster, Seeds};
use crate::net::{Agreed, BATCH, Frame, Mesh, Peer, Reach, Refusal, Traffic, Unfit};
use crate::uptime::Uptime;

/// How often the replica looks at its timers.
const TICK: Duration = Duration::from_millis(50);
/// How many items a reader of the feed may lag behind before it is told of a gap.
const FEED: usize = 1024;
/// How many things of the membership may wait. What is over is said again by the membership itself.
pub(crate) const EVENTS: usize = 1024;

/// A node. Everything that it has to do with the outside passes here: the replica itself does no I/O.
pub(crate) struct Node {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) roster: Arc<Mutex<Roster>>,
    pub(crate) seeds: Arc<Seeds>,
    pub(crate) acks: Acks,
    pub(crate) feed: FeedSource,
    pub(crate) events: mpsc::Sender<Event>,
    clock: Arc<dyn Clock>,
    uptime: Uptime,
    replica: Mutex<Replica>,
    asking: Mutex<BTreeMap<AskId, Asking>>,
    is_ready: OnceLock<()>,
    becomes_ready: Notify,
}

/// A question to the peers. Its answer may be here before whoever asked begins to wait for it.
#[derive(Debug)]
enum Asking {
    Answered(bool),
    Waiting(oneshot::Sender<bool>),
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("mesh", &self.mesh)
            .finish_non_exhaustive()
    }
}

impl Node {
    pub(crate) fn new(
        replica: Replica,
        mesh: Arc<Mesh>,
        seeds: Seeds,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            clock: Arc::clone(&mesh.local.clock),
            mesh,
            roster: Arc::default(),
            seeds: Arc::new(seeds),
            acks: Acks::default(),
            feed: FeedSource::new(FEED),
            events,
            uptime: Uptime::start(),
            replica: Mutex::new(replica),
            asking: Mutex::default(),
            is_ready: OnceLock::new(),
            becomes_ready: Notify::new(),
        }
    }

    /// Takes a step of the replica, and does what it wants done.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&mut Replica, Now, &mut Effects) -> T) -> T {
        let mut effects = Effects::new();
        let answer = {
            let mut replica = self.replica.lock();
            let now = Now {
                wall: self.clock.now(),
                uptime: self.uptime.read(),
            };
            let answer = step(&mut replica, now, &mut effects);
            // Under the lock: before anybody hears that it is done here, those who watch have heard of it.
            effects.retain(|effect| match effect {
                Effect::Feed(item) => {
                    self.feed.send(*item);
                    false
                }
                _ => true,
            });
            answer
        };
        for effect in effects {
            self.carry_out(effect);
        }
        answer
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Wake(peer) => self.mesh.wake(peer.0),
            Effect::Acknowledged { peer, seq } => self.acks.acknowledged(peer, seq),
            Effect::Answered { ask, certain } => self.answered(ask, certain),
            Effect::Ready => {
                tracing::info!(peer = ?self.mesh.local.peer, "this node is ready");
                let _ = self.is_ready.set(());
                self.becomes_ready.notify_waiters();
            }
            Effect::Alarm(Alarm::Diverged { peer }) => {
                tracing::error!(
                    ?peer,
                    "two nodes that know the same hold different sessions"
                );
            }
            Effect::Alarm(Alarm::Impostor { peer }) => {
                tracing::error!(?peer, "a peer knows what this node never did");
            }
            // Sent already.
            Effect::Feed(_) => {}
        }
    }

    fn answered(&self, ask: AskId, certain: bool) {
        let mut asking = self.asking.lock();
        match asking.remove(&ask) {
            // Whoever asked may be gone.
            Some(Asking::Waiting(waiting)) => drop(waiting.send(certain)),
            _ => drop(asking.insert(ask, Asking::Answered(certain))),
        }
    }

    /// Asks the peers by `ask`, and waits for what they say: whether it is certain.
    pub(crate) async fn ask(
        &self,
        ask: impl FnOnce(&mut Replica, Now, &mut Effects) -> Result<AskId, Refused>,
    ) -> Result<bool, Refused> {
        let asked = self.step(ask)?;
        let waiting = {
            let mut asking = self.asking.lock();
            if let Some(Asking::Answered(certain)) = asking.remove(&asked) {
                return Ok(certain);
            }
            let (answer, waiting) = oneshot::channel();
            asking.insert(asked, Asking::Waiting(answer));
            waiting
        };
        // The replica ends every question in time.
        Ok(waiting.await.unwrap_or(false))
    }

    /// Waits until this node holds what its peers hold.
    pub(crate) async fn ready(&self) {
        loop {
            let becomes_ready = self.becomes_ready.notified();
            if self.is_ready.get().is_some() {
                return;
            }
            becomes_ready.await;
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.get().is_some()
    }

    /// Has the replica look at its timers for as long as the node runs, and decides when there is nobody to
    /// learn from.
    pub(crate) async fn keep_time(&self, bootstrap_wait: Duration) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.step(|replica, now, effects| {
                replica.tick(now, effects);
                if !replica.is_ready() && self.is_first(replica, now.uptime >= bootstrap_wait) {
                    replica.cold_start(effects);
                }
            });
        }
    }

    /// Whether nobody holds anything that this node would have to learn: there are no other seeds, or all
    /// are linked and none is ready, or this node has waited long enough for one that is. Of a seed that
    /// takes connections and does not answer, or refuses this node, no wait says that it holds nothing.
    fn is_first(&self, replica: &Replica, has_waited: bool) -> bool {
        let mut members = replica.members.values();
        if members.any(|member| member.link.is_some() && member.is_ready) {
            return false;
        }
        let own = self.mesh.local.peer.addr;
        if self.seeds.are_only(own) {
            return true;
        }
        let seeds = self.seeds.addrs();
        let mut others = seeds.iter().filter(|seed| **seed != own);
        if has_waited {
            return others.all(|seed| self.mesh.reach(*seed) != Reach::Taken);
        }
        let has_spoken = |peer: &Peer| {
            let member = replica.members.get(&Incarnation(peer.incarnation));
            let link = member.and_then(|member| member.link.as_ref());
            link.is_some_and(|link| link.cursor.is_some())
        };
        self.seeds.are_found()
            && others.all(
                |seed| matches!(self.mesh.reach(*seed), Reach::Linked(peer) if has_spoken(&peer)),
            )
    }

    /// The membership says this of a peer.
    pub(crate) fn told(&self, peer: &Peer, presence: Presence) {
        let peer = Incarnation(peer.incarnation);
        self.change_members(|replica, now, effects| {
            replica.member(now, peer, presence, effects);
        });
        if presence == Presence::Gone {
            self.acks.gone(peer);
        }
    }

    /// Changes what the replica knows of its members, and who is waited for.
    fn change_members(&self, change: impl FnOnce(&mut Replica, Now, &mut Effects)) {
        self.step(|replica, now, effects| {
            change(replica, now, effects);
            let alive: BTreeSet<_> = replica
                .members
                .iter()
                .filter(|(_, member)| member.presence == Presence::Up || member.link.is_some())
                .map(|(peer, _)| *peer)
                .collect();
            self.acks.alive(alive);
        });
    }

    fn happened(&self, event: Event) {
        // A membership that cannot keep up hears it again.
        let _ = self.events.try_send(event);
    }
}

impl Traffic for Node {
    fn admits(&self, peer: &Peer) -> Result<(), Refusal> {
        if self.replica.lock().refuses(Incarnation(peer.incarnation)) {
            return Err(Refusal::Retired);
        }
        self.roster.lock().admits(peer)
    }

    fn found(&self, peer: &Peer) {
        self.happened(Event::Found(peer.clone()));
    }

    fn left(&self, peer: &Peer) {
        self.happened(Event::Left(peer.clone()));
    }

    fn datagram(&self, datagram: Bytes) {
        self.happened(Event::Datagram(datagram));
    }

    fn opened(&self, peer: &Peer, agreed: Agreed) {
        self.change_members(|replica, now, effects| {
            replica.linked(now, Incarnation(peer.incarnation), agreed.version, effects);
        });
    }

    fn closed(&self, peer: &Peer) {
        // Without a link it is as the membership last said.
        let presence = self.roster.lock().presence(peer);
        self.change_members(|replica, now, effects| {
            let peer = Incarnation(peer.incarnation);
            replica.unlinked(now, peer, effects);
            replica.member(now, peer, presence, effects);
        });
    }

    fn fill(&self, peer: &Peer, out: &mut Vec<u8>) {
        self.step(|replica, now, _| {
            replica.next_frames(now, Incarnation(peer.incarnation), out, BATCH)
        });
    }

    fn received(&self, peer: &Peer, frame: Frame) -> Result<(), Unfit> {
        let (
            peer,
            Frame {
                kind,
                version,
                body,
            },
        ) = (Incarnation(peer.incarnation), frame);
        self.step(|replica, now, effects| {
            replica.received(now, peer, kind, version, &body, effects)
        })
        .map_err(|error| {
            tracing::debug!(?peer, %error, kind, version, "a frame is not taken");
            match error {
                FrameError::Malformed(_) => Unfit::Malformed,
                FrameError::Repeated => Unfit::Repeated,
            }
        })
    }
}
