//! The figures of a cluster, one a line.

use serde::Serialize;

use crate::subject::Role;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// p50 and p99 of the time until the last node has a write; at each number of nodes.
    Propagation(usize),
    WritesLocal,
    WritesSpread,
    WritesOne,
    LatencyOne,
    UpdateBusy,
    UpdateAlone,
    Touch,
    End,
    Idle,
    Bootstrap,
    BootstrapOfTenth,
    Tombstone,
    Heal,
    Killed,
    Hung,
    Partitioned,
}

impl Figure {
    /// What it is, and in what unit, as tables say it.
    pub(crate) fn words(self) -> (String, &'static str) {
        let (words, unit) = match self {
            Self::Propagation(nodes) => {
                let words = format!(
                    "a write is on the last of {nodes} nodes, 1,000 writes a second: p50 / p99"
                );
                return (words, "ms");
            }
            Self::WritesLocal => (
                "writes of one of 3 nodes, 64 in flight, acknowledged by none",
                "thousand/s",
            ),
            Self::WritesSpread => ("the same, until all of them are on all nodes", "thousand/s"),
            Self::WritesOne => (
                "the same, each acknowledged by one other node",
                "thousand/s",
            ),
            Self::LatencyOne => (
                "a write until one other of 3 nodes has acknowledged it: p50 / p99",
                "ms",
            ),
            Self::UpdateBusy => (
                "bytes on the wire of an update of one entry over its own, to one peer, 64 in flight: there / back",
                "B",
            ),
            Self::UpdateAlone => (
                "the same, 1,000 a second, each in a TLS record of its own: there / back",
                "B",
            ),
            Self::Touch => ("bytes on the wire of a touch, to one peer", "B"),
            Self::End => (
                "bytes on the wire of a destroy, to one peer, 64 in flight",
                "B",
            ),
            Self::Idle => ("what a node sends while nothing happens, 16 nodes", "B/s"),
            Self::Bootstrap => (
                "a new node has a million sessions, from the start of its process",
                "s",
            ),
            Self::BootstrapOfTenth => ("the same, 100,000 sessions", "s"),
            Self::Tombstone => ("memory of an end that is remembered", "B"),
            Self::Heal => (
                "a node has the 100,000 sessions it missed, from the end of the cut",
                "s",
            ),
            Self::Killed => ("a node that was killed is noticed", "ms"),
            Self::Hung => ("a node that hangs is noticed", "s"),
            Self::Partitioned => ("a cut that no packet passes is noticed", "s"),
        };
        (words.to_owned(), unit)
    }
}

/// What was seen of one figure.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterRow {
    pub(crate) figure: Figure,
    pub(crate) subject: &'static str,
    pub(crate) role: Role,
    pub(crate) values: Vec<f64>,
}

impl ClusterRow {
    /// Whose it is.
    #[must_use]
    pub const fn subject(&self) -> &'static str {
        self.subject
    }
}

/// A line.
pub(crate) fn row(
    figure: Figure,
    contender: &super::ClusterContender,
    values: Vec<f64>,
) -> ClusterRow {
    ClusterRow {
        figure,
        subject: contender.name,
        role: contender.role,
        values,
    }
}
