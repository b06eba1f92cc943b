//! The panel beside every page: this session as the server sees it.

use std::time::Duration;

use maud::{Markup, html};
use session_core::{RESERVED_PREFIX, Record, SessionId, Standing, Timestamp};

use super::time::{ago, ahead, length, time};
use super::visitor::Visitor;
use crate::app::App;

/// Longer values are cut in the panel.
const MOST_OF_A_VALUE: usize = 120;
/// More entries than this are only counted.
const MOST_ENTRIES: usize = 20;

pub(crate) fn panel(app: &App, visitor: &Visitor) -> Markup {
    let live = visitor.live();
    html! {
        aside.panel aria-labelledby="panel-title" data-live[live.is_some()] {
            h2 #panel-title { "This session, as the server sees it" }
            div #session-details { (details(app, live)) }
            h3 #happenings-title { "What happens to it" }
            ol #happenings aria-live="polite" aria-labelledby="happenings-title" {}
            p.hint #happenings-hint {
                @if live.is_some() {
                    "Told live through the store's feed. Try another tab, or a second browser."
                } @else {
                    "Nothing: there is no session to which it could happen."
                }
            }
        }
    }
}

/// The part of the panel that changes with the record.
pub(crate) fn details(app: &App, live: Option<(SessionId, &Record)>) -> Markup {
    let now = app.sessions().now();
    html! {
        dl {
            @match live {
                Some((id, record)) => { (of_record(id, record, now)) }
                None => {
                    dt { "Session" }
                    dd { "none: nothing is stored, and there is no cookie" }
                }
            }
            dt { "Cookie" }
            dd { code { (app.cookie().name()) } br; code.dim { (app.cookie().attributes()) } }
            dt { "Store" }
            dd {
                (app.store_name())
                @if app.cluster().is_some() { ", " a href="/cluster" { "how it is doing" } }
                @if let Some(cache) = app.cache_usage() {
                    br;
                    span.dim {
                        "behind a cache, " (cache.hits) " of " (cache.hits + cache.misses)
                        " loads from memory"
                        @if !cache.holds_lease { "; it asks the store now, for the feed is late" }
                    }
                }
                @if let Some(draining) = app.draining() {
                    " " span.dim {
                        (app.metrics().left()) " left in the old one"
                        @if !draining.has_switched() { ", where new ones still go" }
                    }
                }
            }
            dt { "Node" }
            dd { (app.node()) }
        }
        @if let Some((_, record)) = live { (entries(record)) }
    }
}

fn of_record(id: SessionId, record: &Record, now: Timestamp) -> Markup {
    let header = record.header();
    html! {
        dt { "Id" }
        dd { code #session-id { (id) } }
        dt { "Signed in" }
        dd #session-subject {
            @match record.subject() {
                Some(name) => { strong { (name) } }
                None => { "nobody: an anonymous session" }
            }
        }
        dt { "Created" }
        dd { (ago(record.created_at(), now)) " " (time(record.created_at())) }
        dt { "Last seen" }
        dd { (ago(record.last_seen_at(), now)) " " (time(record.last_seen_at())) }
        dt { "Idle limit" }
        dd { (header.idle.map_or_else(|| "none: it is remembered".to_owned(), length)) }
        dt { "Expires" }
        dd { (ahead(record.expires_at(), now)) " " (time(record.expires_at())) }
        dt { "Deadline" }
        dd { (ahead(record.deadline(), now)) " " (time(record.deadline())) }
        dt { "Secret" }
        dd { (secrets(record, header.renewal)) }
    }
}

/// How many secrets the session has, and in what standing. Never one of them, nor its hash.
fn secrets(record: &Record, renewal: Option<Duration>) -> Markup {
    let count = |standing| {
        record
            .slots()
            .filter(|slot| slot.standing == standing)
            .count()
    };
    let (unseen, former) = (count(Standing::Unpresented), count(Standing::Former));
    html! {
        (if record.was_presented() { "in use" } else { "not seen yet" })
        @if record.was_presented() && unseen > 0 { ", " (unseen) " newer on the way" }
        @if former > 0 { ", " (former) " former" }
        @if let Some(renewal) = renewal.filter(|_| record.subject().is_some()) {
            " " span.dim { "new every " (length(renewal)) }
        }
    }
}

fn entries(record: &Record) -> Markup {
    let own = || {
        record
            .entries()
            .filter(|(name, _)| !name.starts_with(RESERVED_PREFIX))
    };
    let count = own().count();
    html! {
        h3 { "Entries" }
        @if count == 0 { p.hint { "None." } }
        dl.entries {
            @for (name, value) in own().take(MOST_ENTRIES) {
                dt { (name) }
                dd { code { (cut(value)) } }
            }
        }
        @if count > MOST_ENTRIES { p.hint { "And " (count - MOST_ENTRIES) " more." } }
    }
}

fn cut(value: &str) -> String {
    if value.chars().count() <= MOST_OF_A_VALUE {
        return value.to_owned();
    }
    let start: String = value.chars().take(MOST_OF_A_VALUE).collect();
    format!("{start}… ({} bytes)", value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "ä".repeat(200);
        assert!(cut(&long).ends_with("… (400 bytes)"));
        assert_eq!(cut("1"), "1");
    }
}
