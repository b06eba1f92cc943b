//! What Prometheus is told.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use session_core::{EndCause, Event, EventKind, Observer};
use store_memory::CachedUsage;

use crate::cluster::{ClusterMetrics, Node};
use crate::stores::CacheUsage;

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
    cache: Option<(CacheUsage, CacheMetrics)>,
    left: Gauge<i64, AtomicI64>,
}

/// What is exported of the cache in front of the store.
#[derive(Debug, Default)]
struct CacheMetrics {
    hits: Counter,
    misses: Counter,
    loads: Counter,
    copies: Gauge<i64, AtomicI64>,
    holds_lease: Gauge<i64, AtomicI64>,
}

impl CacheMetrics {
    fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let counters = [
            ("hits", "Loads answered from memory", &metrics.hits),
            ("misses", "Loads answered by the store", &metrics.misses),
            ("loads", "Calls that loaded from the store", &metrics.loads),
        ];
        for (name, help, counter) in counters {
            registry.register(format!("session_cache_{name}"), help, counter.clone());
        }
        let gauges = [
            ("copies", "Copies held", &metrics.copies),
            (
                "holds_lease",
                "Whether it may answer from memory",
                &metrics.holds_lease,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(format!("session_cache_{name}"), help, gauge.clone());
        }
        metrics
    }

    fn set(&self, usage: CachedUsage) {
        for (counter, value) in [
            (&self.hits, usage.hits),
            (&self.misses, usage.misses),
            (&self.loads, usage.loads),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
        self.copies
            .set(i64::try_from(usage.copies).unwrap_or(i64::MAX));
        self.holds_lease.set(i64::from(usage.holds_lease));
    }
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
    /// Exports the counters; how many sessions the store holds, if it can be told; what the cache in front
    /// of it has done, if there is one; while a store is drained, how many are left in it; and how a node
    /// of a cluster and its peers are doing.
    pub(crate) fn new(
        counters: Counters,
        count: Option<Count>,
        cache: Option<CacheUsage>,
        drains: bool,
        node: Option<Node>,
    ) -> Self {
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
        let left = Gauge::default();
        if drains {
            registry.register(
                "session_store_left",
                "Sessions that are left in the store that is drained, 10,000 at most",
                left.clone(),
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
        if let Some(node) = node {
            registry.register_collector(Box::new(ClusterMetrics(node)));
        }
        let cache = cache.map(|usage| (usage, CacheMetrics::registered(&mut registry)));
        Self {
            counters,
            registry,
            stored,
            count,
            cache,
            left,
        }
    }

    /// How many sessions are left in the store that is drained.
    pub(crate) fn set_left(&self, left: usize) {
        self.left.set(i64::try_from(left).unwrap_or(i64::MAX));
    }

    pub(crate) fn left(&self) -> i64 {
        self.left.get()
    }

    /// The text that a scrape is answered with.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        if let Some(count) = &self.count {
            self.stored.set(i64::try_from(count()).unwrap_or(i64::MAX));
        }
        if let Some((usage, metrics)) = &self.cache {
            metrics.set(usage());
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
        let metrics = Metrics::new(counters.clone(), Some(Box::new(|| 7)), None, true, None);
        metrics.set_left(5);
        counters.request(&axum::http::Method::GET, "/", 200);
        let text = metrics.text().unwrap();
        assert!(text.contains("session_store_sessions 7\n"), "{text}");
        assert!(text.contains("session_store_left 5\n"), "{text}");
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
