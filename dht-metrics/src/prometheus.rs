//! The numbers as Prometheus scrapes them.
//!
//! The counters are encoded when somebody asks, straight from the state; there is no second set of them.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use dht_core::Overlay;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use crate::{
    Metrics,
    count::{self, Count},
    latency::Latencies,
};

/// A [`Collector`] of some [`Metrics`], for a registry that has others' metrics as well.
pub struct Exporter<O: Overlay>(Arc<Metrics<O>>);

impl<O: Overlay> Exporter<O> {
    /// Collects from `metrics`.
    pub fn new(metrics: Arc<Metrics<O>>) -> Self {
        Self(metrics)
    }

    /// The text of these metrics alone, every name beginning with `dht_`.
    ///
    /// # Errors
    /// When the encoder fails, which writing to a string gives no reason for.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("dht");
        registry.register_collector(Box::new(Self(Arc::clone(&self.0))));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

impl<O: Overlay> Debug for Exporter<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

impl<O: Overlay> Collector for Exporter<O> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.state();
        let gauges = [
            ("queries_running", "Lookups and stores under way", state.running),
            ("table_size", "Peers in the routing table", state.table as u64),
            ("connections", "Open connections", state.connections as u64),
        ];
        for (name, help, value) in gauges {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        for family in FAMILIES {
            let mut metric = encoder.encode_descriptor(family.0, family.1, None, MetricType::Counter)?;
            for (count, value) in state.counts.iter() {
                let (name, labels) = describe(count);
                if name != family.0 {
                    continue;
                }
                if labels.is_empty() {
                    metric.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
                } else {
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
                }
            }
        }
        encode_latencies(
            &mut encoder,
            "query_duration",
            "How long lookups and stores took",
            &state.query_latency,
        )?;
        encode_latencies(
            &mut encoder,
            "request_duration",
            "From a request to its answer",
            &state.request_latency,
        )
    }
}

fn encode_latencies(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    latencies: &Latencies,
) -> fmt::Result {
    let (sum, count, buckets) = latencies.exposition();
    encoder
        .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

/// Counter families: name and help.
const FAMILIES: [(&str, &str); 13] = [
    ("queries_started", "Lookups and stores begun"),
    ("queries_finished", "Lookups and stores ended; not_found is neither success nor failure"),
    ("requests_sent", "Requests sent"),
    ("requests_answered", "Requests answered"),
    ("requests_answered_late", "Of the requests answered, those that had been given up"),
    ("requests_failed", "Requests failed"),
    ("requests_served", "Requests of others"),
    ("peers_added", "Peers that entered the routing table"),
    ("peers_removed", "Peers that left the routing table"),
    ("buckets_refreshed", "Buckets refreshed"),
    ("store_items", "Items that came, were refused or were read in the local store"),
    ("store_expired", "Items of the local store that expired"),
    ("errors", "Failures by kind"),
];

/// A counter's family and labels.
fn describe(count: Count) -> (&'static str, Vec<(&'static str, &'static str)>) {
    match count {
        Count::QueryStarted(kind) => ("queries_started", vec![("operation", count::operation(kind))]),
        Count::QueryFinished(kind, ending) => (
            "queries_finished",
            vec![("operation", count::operation(kind)), ("outcome", count::ending(ending))],
        ),
        Count::RequestSent(kind) => ("requests_sent", vec![("kind", count::request(kind))]),
        Count::RequestAnswered(kind) => ("requests_answered", vec![("kind", count::request(kind))]),
        Count::RequestLate(kind) => ("requests_answered_late", vec![("kind", count::request(kind))]),
        Count::RequestFailed(kind, why) => {
            ("requests_failed", vec![("kind", count::request(kind)), ("error", why.name())])
        }
        Count::RequestServed(kind, ok) => {
            let outcome = if ok { "answered" } else { "refused" };
            ("requests_served", vec![("kind", count::request(kind)), ("outcome", outcome)])
        }
        Count::PeerAdded => ("peers_added", Vec::new()),
        Count::PeerRemoved => ("peers_removed", Vec::new()),
        Count::BucketRefreshed => ("buckets_refreshed", Vec::new()),
        Count::Items(kind, plural) => {
            let class = if plural { "providers" } else { "values" };
            ("store_items", vec![("event", count::store(kind)), ("class", class)])
        }
        Count::Expired => ("store_expired", Vec::new()),
        Count::Error(kind) => ("errors", vec![("kind", kind.name())]),
    }
}
