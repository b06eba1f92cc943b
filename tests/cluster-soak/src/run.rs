//! One run, from the start of the nodes to the report.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store_cluster::ClusterStoreBuilder;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::fault::{Deck, Fault};
use crate::findings::{Finding, Findings};
use crate::load::Load;
use crate::moment::now;

/// After so many faults the nodes are left at rest, to compare what they hold.
const REST: usize = 8;

/// What a run is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// One other node acknowledges changes, and nothing is lost.
    Kept,
    /// Nobody does, nodes are killed with what they alone hold, and it is seen that this is lost.
    Control,
    /// All nodes begin with the wire version before this one, and are upgraded one after the other.
    Upgrade,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it is to show.
    pub aim: Aim,
    /// For how long.
    pub length: Duration,
    /// How many operations a second.
    pub rate: u32,
    /// What all that is random follows from, but the moments at which things happen.
    pub seed: u64,
}

impl Plan {
    /// A short run has every fault once, and each is short.
    fn is_short(&self) -> bool {
        self.length < Duration::from_secs(10 * 60)
    }

    /// How long a fault lasts at most.
    fn longest(&self) -> Duration {
        Duration::from_secs(if self.is_short() { 4 } else { 20 })
    }

    fn deck(&self) -> Deck {
        use Fault::{
            ClockStepped, HalfParted, Killed, KilledAlone, Lossy, Parted, Rolled, Slow, Stopped,
        };
        let each = vec![
            Killed,
            Parted,
            HalfParted,
            Lossy,
            Stopped,
            ClockStepped,
            Slow,
        ];
        Deck::new(match (self.aim, self.is_short()) {
            (Aim::Control, _) => vec![Killed, KilledAlone],
            (Aim::Upgrade, _) => vec![Killed, Parted],
            (Aim::Kept, true) => [each, vec![Rolled]].concat(),
            (Aim::Kept, false) => {
                let cards = (0..8).flat_map(|_| {
                    let more = [Killed, Killed, Killed, Parted, HalfParted, Lossy, Stopped];
                    [each.clone(), more.to_vec()].concat()
                });
                let mut cards: Vec<_> = cards.collect();
                cards.extend([Rolled, Rolled]);
                cards
            }
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    findings: Findings,
    faults: BTreeMap<&'static str, usize>,
    load: Arc<Load>,
    /// How long it was under load: the last fault may end later than planned.
    lasted: Duration,
    peak_memory: u64,
    /// Whether nodes of both versions were seen to speak with each other.
    was_mixed: bool,
}

impl Report {
    /// Whether all is as it must be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let broken = &self.findings.0;
        match self.plan.aim {
            Aim::Kept => broken.is_empty(),
            Aim::Upgrade => broken.is_empty() && self.was_mixed,
            Aim::Control => {
                let lost = self.findings.count(Finding::Lost);
                lost > 0 && lost == broken.len()
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            aim,
            length,
            rate,
            seed,
        } = self.plan;
        let figures = self.load.figures.lock();
        let ledger = self.load.ledger.lock();
        let made = figures.made();
        let each = made / self.lasted.as_secs().max(1);
        writeln!(
            f,
            "cluster, {aim:?}, {NODES} nodes, {length:?}, seed {seed}"
        )?;
        writeln!(f, "  faults: {:?}", self.faults)?;
        writeln!(
            f,
            "  {made} calls, {each} a second of {rate}, to {} sessions",
            ledger.sessions
        )?;
        writeln!(f, "{figures}")?;
        writeln!(
            f,
            "  most memory of a node: {} MiB",
            self.peak_memory / 1024
        )?;
        writeln!(
            f,
            "  {} times an ended session was served by a node that was cut off, or had not heard of it yet",
            ledger.stale
        )?;
        if self.plan.aim == Aim::Upgrade {
            let mixed = if self.was_mixed {
                "spoke"
            } else {
                "NEVER spoke"
            };
            writeln!(f, "  nodes of both versions {mixed} with each other")?;
        }
        write!(f, "  {}", self.findings)
    }
}

/// Runs a plan, with `program` as what a node is: it calls [`crate::node::serve`].
///
/// # Errors
///
/// If a node does not come back, or the nodes do not come to hold the same.
pub async fn run(plan: Plan, program: &Path) -> Result<Report, String> {
    println!("{plan:?}");
    let before = *ClusterStoreBuilder::WIRE_VERSIONS.start();
    let wire = (plan.aim == Aim::Upgrade).then_some(before);
    let is_local = plan.aim == Aim::Control;
    let cluster = Arc::new(Cluster::start(program.to_owned(), is_local, wire).await?);
    cluster.spread().await?;
    let load = Arc::new(Load::new(Arc::clone(&cluster), plan.rate, plan.seed));
    let running = tokio::spawn(Arc::clone(&load).run());
    let begun = now();
    load.turn_on();
    let troubled = trouble(plan, &cluster, &load).await;
    load.turn_off().await;
    let lasted = begun.elapsed();
    running.abort();
    let (faults, was_mixed) = troubled.map_err(|error| format!("{error}\n{}", logs(&cluster)))?;
    rest(&cluster, &load)
        .await
        .map_err(|error| format!("{error}\n{}", logs(&cluster)))?;
    load.settle().await?;
    let findings = load.ledger.lock().findings(cluster.alarms());
    Ok(Report {
        plan,
        findings,
        faults,
        load,
        lasted,
        peak_memory: cluster.peak_memory(),
        was_mixed,
    })
}

fn logs(cluster: &Cluster) -> String {
    cluster.alarms().join("\n")
}

/// Has faults happen until the time is over; then none is left.
async fn trouble(
    plan: Plan,
    cluster: &Cluster,
    load: &Load,
) -> Result<(BTreeMap<&'static str, usize>, bool), String> {
    let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_add(1));
    let mut faults = BTreeMap::new();
    let mut deck = plan.deck();
    let mut was_mixed = false;
    let begun = now();
    let mut upgraded = 0;
    let mut count = 0;
    let all_are_upgraded = |upgraded| plan.aim != Aim::Upgrade || upgraded == NODES;
    while begun.elapsed() < plan.length || !all_are_upgraded(upgraded) {
        sleep(rng.random_range(Duration::from_millis(500)..plan.longest() / 5)).await;
        // Spread over the run: the first at the first sixth, the last at the fifth.
        if !all_are_upgraded(upgraded) {
            let turn = u32::try_from(upgraded).unwrap_or_default() + 1;
            if begun.elapsed() > plan.length / 6 * turn {
                cluster.speaks(upgraded, None);
                cluster.renew(upgraded).await?;
                // Else the next node to be killed might take along what only two had.
                cluster.spread().await?;
                upgraded += 1;
                was_mixed |= is_mixed(cluster).await;
                *faults.entry("upgraded").or_insert(0) += 1;
            }
        }
        let Some(fault) = deck.draw(&mut rng) else {
            continue;
        };
        *faults.entry(fault.name()).or_insert(0) += 1;
        let started = begun.elapsed();
        let whom = fault.happen(cluster, &mut rng, plan.longest()).await?;
        // Whatever was answered by now; what is answered later may still have to spread.
        let healed = now();
        let took = cluster.spread().await?;
        let (from, until) = (started.as_secs_f64(), (healed - begun).as_secs_f64());
        let name = fault.name();
        println!("{from:7.1} to {until:6.1} s: {name} {whom:?}, everywhere after {took:.1?}");
        load.figures
            .lock()
            .spread
            .entry(fault.name())
            .or_default()
            .push(took);
        load.ledger.lock().is_spread(healed);
        count += 1;
        if count % REST == 0 {
            load.turn_off().await;
            rest(cluster, load).await?;
            load.turn_on();
        }
    }
    Ok((faults, was_mixed))
}

/// Waits until nodes that nobody asks anything hold the same.
async fn rest(cluster: &Cluster, load: &Load) -> Result<(), String> {
    cluster.spread().await?;
    let took = cluster.at_rest().await?;
    load.figures.lock().rest.push(took);
    Ok(())
}

/// Whether links of both versions stand.
async fn is_mixed(cluster: &Cluster) -> bool {
    let standings = cluster.standings().await.unwrap_or_default();
    let mut versions: Vec<_> = standings.into_iter().flat_map(|it| it.versions).collect();
    versions.sort_unstable();
    versions.dedup();
    versions.len() > 1
}
