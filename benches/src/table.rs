//! What was measured, as people read it: Markdown.

use std::fmt::Write as _;

use crate::cluster::ClusterRow;
use crate::figures::{ratio, shown};
use crate::http::{SiteRow, Tier};
use crate::stores::{IN_FLIGHT, Row, SIZES};
use crate::subject::{Operation, Role};
use crate::target::Target;
use crate::weight::WeightRow;

/// All tables of the stores.
#[must_use]
pub(crate) fn stores(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        if !groups.contains(&row.group) {
            groups.push(row.group);
        }
    }
    for group in groups {
        for operation in Operation::ALL {
            let rows: Vec<&Row> = rows
                .iter()
                .filter(|row| row.group == group && row.operation == operation)
                .collect();
            if !rows.is_empty() {
                table(&mut text, group, operation, &rows);
            }
        }
    }
    text
}

fn table(text: &mut String, group: &str, operation: Operation, rows: &[&Row]) {
    let mut subjects: Vec<(&str, Role)> = Vec::new();
    for row in rows {
        if !subjects.contains(&(row.subject, row.role)) {
            subjects.push((row.subject, row.role));
        }
    }
    let title = format!("{group}, {}", operation.name());
    let _ = writeln!(
        text,
        "| {title} | 1 in flight | p50 µs | p99 µs | 16 | 64 |\n|---|---|---|---|---|---|"
    );
    let by_size = |cell: &dyn Fn(usize) -> Option<String>| {
        let cells: Vec<String> = SIZES.iter().filter_map(|bytes| cell(*bytes)).collect();
        cells.join(" / ")
    };
    for (subject, _) in &subjects {
        let find = |bytes, in_flight| {
            rows.iter()
                .find(|row| (row.subject, row.bytes, row.in_flight) == (*subject, bytes, in_flight))
        };
        let rate =
            |in_flight| by_size(&|bytes| find(bytes, in_flight).map(|row| shown(row.rate / 1e3)));
        let p50 = by_size(&|bytes| Some(shown(find(bytes, 1)?.p50? * 1e6)));
        let p99 = by_size(&|bytes| Some(shown(find(bytes, 1)?.p99? * 1e6)));
        let [one, some, many] = IN_FLIGHT.map(rate);
        let _ = writeln!(
            text,
            "| {subject} | {one} | {p50} | {p99} | {some} | {many} |"
        );
    }
    for (ours, _) in subjects.iter().filter(|(_, role)| *role == Role::Ours) {
        for (other, _) in subjects.iter().filter(|(_, role)| *role != Role::Ours) {
            let cells = IN_FLIGHT
                .map(|in_flight| by_size(&|bytes| times(rows, ours, other, bytes, in_flight)));
            let [one, some, many] = cells;
            let _ = writeln!(
                text,
                "| **{ours} : {other}** | {one} | | | {some} | {many} |"
            );
        }
    }
    text.push('\n');
}

fn times(rows: &[&Row], ours: &str, other: &str, bytes: usize, in_flight: usize) -> Option<String> {
    let rate = |subject: &str| {
        let row = rows
            .iter()
            .find(|row| (row.subject, row.bytes, row.in_flight) == (subject, bytes, in_flight))?;
        Some(row.rate)
    };
    Some(format!("×{}", shown(ratio(rate(ours)?, rate(other)?)?)))
}

/// The tables of the HTTP level.
#[must_use]
pub(crate) fn http(rows: &[SiteRow]) -> String {
    let mut text = String::new();
    let mut routes: Vec<&str> = rows.iter().map(|row| row.route).collect();
    routes.dedup();
    for route in routes {
        let rows: Vec<&SiteRow> = rows.iter().filter(|row| row.route == route).collect();
        let none = rows.iter().find(|row| row.tier == Tier::None);
        let _ = writeln!(
            text,
            "| http, {route} | thousand a second | p50 µs | p99 µs | to no session | to the best peer |\n|---|---|---|---|---|---|"
        );
        for row in &rows {
            let to = |other: Option<f64>| {
                let times = ratio(row.rate, other?)?;
                Some(format!("×{}", shown(times)))
            };
            let best = best_peer(&rows, row.tier).map(|peer| peer.rate);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                row.site,
                shown(row.rate / 1e3),
                shown(row.p50 * 1e6),
                shown(row.p99 * 1e6),
                to(none.map(|none| none.rate)).unwrap_or_default(),
                to(best.filter(|_| row.role == Role::Ours)).unwrap_or_default(),
            );
        }
        text.push('\n');
    }
    text
}

/// The fastest of other people's sites that keep their sessions in the same place.
pub(crate) fn best_peer<'a>(rows: &[&'a SiteRow], tier: Tier) -> Option<&'a SiteRow> {
    rows.iter()
        .copied()
        .filter(|row| row.tier == tier && row.role == Role::Peer)
        .max_by(|one, other| one.rate.total_cmp(&other.rate))
}

/// The figures of clusters: a line each, a column for everybody.
#[must_use]
pub(crate) fn clusters(rows: &[ClusterRow]) -> String {
    let mut subjects: Vec<&str> = Vec::new();
    let mut figures = Vec::new();
    for row in rows {
        if !subjects.contains(&row.subject) {
            subjects.push(row.subject);
        }
        if !figures.contains(&row.figure) {
            figures.push(row.figure);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "| cluster | unit | {} |\n|---|---|{}\n",
        subjects.join(" | "),
        "---|".repeat(subjects.len())
    );
    for figure in figures {
        let (words, unit) = figure.words();
        let cells: Vec<String> = subjects
            .iter()
            .map(|subject| {
                let row = rows
                    .iter()
                    .find(|row| (row.figure, row.subject) == (figure, *subject));
                let values = row.map_or(&[][..], |row| &row.values);
                let values: Vec<String> = values.iter().map(|value| shown(*value)).collect();
                values.join(" / ")
            })
            .collect();
        let _ = writeln!(text, "| {words} | {unit} | {} |", cells.join(" | "));
    }
    text.push('\n');
    text
}

/// What is wanted and what was seen.
#[must_use]
pub(crate) fn targets(targets: &[Target]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = targets.iter().map(Target::line).collect();
    format!(
        "| target, at 200 B / 2 KB / 16 KB | wanted | seen | met |\n|---|---|---|---|\n{}\n\n",
        lines.join("\n")
    )
}

/// What sessions weigh.
#[must_use]
pub(crate) fn bytes(rows: &[WeightRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| format!("| {} | {} |", row.store, row.bytes))
        .collect();
    format!(
        "| in memory | bytes of a 200-byte session, everything counted |\n|---|---|\n{}\n\n",
        lines.join("\n")
    )
}
