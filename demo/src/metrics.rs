//! What Prometheus is told.

use std::fmt;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use session_core::{EndCause, Event, EventKind, Observer};

type Labels<const N: usize> = [(&'static str, String); N];
type Count = Box<dyn Fn() -> usize + Send + Sync>;

/// The program's counters. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    events: Family<[(&'static str, &'static str); 1], Counter>,
    requests: Family<Labels<3>, Counter>,
}

/// The counters, and everything else that is exported.
pub(crate) struct Metrics {
    pub(crate) counters: Counters,
    registry: Registry,
    stored: Gauge<i64, AtomicI64>,
    count: Option<Count>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            events: Family::default(),
            requests: Family::default(),
        }
    }

    /// Counts a request. The route is the router's pattern, never the path: what a client invents must
    /// not make a time series.
    pub(crate) fn request(&self, method: &axum::http::Method, route: &str, status: u16) {
        use axum::http::Method;
        let method = match *method {
            Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD => {
                method.as_str()
            }
            _ => "other",
        };
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
        ];
        self.requests.get_or_create(&labels).inc();
    }
}

impl Observer for Counters {
    fn observe(&self, event: &Event) {
        self.events
            .get_or_create(&[("event", name(event.kind))])
            .inc();
    }
}

impl Metrics {
    /// Exports the counters and, if it can be told, how many sessions the store holds.
    pub(crate) fn new(counters: Counters, count: Option<Count>) -> Self {
        let mut registry = Registry::default();
        registry.register(
            "session_events",
            "What happened to sessions",
            counters.events.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered",
            counters.requests.clone(),
        );
        let stored = Gauge::default();
        if count.is_some() {
            registry.register(
                "session_store_sessions",
                "Sessions that the store holds",
                stored.clone(),
            );
        }
        // Known from the start, so that a rise from nothing can be seen.
        let watched = [
            EventKind::UnknownToken,
            EventKind::SupersededToken,
            EventKind::ReuseSuspected,
        ];
        for kind in watched {
            let _ = counters.events.get_or_create(&[("event", name(kind))]);
        }
        Self {
            counters,
            registry,
            stored,
            count,
        }
    }

    /// The text that a scrape is answered with.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        if let Some(count) = &self.count {
            self.stored.set(i64::try_from(count()).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What an event is called, in metrics and in the live panel.
pub(crate) const fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => "created",
        EventKind::SignedIn => "signed_in",
        EventKind::Renewed => "renewed",
        EventKind::UnknownToken => "unknown_token",
        EventKind::SupersededToken => "superseded_token",
        EventKind::ReuseSuspected => "reuse_suspected",
        EventKind::ConflictingTokens => "conflicting_tokens",
        EventKind::Expired => "expired",
        EventKind::WriteRefused => "write_refused",
        EventKind::Destroyed(EndCause::SignOut) => "signed_out",
        EventKind::Destroyed(EndCause::SignOutOthers) => "signed_out_by_another",
        EventKind::Destroyed(EndCause::SignOutEverywhere) => "signed_out_everywhere",
        EventKind::Destroyed(EndCause::Replaced) => "replaced",
        EventKind::Destroyed(EndCause::Limit) => "ended_by_limit",
        EventKind::Destroyed(EndCause::ReuseSuspected) => "ended_on_reuse",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_the_gauge_are_exported() {
        let counters = Counters::new();
        let metrics = Metrics::new(counters.clone(), Some(Box::new(|| 7)));
        counters.request(&axum::http::Method::GET, "/", 200);
        let text = metrics.text().unwrap();
        assert!(text.contains("session_store_sessions 7\n"), "{text}");
        assert!(
            text.contains("session_events_total{event=\"unknown_token\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("http_requests_total{method=\"GET\",route=\"/\",status=\"200\"} 1\n"),
            "{text}"
        );
    }
}
