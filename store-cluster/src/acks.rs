//! Waiting until other nodes have what was done here.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::core::Incarnation;

/// How many nodes besides this one must hold a change before a call returns.
///
/// A call that waits in vain fails as [`Unavailable`](session_core::ErrorKind::Unavailable), its outcome
/// [`Unknown`](session_core::Applied::Unknown): the change is applied here and goes on spreading, and is
/// never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAck {
    /// None: the change spreads behind the call. What only this node holds is lost with it.
    Local,
    /// So many; all that are alive, if fewer are.
    Replicas(NonZeroUsize),
    /// All that are alive, as far as this node knows: a node that fails holds calls up until the others
    /// have noticed, some seconds at most.
    AllAlive,
}

impl WriteAck {
    /// One other node: what one failure of a server loses is nothing.
    pub const ONE: Self = Self::Replicas(NonZeroUsize::MIN);

    fn is_met(self, acknowledged: usize, alive: usize) -> bool {
        match self {
            Self::Local => true,
            Self::Replicas(wanted) => acknowledged >= wanted.get().min(alive),
            Self::AllAlive => acknowledged >= alive,
        }
    }
}

/// What the peers have acknowledged, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Acks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    alive: BTreeSet<Incarnation>,
    acknowledged: BTreeMap<Incarnation, u64>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    ack: WriteAck,
    done: oneshot::Sender<()>,
}

impl State {
    fn is_met(&self, seq: u64, ack: WriteAck) -> bool {
        let has = |peer: &&Incarnation| self.acknowledged.get(peer).copied().unwrap_or(0) >= seq;
        ack.is_met(self.alive.iter().filter(has).count(), self.alive.len())
    }

    /// Lets go those whose wait is over, and those that nobody waits for any more.
    fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for waiter in
            waiting.extract_if(.., |it| it.done.is_closed() || self.is_met(it.seq, it.ack))
        {
            // Whoever waited may be gone.
            let _ = waiter.done.send(());
        }
        self.waiting = waiting;
    }
}

impl Acks {
    /// Says who is alive.
    pub(crate) fn alive(&self, alive: BTreeSet<Incarnation>) {
        let mut state = self.0.lock();
        if state.alive != alive {
            state.alive = alive;
            state.settle();
        }
    }

    /// A peer never comes back.
    pub(crate) fn gone(&self, peer: Incarnation) {
        self.0.lock().acknowledged.remove(&peer);
    }

    /// A peer has all up to `seq`.
    pub(crate) fn acknowledged(&self, peer: Incarnation, seq: u64) {
        let mut state = self.0.lock();
        let at = state.acknowledged.entry(peer).or_default();
        *at = (*at).max(seq);
        state.settle();
    }

    /// Waits until `seq` is acknowledged as it must be.
    pub(crate) async fn wait(&self, seq: u64, ack: WriteAck) {
        let acknowledged = {
            let mut state = self.0.lock();
            if state.is_met(seq, ack) {
                return;
            }
            let (done, acknowledged) = oneshot::channel();
            state.waiting.push(Waiting { seq, ack, done });
            acknowledged
        };
        // The sender is dropped only with the store, and then nobody is left to wait.
        let _ = acknowledged.await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn peers(peers: impl IntoIterator<Item = u64>) -> BTreeSet<Incarnation> {
        peers.into_iter().map(Incarnation).collect()
    }

    #[test]
    fn alone_nobody_is_waited_for() {
        let acks = Acks::default();
        for ack in [WriteAck::Local, WriteAck::ONE, WriteAck::AllAlive] {
            acks.wait(1, ack).now_or_never().unwrap();
        }
    }

    #[test]
    fn one_acknowledgement_is_enough_for_one_and_all_for_all() {
        let acks = Acks::default();
        acks.alive(peers([1, 2]));
        acks.wait(5, WriteAck::Local).now_or_never().unwrap();
        let mut one = Box::pin(acks.wait(5, WriteAck::ONE));
        let mut all = Box::pin(acks.wait(5, WriteAck::AllAlive));
        acks.acknowledged(Incarnation(1), 4);
        assert!(one.as_mut().now_or_never().is_none());
        acks.acknowledged(Incarnation(1), 5);
        one.now_or_never().unwrap();
        assert!(all.as_mut().now_or_never().is_none());
        acks.acknowledged(Incarnation(2), 9);
        all.now_or_never().unwrap();
        acks.wait(5, WriteAck::AllAlive).now_or_never().unwrap();
    }

    #[test]
    fn a_peer_that_is_dead_is_not_waited_for_and_one_that_came_is() {
        let acks = Acks::default();
        acks.alive(peers([1, 2]));
        let mut all = Box::pin(acks.wait(5, WriteAck::AllAlive));
        acks.acknowledged(Incarnation(1), 5);
        assert!(all.as_mut().now_or_never().is_none());
        acks.alive(peers([1]));
        all.now_or_never().unwrap();
        acks.alive(peers([1, 3]));
        assert!(acks.wait(5, WriteAck::AllAlive).now_or_never().is_none());
        acks.alive(peers([3]));
        acks.alive(peers([1]));
        let word = acks.wait(5, WriteAck::AllAlive).now_or_never();
        assert!(word.is_some(), "what it acknowledged before it has");
    }

    #[test]
    fn fewer_peers_than_wanted_are_all_that_is_waited_for() {
        let acks = Acks::default();
        acks.alive(peers([1]));
        let three = WriteAck::Replicas(NonZeroUsize::new(3).unwrap());
        assert!(acks.wait(5, three).now_or_never().is_none());
        acks.acknowledged(Incarnation(1), 5);
        acks.wait(5, three).now_or_never().unwrap();
    }

    #[test]
    fn a_wait_that_was_given_up_is_forgotten() {
        let acks = Acks::default();
        acks.alive(peers([1]));
        let mut all = Box::pin(acks.wait(5, WriteAck::AllAlive));
        assert!(all.as_mut().now_or_never().is_none());
        drop(all);
        acks.acknowledged(Incarnation(1), 1);
        assert!(acks.0.lock().waiting.is_empty());
    }
}
