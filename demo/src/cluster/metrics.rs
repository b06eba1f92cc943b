//! What Prometheus is told of a cluster.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use store_cluster::MemberStatus;

use super::Node;

/// Reads a node's figures at each scrape: members come and go, and so do their series.
#[derive(Debug)]
pub(crate) struct ClusterMetrics(pub(crate) Node);

impl Collector for ClusterMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Node {
            store,
            cluster,
            name,
        } = &self.0;
        let usage = store.usage();
        let mut gauge = |name: &str, help: &str, value: usize| {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            number(value).encode(metric)
        };
        let (ready, tombstones) = ("session_cluster_ready", "session_cluster_tombstones");
        gauge(
            ready,
            "Whether this node holds what the others hold",
            usize::from(store.is_ready()),
        )?;
        gauge(
            tombstones,
            "Ends that this node remembers",
            usage.tombstones,
        )?;
        let help = "Bytes of the sessions and of the ends that are remembered";
        gauge("session_cluster_bytes", help, usage.bytes)?;
        if let Some(expires_at) = store.certificate_expires_at() {
            let seconds = usize::try_from(expires_at.as_millis() / 1_000).unwrap_or(usize::MAX);
            let name = "session_cluster_certificate_expires_seconds";
            gauge(
                name,
                "When this node's certificate expires, as Unix time",
                seconds,
            )?;
        }

        let info = [
            ("cluster", cluster.clone()),
            ("node", name.clone()),
            ("address", store.address().to_string()),
        ];
        let mut metric = encoder.encode_descriptor(
            "session_cluster_node",
            "This node, and where it listens for others",
            None,
            MetricType::Info,
        )?;
        metric.encode_info(&info)?;

        let members = store.members();
        type Figure = fn(&MemberStatus) -> usize;
        let figures: [(&str, &str, Figure); 4] = [
            ("up", "Whether another node is alive", |it| {
                usize::from(it.is_up)
            }),
            (
                "linked",
                "Whether sessions go to it and come from it",
                |it| usize::from(it.is_linked),
            ),
            ("ready", "Whether it holds what the others hold", |it| {
                usize::from(it.is_ready)
            }),
            (
                "lag",
                "Changes of this node that it has not acknowledged",
                |it| usize::try_from(it.lag).unwrap_or(usize::MAX),
            ),
        ];
        for (name, help, figure) in figures {
            let name = format!("session_cluster_member_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for member in &members {
                let of = [("node", member.node.as_str())];
                number(figure(member)).encode(family.encode_family(&of)?)?;
            }
        }

        let refused = store.refused();
        let mut family = encoder.encode_descriptor(
            "session_cluster_refused",
            "What came and does not belong to the cluster",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in reasons(refused) {
            let of = [("reason", reason)];
            ConstCounter::new(count).encode(family.encode_family(&of)?)?;
        }
        Ok(())
    }
}

/// Why something was refused, and how often.
pub(crate) const fn reasons(refused: store_cluster::Refused) -> [(&'static str, u64); 8] {
    [
        ("certificate", refused.certificate),
        ("hello", refused.hello),
        ("clock", refused.clock),
        ("retired", refused.retired),
        ("crowded", refused.crowded),
        ("oversized", refused.oversized),
        ("malformed", refused.malformed),
        ("repeated", refused.repeated),
    ]
}

fn number(value: usize) -> ConstGauge {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
