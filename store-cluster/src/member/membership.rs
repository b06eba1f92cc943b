//! The membership protocol, driven by the mesh and by time.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foca::{AccumulatingRuntime, Config, Foca, NoCustomBroadcast, PeriodicParams, PostcardCodec};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::identity::Member;
use super::roster::{Change, Roster};
use super::seeds::Seeds;
use crate::core::Presence;
use crate::net::{Mesh, NodeName, Peer, Reach};

/// How often the list of nodes is derived from the protocol's own. Following its notifications alone
/// would keep every mistake for ever.
const DERIVE_EVERY: Duration = Duration::from_millis(100);
/// How often nodes that are down are asked to come back: after a partition this is what heals it.
const ASK_THE_DOWN_EVERY: Duration = Duration::from_secs(5);
/// How often one other node is told what is new.
const GOSSIP_EVERY: Duration = Duration::from_millis(500);
/// How often a node that is alone asks the nodes that it has links to.
const ASK_WHEN_ALONE: u32 = 10;
/// From here on a cluster is larger than it is meant to be.
const MANY_NODES: usize = 32;

/// Something that happened to the membership.
#[derive(Debug)]
pub(crate) enum Event {
    /// A datagram of the protocol came.
    Datagram(Bytes),
    /// A peer is known to live.
    Found(Peer),
    /// A peer left for good.
    Left(Peer),
    /// A node that is down is never to come back.
    Forget(NodeName, oneshot::Sender<bool>),
    /// This node leaves for good.
    Leave(oneshot::Sender<()>),
}

/// Who is told when the presence of a node changes.
pub(crate) type Told = Box<dyn Fn(&Peer, Presence) + Send>;

/// The membership of one node.
pub(crate) struct Membership {
    foca: Foca<Member, PostcardCodec, StdRng, NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Member>,
    timers: FuturesUnordered<Pin<Box<dyn Future<Output = foca::Timer<Member>> + Send>>>,
    mesh: Arc<Mesh>,
    roster: Arc<Mutex<Roster>>,
    seeds: Arc<Seeds>,
    told: Told,
    size: usize,
    rounds_alone: u32,
}

impl Membership {
    pub(crate) fn new(
        mesh: Arc<Mesh>,
        roster: Arc<Mutex<Roster>>,
        seeds: Arc<Seeds>,
        told: Told,
    ) -> Self {
        let member = Member::new(mesh.local.peer.clone());
        let rng = StdRng::seed_from_u64(getrandom::u64().unwrap_or(member.peer.incarnation));
        Self {
            foca: Foca::new(member, config(1), rng, PostcardCodec),
            runtime: AccumulatingRuntime::new(),
            timers: FuturesUnordered::new(),
            mesh,
            roster,
            seeds,
            told,
            size: 1,
            rounds_alone: 0,
        }
    }

    /// Takes part for as long as the node runs.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let seeds = Arc::clone(&self.seeds);
        let look_up = async {
            seeds.keep_looking_up().await;
            std::future::pending::<()>().await;
        };
        let drive = async {
            let mut rounds = interval(DERIVE_EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(event) => self.happened(event),
                        None => return,
                    },
                    Some(timer) = self.timers.next() => {
                        let done = self.foca.handle_timer(timer, &mut self.runtime);
                        told(done);
                    }
                    _ = rounds.tick() => self.derive(),
                }
                self.carry_out();
            }
        };
        tokio::select! {
            () = look_up => {}
            () = drive => {}
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Datagram(datagram) => {
                told(self.foca.handle_data(&datagram, &mut self.runtime));
            }
            Event::Found(peer) => {
                let changes = self.roster.lock().found(&peer);
                self.tell(changes);
                if !self.lives(&peer) {
                    told(self.foca.announce(Member::new(peer), &mut self.runtime));
                }
            }
            Event::Left(peer) => {
                let changes = self.roster.lock().left(&peer);
                self.tell(changes);
            }
            Event::Forget(node, done) => {
                let changes = self.roster.lock().forget(&node);
                // Whoever asked may be gone.
                let _ = done.send(!changes.is_empty());
                self.tell(changes);
            }
            Event::Leave(done) => {
                told(self.foca.leave_cluster(&mut self.runtime));
                self.carry_out();
                let _ = done.send(());
            }
        }
    }

    /// Does what the protocol wants done.
    fn carry_out(&mut self) {
        while let Some((to, datagram)) = self.runtime.to_send() {
            self.mesh.send(to.peer.addr, datagram);
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timers.push(Box::pin(async move {
                sleep(after).await;
                timer
            }));
        }
        while let Some(notification) = self.runtime.to_notify() {
            tracing::debug!(?notification, "membership");
        }
    }

    /// Derives who is up, whom to have links to, and what the protocol should go by.
    fn derive(&mut self) {
        let live: HashMap<u64, Peer> = self
            .foca
            .iter_members()
            .map(|member| &member.id().peer)
            // It takes the protocol seconds to notice that a process has ended. Its host knows at once.
            .filter(|peer| self.mesh.reach(peer.addr) != Reach::Closed)
            .map(|peer| (peer.incarnation, peer.clone()))
            .collect();
        let changes = self.roster.lock().derive(&live);
        self.tell(changes);
        let mut wanted = self.roster.lock().addrs();
        wanted.extend(self.seeds.addrs());
        wanted.remove(&self.mesh.local.peer.addr);
        self.mesh.want(&wanted);
        self.announce_when_alone();
        self.resize(live.len() + 1);
    }

    /// The protocol itself gives up once nobody is left.
    fn announce_when_alone(&mut self) {
        if self.foca.iter_members().next().is_some() {
            self.rounds_alone = 0;
            return;
        }
        self.rounds_alone += 1;
        if self.rounds_alone.is_multiple_of(ASK_WHEN_ALONE) {
            let roster = Arc::clone(&self.roster);
            for (peer, _) in roster.lock().present() {
                let member = Member::new(peer.clone());
                told(self.foca.announce(member, &mut self.runtime));
            }
        }
    }

    fn resize(&mut self, size: usize) {
        if size == self.size {
            return;
        }
        if size > MANY_NODES && self.size <= MANY_NODES {
            tracing::warn!(
                size,
                "more nodes than a cluster of full copies is meant for"
            );
        }
        self.size = size;
        told(self.foca.set_config(config(size)));
    }

    fn lives(&self, peer: &Peer) -> bool {
        self.foca
            .iter_members()
            .any(|member| member.id().peer.incarnation == peer.incarnation)
    }

    fn tell(&self, changes: Vec<Change>) {
        for (peer, presence) in changes {
            tracing::info!(?peer, ?presence, "a node");
            (self.told)(&peer, presence);
        }
    }
}

/// Errors of the protocol are about single datagrams: the next one may be better.
fn told(done: Result<(), foca::Error>) {
    if let Err(error) = done {
        tracing::debug!(%error, "membership");
    }
}

/// What the protocol goes by among so many nodes: a node that does not answer is down within some 6 s up
/// to ten nodes, and a little later among more.
fn config(size: usize) -> Config {
    let size = u32::try_from(size).ok().and_then(NonZeroU32::new);
    Config {
        periodic_announce_to_down_members: Some(PeriodicParams {
            frequency: ASK_THE_DOWN_EVERY,
            num_members: NonZeroUsize::MIN.saturating_add(2),
        }),
        // What is new goes along with the probes, too, and a node that joins has links to all at once.
        periodic_gossip: Some(PeriodicParams {
            frequency: GOSSIP_EVERY,
            num_members: NonZeroUsize::MIN,
        }),
        ..Config::new_lan(size.unwrap_or(NonZeroU32::MIN))
    }
}
