//! The stores, measured: rounds in which every subject has its turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::figures::{median, percentile};
use crate::group::{Filter, Group};
use crate::numbers::Numbers;
use crate::payload::Payload;
use crate::subject::{Filled, Ground, Operation, Order, Outcome, Role};

/// How large sessions are.
pub const SIZES: [usize; 3] = [200, 2 << 10, 16 << 10];
/// How many calls are made at once.
pub const IN_FLIGHT: [usize; 3] = [1, 16, 64];

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Sessions of up to 2 KB; a tenth of them above.
    pub sessions: usize,
    /// Rounds, in each of which every subject has one turn.
    pub rounds: usize,
    /// How long a turn is.
    pub turn: Duration,
}

impl Length {
    /// For figures that are published.
    pub const WHOLE: Self = Self {
        sessions: 100_000,
        rounds: 5,
        turn: Duration::from_millis(150),
    };
    /// For a look.
    pub const QUICK: Self = Self {
        sessions: 10_000,
        rounds: 3,
        turn: Duration::from_millis(60),
    };
    /// To see that everything works.
    pub const SMOKE: Self = Self {
        sessions: 40,
        rounds: 1,
        turn: Duration::from_millis(1),
    };

    const fn sessions_of(self, bytes: usize) -> usize {
        if bytes > 4 << 10 {
            self.sessions / 10
        } else {
            self.sessions
        }
    }
}

/// What was measured of one subject.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The group.
    pub group: &'static str,
    /// The verb.
    pub operation: Operation,
    /// The size of the sessions, in bytes.
    pub bytes: usize,
    /// How many calls at once.
    pub in_flight: usize,
    /// The subject.
    pub subject: &'static str,
    /// What it is to the comparison.
    pub role: Role,
    /// Calls a second: the median of the rounds.
    pub rate: f64,
    /// Seconds that half of the calls took at most; with one in flight.
    pub p50: Option<f64>,
    /// Seconds that 99 of 100 calls took at most; with one in flight.
    pub p99: Option<f64>,
}

/// Measures what `filter` chooses.
///
/// # Panics
///
/// When a subject fails: what is not done is not timed.
pub async fn measure(groups: &[Group], filter: &Filter, length: Length, seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in groups {
        for bytes in SIZES {
            let payload = Arc::new(Payload::of(bytes));
            let cells = cells(group, filter, &payload);
            if cells.is_empty() {
                continue;
            }
            eprintln!("{}, {}: filling", group.name, payload.label());
            let serving = group.service.start().await;
            let ground = Ground {
                sessions: length.sessions_of(bytes),
                payload,
                url: serving.url(),
            };
            let mut subjects = Vec::new();
            for contender in &group.contenders {
                let filled = (contender.open)(ground.clone()).await;
                subjects.push((contender.name, contender.role, filled));
            }
            for (operation, in_flight) in cells {
                let cell = Cell {
                    group: group.name,
                    operation,
                    bytes,
                    in_flight,
                    burst: group.burst,
                };
                rows.extend(cell.measure(&subjects, length, seed).await);
            }
        }
    }
    rows
}

/// What is chosen of a group at one size. Sessions are made last, for they stay, and only small ones.
fn cells(group: &Group, filter: &Filter, payload: &Payload) -> Vec<(Operation, usize)> {
    let all = group
        .operations
        .iter()
        .flat_map(|operation| IN_FLIGHT.map(|in_flight| (*operation, in_flight)));
    all.filter(|(operation, _)| *operation != Operation::Create || payload.bytes <= 200)
        .filter(|(operation, in_flight)| {
            filter.chooses_cell(group.name, *operation, &payload.label(), *in_flight)
        })
        .collect()
}

/// One line of figures: the same verb, size and number in flight for all subjects of a group.
struct Cell {
    group: &'static str,
    operation: Operation,
    bytes: usize,
    in_flight: usize,
    burst: usize,
}

type Opened = (&'static str, Role, Box<dyn Filled>);

impl Cell {
    async fn measure(&self, subjects: &[Opened], length: Length, seed: u64) -> Vec<Row> {
        let mut outcomes: BTreeMap<usize, Vec<Outcome>> = BTreeMap::new();
        // The first round warms up.
        for round in 0..=length.rounds {
            let mut order: Vec<usize> = (0..subjects.len()).collect();
            let seed = seed.wrapping_add(round as u64);
            Numbers::from_seed(seed).shuffle(&mut order);
            for at in order {
                let Some((_, _, subject)) = subjects.get(at) else {
                    continue;
                };
                let turn = if round == 0 {
                    length.turn / 3
                } else {
                    length.turn
                };
                let outcome = subject.run(self.order(turn, seed)).await;
                if round > 0 {
                    outcomes.entry(at).or_default().push(outcome);
                }
            }
        }
        let rows = subjects.iter().enumerate();
        rows.map(|(at, (subject, role, _))| {
            let outcomes = outcomes.remove(&at).unwrap_or_default();
            let rates: Vec<f64> = outcomes.iter().map(|outcome| outcome.rate).collect();
            let latencies: Vec<f64> = outcomes.into_iter().flat_map(|of| of.latencies).collect();
            Row {
                group: self.group,
                operation: self.operation,
                bytes: self.bytes,
                in_flight: self.in_flight,
                subject,
                role: *role,
                rate: median(&rates).unwrap_or_default(),
                p50: percentile(&latencies, 50),
                p99: percentile(&latencies, 99),
            }
        })
        .collect()
    }

    const fn order(&self, time: Duration, seed: u64) -> Order {
        Order {
            operation: self.operation,
            in_flight: self.in_flight,
            time,
            burst: self.burst,
            seed,
        }
    }
}
