//! What goes wrong.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};

/// How far a clock is stepped, in milliseconds.
const STEP: i64 = 5_000;
/// How long a node is cut off before it is killed, so that it holds what no other node has.
const ALONE: Duration = Duration::from_secs(1);

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A node is killed, and started again with an empty memory.
    Killed,
    /// A node is cut off for a moment and then killed, with what no other node has.
    KilledAlone,
    /// The network falls into two.
    Parted,
    /// What some nodes send does not reach the others.
    HalfParted,
    /// One of 20 to one of 5 packets to some nodes is lost.
    Lossy,
    /// A node stands still.
    Stopped,
    /// The clock of a node is stepped by five seconds.
    ClockStepped,
    /// A node has 1 Mbit/s.
    Slow,
    /// All nodes are started again, one after the other.
    Rolled,
}

impl Fault {
    /// One word or two for it.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::KilledAlone => "cut off and killed",
            Self::Parted => "parted",
            Self::HalfParted => "parted one way",
            Self::Lossy => "lossy",
            Self::Stopped => "stopped",
            Self::ClockStepped => "clock stepped",
            Self::Slow => "slow",
            Self::Rolled => "all renewed",
        }
    }

    /// Brings it about, and ends it; says which nodes it happened to.
    ///
    /// # Errors
    ///
    /// If that fails, or a node does not come back.
    pub(crate) async fn happen(
        self,
        cluster: &Cluster,
        rng: &mut StdRng,
        longest: Duration,
    ) -> Result<Vec<usize>, String> {
        let node = rng.random_range(0..NODES);
        let mut whom = vec![node];
        let network = &cluster.network;
        match self {
            Self::Killed => {
                // In one of three cases the others take it for dead before it is back.
                let pause = match rng.random_range(0..3) {
                    0 => between(rng, longest / 2, longest),
                    _ => Duration::ZERO,
                };
                cluster.kill(node).await?;
                sleep(pause).await;
                cluster.start_again(node).await?;
            }
            Self::KilledAlone => {
                part(cluster, &[node], true).await?;
                sleep(ALONE).await;
                let killed = cluster.kill(node).await;
                network.heal().await?;
                killed?;
                cluster.start_again(node).await?;
            }
            Self::Parted | Self::HalfParted => {
                whom = some_nodes(rng);
                part(cluster, &whom, self == Self::Parted).await?;
                sleep(between(rng, Duration::from_secs(1), longest)).await;
                network.heal().await?;
            }
            Self::Lossy => {
                whom = some_nodes(rng);
                for node in &whom {
                    network.lose(*node, rng.random_range(5..=20)).await?;
                }
                sleep(longest / 2).await;
                network.heal().await?;
            }
            Self::Stopped => {
                let time = between(rng, Duration::from_secs(1), longest / 2);
                cluster.pause(node, time).await?;
            }
            Self::ClockStepped => {
                let offset = if rng.random() { STEP } else { -STEP };
                cluster.step_clock(node, offset).await?;
                sleep(Duration::from_secs(1)).await;
            }
            Self::Slow => {
                network.slow_down(node).await?;
                sleep(longest / 2).await;
                network.speed_up(node).await?;
            }
            Self::Rolled => {
                whom = (0..NODES).collect();
                for node in &whom {
                    cluster.renew(*node).await?;
                    cluster.spread().await?;
                }
            }
        }
        Ok(whom)
    }
}

/// Lets nothing that `some` send reach the others, and nothing reach `some` if it is `both` ways.
async fn part(cluster: &Cluster, some: &[usize], both: bool) -> Result<(), String> {
    for &one in some {
        for other in (0..NODES).filter(|other| !some.contains(other)) {
            cluster.network.cut(one, other).await?;
            if both {
                cluster.network.cut(other, one).await?;
            }
        }
    }
    Ok(())
}

/// From one to all but one.
fn some_nodes(rng: &mut StdRng) -> Vec<usize> {
    let count = rng.random_range(1..NODES);
    let mut all: Vec<_> = (0..NODES).collect();
    all.shuffle(rng);
    all.truncate(count);
    all
}

fn between(rng: &mut StdRng, least: Duration, most: Duration) -> Duration {
    rng.random_range(least..=most.max(least))
}

/// Faults in a random order, each as often as it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Deck {
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    /// These, again and again, shuffled anew each time.
    #[must_use]
    pub(crate) const fn new(all: Vec<Fault>) -> Self {
        Self {
            all,
            left: Vec::new(),
        }
    }

    pub(crate) fn draw(&mut self, rng: &mut StdRng) -> Option<Fault> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.left.shuffle(rng);
        }
        self.left.pop()
    }
}
