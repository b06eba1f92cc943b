//! How fast a write is everywhere, and how many there can be.

use std::time::Duration;

use super::node::{LOST, Order, Reply};
use super::process::{Node, Options};
use super::{ClusterContender, ClusterRow, Figure, Run, row};
use crate::figures::{median, percentile};
use crate::numbers::Numbers;

/// Sessions that are written to.
const SESSIONS: usize = 10_000;

/// Runs every contender once a round, in an order drawn anew; a figure is the median of the rounds.
async fn rounds<'a>(
    run: &Run<'a>,
    numbers: &mut Numbers,
    who: impl Fn(&ClusterContender) -> bool,
    measure: impl AsyncFn(&ClusterContender) -> Vec<f64>,
) -> Vec<(&'a ClusterContender, Vec<f64>)> {
    let mut seen: Vec<(&ClusterContender, Vec<Vec<f64>>)> = run
        .contenders
        .iter()
        .filter(|it| who(it))
        .map(|it| (it, Vec::new()))
        .collect();
    for _ in 0..run.length.rounds {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        numbers.shuffle(&mut order);
        for at in order {
            let values = measure(seen[at].0).await;
            seen[at].1.push(values);
        }
    }
    seen.into_iter()
        .map(|(contender, rounds)| {
            let width = rounds.first().map_or(0, Vec::len);
            let medians = (0..width).map(|column| {
                let column: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
                median(&column).unwrap()
            });
            (contender, medians.collect())
        })
        .collect()
}

/// Milliseconds from the call until the last node has what was written.
pub(super) async fn propagation(run: &Run<'_>, numbers: &mut Numbers) -> Vec<ClusterRow> {
    let mut rows = Vec::new();
    for (at, count) in run.length.nodes.into_iter().enumerate() {
        let figure = Figure::Propagation([3, 5, 16][at]);
        let seen = rounds(
            run,
            numbers,
            |_| true,
            async |contender| {
                let mut nodes = run.cluster(contender, count, Options::default()).await;
                let last = spread(contender, &mut nodes, run.length.writes).await;
                [50, 99]
                    .map(|percent| percentile(&last, percent).unwrap())
                    .to_vec()
            },
        )
        .await;
        rows.extend(
            seen.into_iter()
                .map(|(contender, values)| row(figure, contender, values)),
        );
    }
    rows
}

/// Per write of the last node, the milliseconds until all others have it.
async fn spread(contender: &ClusterContender, nodes: &mut [Node], writes: usize) -> Vec<f64> {
    let (writer, others) = nodes.split_last_mut().unwrap();
    let sessions = SESSIONS.min(writes);
    writer.order(Order::Make(sessions)).await;
    for other in others.iter_mut().filter(|_| contender.keeps) {
        other.at(Order::Sessions(sessions)).await;
    }
    let Reply::Times(begun) = writer.order(Order::Write(writes)).await else {
        panic!("no times");
    };
    let mut last = vec![0; writes];
    let mut seen_by = vec![0; writes];
    let all = others.len();
    for other in others {
        let Reply::Marks(marks) = other.order(Order::Seen(writes)).await else {
            panic!("no marks");
        };
        for (number, at) in marks {
            let number = usize::try_from(number).unwrap() - 1;
            last[number] = at.max(last[number]);
            seen_by[number] += 1;
        }
    }
    begun
        .into_iter()
        .zip(last.into_iter().zip(seen_by))
        .map(|(begun, (last, seen_by))| {
            if seen_by < all {
                return LOST.as_secs_f64() * 1e3;
            }
            milliseconds(begun, last)
        })
        .collect()
}

pub(super) fn milliseconds(from: u64, to: u64) -> f64 {
    Duration::from_micros(to.saturating_sub(from)).as_secs_f64() * 1e3
}

/// Thousands of writes a second of one of three nodes.
pub(super) async fn writes(run: &Run<'_>, numbers: &mut Numbers) -> Vec<ClusterRow> {
    let time = Duration::from_secs(run.length.flood);
    let mut rows = Vec::new();
    for waits in [false, true] {
        let who = |it: &ClusterContender| it.keeps && (it.acknowledges || !waits);
        let seen = rounds(run, numbers, who, async |contender| {
            let options = Options {
                waits,
                ..Options::default()
            };
            let mut nodes = run.cluster(contender, 3, options).await;
            let (writer, others) = nodes.split_last_mut().unwrap();
            writer.order(Order::Make(SESSIONS)).await;
            for other in &mut *others {
                other.at(Order::Sessions(SESSIONS)).await;
            }
            let start = crate::stopwatch::Stopwatch::start();
            let (calls, seconds) = writer.flood(Order::Flood(time)).await;
            let mut values = vec![calls / seconds / 1e3];
            if !waits {
                // One more session, behind all that was written.
                writer.order(Order::Make(1)).await;
                for other in others {
                    other.at(Order::Sessions(SESSIONS + 1)).await;
                }
                values.push(calls / start.seconds() / 1e3);
            }
            values
        })
        .await;
        for (contender, values) in seen {
            let figures: &[Figure] = if waits {
                &[Figure::WritesOne]
            } else {
                &[Figure::WritesLocal, Figure::WritesSpread]
            };
            for (figure, value) in figures.iter().zip(values) {
                rows.push(row(*figure, contender, vec![value]));
            }
        }
    }
    rows
}

/// Milliseconds of a write that one other of three nodes acknowledges.
pub(super) async fn latency(run: &Run<'_>, numbers: &mut Numbers) -> Vec<ClusterRow> {
    let seen = rounds(
        run,
        numbers,
        |it| it.acknowledges,
        async |contender| {
            let options = Options {
                waits: true,
                ..Options::default()
            };
            let mut nodes = run.cluster(contender, 3, options).await;
            let writer = nodes.last_mut().unwrap();
            writer
                .order(Order::Make(SESSIONS.min(run.length.writes)))
                .await;
            let Reply::Seconds(seconds) = writer.order(Order::Latencies(run.length.writes)).await
            else {
                panic!("no latencies");
            };
            [50, 99]
                .map(|percent| percentile(&seconds, percent).unwrap() * 1e3)
                .to_vec()
        },
    )
    .await;
    seen.into_iter()
        .map(|(contender, values)| row(Figure::LatencyOne, contender, values))
        .collect()
}
