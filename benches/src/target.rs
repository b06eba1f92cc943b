//! What a whole run is held against.

use serde::Serialize;

use crate::cluster::{ClusterRow, Figure};
use crate::figures::{ratio, shown};
use crate::http::{SiteRow, Tier};
use crate::run::Results;
use crate::stores::{Row, SIZES};
use crate::subject::{Operation, Role};
use crate::table::best_peer;
use crate::weight::WeightRow;

/// One figure that is wanted, at up to three sizes, and what was seen of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// Whether it is met by more of it.
    pub(crate) at_least: bool,
    pub(crate) wanted: Vec<f64>,
    pub(crate) seen: Vec<Option<f64>>,
}

impl Target {
    /// Whether every figure is there and as it should be.
    pub(crate) fn is_met(&self) -> bool {
        self.wanted.iter().zip(&self.seen).all(|(wanted, seen)| {
            seen.is_some_and(|seen| {
                if self.at_least {
                    seen >= *wanted
                } else {
                    seen <= *wanted
                }
            })
        })
    }

    /// Its line in the table of targets.
    pub(crate) fn line(&self) -> String {
        let list = |figures: Vec<String>| figures.join(" / ");
        let wanted = list(self.wanted.iter().map(|wanted| shown(*wanted)).collect());
        let seen = list(
            self.seen
                .iter()
                .map(|seen| seen.map_or_else(|| "–".to_owned(), shown))
                .collect(),
        );
        let sign = if self.at_least { "≥" } else { "≤" };
        let met = if self.is_met() { "yes" } else { "**no**" };
        format!(
            "| {} | {sign} {wanted} {} | {seen} | {met} |",
            self.what, self.unit
        )
    }
}

/// Whom a figure of ours is compared with.
#[derive(Clone, Copy)]
enum Against {
    Peers,
    Named(&'static str),
}

/// A verb of a store, compared.
struct Compared {
    what: &'static str,
    operation: Operation,
    in_flight: usize,
    ours: &'static str,
    against: Against,
    wanted: &'static [f64],
}

const LOAD: Operation = Operation::Load;
const WRITE: Operation = Operation::Write;
const CREATE: Operation = Operation::Create;

const MEMORY: &str = "store-memory";
const REDIS: &str = "store-redis";
const POSTGRES: &str = "store-postgres";
const UNLOGGED: &str = "store-postgres, unlogged";
const DASHMAP: Against = Against::Named("raw dashmap");
const REDIS_RS: Against = Against::Named("raw redis-rs");
const SQLX: Against = Against::Named("raw sqlx");
const TOWER_REDIS: Against = Against::Named("tower-sessions redis");
const TOWER_POSTGRES: Against = Against::Named("tower-sessions postgres");

#[rustfmt::skip]
const COMPARED: &[Compared] = &[
    compared("memory load, to the best peer", LOAD, 16, MEMORY, Against::Peers, &[5.0, 15.0, 200.0]),
    compared("memory load, to the raw map", LOAD, 16, MEMORY, DASHMAP, &[0.6, 0.6, 0.6]),
    compared("memory write, to the best peer", WRITE, 16, MEMORY, Against::Peers, &[5.0, 10.0, 20.0]),
    compared("Redis load, to tower-sessions, 64 in flight", LOAD, 64, REDIS, TOWER_REDIS, &[2.0, 3.0, 6.0]),
    compared("Redis load, to the raw driver, 64 in flight", LOAD, 64, REDIS, REDIS_RS, &[1.0, 1.0, 1.0]),
    compared("Redis write, to tower-sessions, 64 in flight", WRITE, 64, REDIS, TOWER_REDIS, &[1.2, 1.2, 1.0]),
    compared("Postgres load, to tower-sessions, 64 in flight", LOAD, 64, POSTGRES, TOWER_POSTGRES, &[5.0, 5.0, 4.0]),
    compared("Postgres durable write, to tower-sessions, 64 in flight", WRITE, 64, POSTGRES, TOWER_POSTGRES, &[3.0]),
    compared("Postgres durable create, to tower-sessions, 64 in flight", CREATE, 64, POSTGRES, TOWER_POSTGRES, &[4.0]),
    compared("Postgres unlogged create, to tower-sessions, 64 in flight", CREATE, 64, UNLOGGED, TOWER_POSTGRES, &[6.0]),
    compared("Redis load, to the raw driver, one in flight", LOAD, 1, REDIS, REDIS_RS, &[0.85, 0.85, 0.85]),
    compared("Redis write, to the raw driver, one in flight", WRITE, 1, REDIS, REDIS_RS, &[0.85, 0.85, 0.85]),
    compared("Postgres load, to the raw driver, one in flight", LOAD, 1, POSTGRES, SQLX, &[0.85, 0.85, 0.85]),
    compared("Postgres write, to the raw driver, one in flight", WRITE, 1, POSTGRES, SQLX, &[0.85, 0.85, 0.85]),
];

const fn compared(
    what: &'static str,
    operation: Operation,
    in_flight: usize,
    ours: &'static str,
    against: Against,
    wanted: &'static [f64],
) -> Compared {
    Compared {
        what,
        operation,
        in_flight,
        ours,
        against,
        wanted,
    }
}

impl Compared {
    fn target(&self, rows: &[Row]) -> Target {
        let seen = SIZES.iter().take(self.wanted.len()).map(|bytes| {
            let here: Vec<&Row> = rows
                .iter()
                .filter(|row| {
                    (row.operation, row.in_flight, row.bytes)
                        == (self.operation, self.in_flight, *bytes)
                })
                .collect();
            let ours = here.iter().find(|row| row.subject == self.ours)?;
            let others = here.iter().filter(|row| row.group == ours.group);
            let of = others
                .filter(|row| match self.against {
                    Against::Peers => row.role == Role::Peer,
                    Against::Named(name) => row.subject == name,
                })
                .map(|row| row.rate)
                .max_by(f64::total_cmp)?;
            ratio(ours.rate, of)
        });
        Target {
            what: self.what,
            unit: "×",
            at_least: true,
            wanted: self.wanted.to_vec(),
            seen: seen.collect(),
        }
    }
}

/// All targets, with what a run saw of each; those it did not look at are left out.
pub(crate) fn all(results: &Results) -> Vec<Target> {
    let mut targets: Vec<Target> = COMPARED
        .iter()
        .map(|compared| compared.target(&results.stores))
        .collect();
    let hit = cached(&results.stores, "Cached hit");
    let moka = cached(&results.stores, "raw moka");
    targets.extend([
        Target {
            what: "`Cached` hit, p50",
            unit: "µs",
            at_least: false,
            wanted: vec![3.0; SIZES.len()],
            seen: hit.map(|hit| Some(hit? * 1e6)).to_vec(),
        },
        Target {
            what: "`Cached` hit, p50, to raw moka",
            unit: "×",
            at_least: false,
            wanted: vec![2.0; SIZES.len()],
            seen: hit
                .into_iter()
                .zip(moka)
                .map(|(hit, moka)| ratio(hit?, moka?))
                .collect(),
        },
        Target {
            what: "HTTP read-only session in memory, to no session at all",
            unit: "×",
            at_least: true,
            wanted: vec![0.9],
            seen: vec![read_to_none(&results.http)],
        },
        Target {
            what: "HTTP counter session in memory / on Redis / in PostgreSQL, to the best peer",
            unit: "×",
            at_least: true,
            wanted: vec![1.0, 1.3, 1.6],
            seen: [Tier::Memory, Tier::Redis, Tier::Postgres]
                .map(|tier| count_to_peers(&results.http, tier))
                .to_vec(),
        },
        Target {
            what: "bytes of a 200-byte session at a million in memory, anonymous / signed in",
            unit: "B",
            at_least: false,
            wanted: vec![450.0, 520.0],
            seen: ["store-memory, anonymous", "store-memory, signed in"]
                .map(|store| {
                    let row = results.bytes.iter().find(|row| row.store == store)?;
                    u32::try_from(row.bytes).ok().map(f64::from)
                })
                .to_vec(),
        },
    ]);
    targets.extend(clusters(&results.clusters, &results.bytes));
    targets.retain(|target| target.seen.iter().any(Option::is_some));
    targets
}

/// What a cluster of ours is held against.
#[rustfmt::skip]
fn clusters(rows: &[ClusterRow], bytes: &[WeightRow]) -> Vec<Target> {
    let seen = |figure: Figure, at: usize| {
        let row = rows.iter().find(|row| (row.figure, row.role) == (figure, Role::Ours))?;
        row.values.get(at).copied()
    };
    let weight = |name: &str| {
        let row = bytes.iter().find(|row| row.store == name)?;
        u32::try_from(row.bytes).ok().map(|bytes| f64::from(bytes) - 200.0)
    };
    let target = |what, unit, at_least, pairs: &[(f64, Option<f64>)]| Target {
        what,
        unit,
        at_least,
        wanted: pairs.iter().map(|(wanted, _)| *wanted).collect(),
        seen: pairs.iter().map(|(_, seen)| *seen).collect(),
    };
    vec![
        target("cluster, a write is on the last of 3 / 5 / 16 nodes, p99", "ms", false, &[
            (1.0, seen(Figure::Propagation(3), 1)),
            (3.0, seen(Figure::Propagation(5), 1)),
            (10.0, seen(Figure::Propagation(16), 1)),
        ]),
        target("cluster, thousand writes a second of one of 3 nodes, acknowledged by none / by one other", "", true, &[
            (50.0, seen(Figure::WritesLocal, 0)),
            (15.0, seen(Figure::WritesOne, 0)),
        ]),
        target("cluster, a write until one other of 3 nodes has acknowledged it, p50 / p99", "ms", false, &[
            (0.35, seen(Figure::LatencyOne, 0)),
            (1.5, seen(Figure::LatencyOne, 1)),
        ]),
        target("cluster, memory of a session over its 200 bytes, anonymous / signed in", "B", false, &[
            (300.0, weight("store-cluster, anonymous")),
            (300.0, weight("store-cluster, signed in")),
        ]),
        target("cluster, memory of an end that is remembered", "B", false, &[
            (64.0, seen(Figure::Tombstone, 0)),
        ]),
        target("cluster, bytes on the wire to a peer: an update over its own / a touch / a destroy", "B", false, &[
            (64.0, seen(Figure::UpdateBusy, 0)),
            (12.0, seen(Figure::Touch, 0)),
            (40.0, seen(Figure::End, 0)),
        ]),
        target("cluster, what an idle node of 16 sends", "B/s", false, &[
            (1024.0, seen(Figure::Idle, 0)),
        ]),
        target("cluster, a new node has a million sessions", "s", false, &[
            (10.0, seen(Figure::Bootstrap, 0)),
        ]),
        target("cluster, a node that was cut off has the 100,000 sessions it missed", "s", false, &[
            (2.0, seen(Figure::Heal, 0)),
        ]),
        target("cluster, a node that was killed is noticed", "ms", false, &[
            (100.0, seen(Figure::Killed, 0)),
        ]),
        target("cluster, a node that hangs / a cut is noticed", "s", false, &[
            (6.0, seen(Figure::Hung, 0)),
            (6.0, seen(Figure::Partitioned, 0)),
        ]),
    ]
}

/// What half of the loads of one in flight take at most, by size.
fn cached(rows: &[Row], subject: &str) -> [Option<f64>; 3] {
    SIZES.map(|bytes| {
        let row = rows.iter().find(|row| {
            (row.group, row.subject, row.bytes, row.in_flight) == ("cached", subject, bytes, 1)
        })?;
        row.p50
    })
}

fn read_to_none(rows: &[SiteRow]) -> Option<f64> {
    let read = |wanted: &dyn Fn(&SiteRow) -> bool| {
        rows.iter().find(|row| row.route == "read" && wanted(row))
    };
    let ours = read(&|row| row.role == Role::Ours && row.tier == Tier::Memory)?;
    ratio(ours.rate, read(&|row| row.tier == Tier::None)?.rate)
}

fn count_to_peers(rows: &[SiteRow], tier: Tier) -> Option<f64> {
    let rows: Vec<&SiteRow> = rows.iter().filter(|row| row.route == "count").collect();
    let ours = rows
        .iter()
        .find(|row| row.role == Role::Ours && row.tier == tier)?;
    ratio(ours.rate, best_peer(&rows, tier)?.rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &'static str, role: Role, bytes: usize, rate: f64) -> Row {
        Row {
            group: "memory",
            operation: LOAD,
            bytes,
            in_flight: 16,
            subject,
            role,
            rate,
            p50: None,
            p99: None,
        }
    }

    #[test]
    fn the_best_peer_is_the_one_to_beat_at_each_size() {
        let mut rows = Vec::new();
        for (bytes, slow, fast) in [(200, 1.0, 2.0), (2 << 10, 2.0, 1.0)] {
            rows.push(row("slow", Role::Peer, bytes, slow));
            rows.push(row("fast", Role::Peer, bytes, fast));
            rows.push(row("raw dashmap", Role::Floor, bytes, 100.0));
            rows.push(row(MEMORY, Role::Ours, bytes, 30.0));
        }
        let [target, to_map, ..] = &all(&Results::of(rows))[..] else {
            panic!("two targets are about these rows");
        };
        assert_eq!(target.seen, [Some(15.0), Some(15.0), None]);
        assert!(!target.is_met(), "a figure is missing");
        assert_eq!(to_map.seen, [Some(0.3), Some(0.3), None]);
    }

    #[test]
    fn a_target_is_met_from_the_right_side() {
        let target = |at_least, seen: f64| Target {
            what: "",
            unit: "",
            at_least,
            wanted: vec![2.0],
            seen: vec![Some(seen)],
        };
        assert!(target(true, 2.0).is_met() && target(false, 2.0).is_met());
        assert!(!target(true, 1.9).is_met() && !target(false, 2.1).is_met());
    }
}
