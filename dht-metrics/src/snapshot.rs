//! The numbers as people read them: plain values, taken at one moment.

use std::{collections::BTreeMap, time::Duration};

use derive_where::derive_where;
use dht_core::{ErrorKind, OperationKind, Overlay, RequestKind, StoreKind};

use crate::count::{Count, Counts, Ending};

/// What happened since the start or the last reset, and how things stand.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot<O: Overlay> {
    /// How long this covers; zero when the time was told only once.
    pub covers: Duration,
    /// Lookups and stores in all.
    pub queries: QueryCounts,
    /// The same, by kind.
    pub queries_by_kind: BTreeMap<OperationKind, QueryCounts>,
    /// Lookups and stores under way.
    pub queries_running: u64,
    /// How long they took; cancelled ones do not count. `None` while none has ended.
    pub query_latency: Option<Latency>,
    /// Requests of ours in all.
    pub requests: RequestCounts,
    /// The same, by kind.
    pub requests_by_kind: BTreeMap<RequestKind, RequestCounts>,
    /// From sending a request to its answer. `None` while none was answered.
    pub request_latency: Option<Latency>,
    /// Strangers' requests.
    pub served: ServedCounts,
    /// The routing table.
    pub table: TableCounts,
    /// Provider records (or Mainline peers) in the local store.
    pub providers: ItemCounts,
    /// Values in the local store.
    pub values: ItemCounts,
    /// Items of the local store that expired, of either sort.
    pub expired: u64,
    /// Failures by kind: of queries, of requests, and others.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Peers with the most failures, most first.
    pub error_peers: Vec<ErrorPeer<O::PeerId>>,
    /// How much happened per second within the last minute.
    pub rates: Rates,
    /// Connections open now.
    pub connections: usize,
}

/// Lookups and stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Begun.
    pub total: u64,
    /// Did what was asked.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// Ran to their end and found nothing: neither a success nor a failure.
    pub not_found: u64,
    /// Given up by the caller.
    pub cancelled: u64,
}

impl QueryCounts {
    /// Successes among successes and failures; `None` while there are neither.
    pub fn success_rate(&self) -> Option<f64> {
        share(self.ok, self.failed)
    }

    fn of(counts: &Counts, kind: OperationKind) -> Self {
        let ended = |ending| counts.get(Count::QueryFinished(kind, ending));
        Self {
            total: counts.get(Count::QueryStarted(kind)),
            ok: ended(Ending::Ok),
            failed: ended(Ending::Failed),
            not_found: ended(Ending::NotFound),
            cancelled: ended(Ending::Cancelled),
        }
    }

    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.ok += other.ok;
        self.failed += other.failed;
        self.not_found += other.not_found;
        self.cancelled += other.cancelled;
    }
}

/// Requests of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Sent.
    pub total: u64,
    /// Answered.
    pub ok: u64,
    /// Failed for whatever reason.
    pub failed: u64,
    /// Of the failed ones, those that were not answered in time.
    pub timed_out: u64,
}

impl RequestCounts {
    /// Answered ones among answered and failed; `None` while there are neither.
    pub fn success_rate(&self) -> Option<f64> {
        share(self.ok, self.failed)
    }

    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.ok += other.ok;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
    }
}

/// Strangers' requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServedCounts {
    /// Answered.
    pub ok: u64,
    /// Refused.
    pub refused: u64,
}

/// The routing table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Peers in it now.
    pub size: usize,
    /// Peers that entered.
    pub added: u64,
    /// Peers that left.
    pub removed: u64,
    /// Buckets refreshed.
    pub refreshed: u64,
}

/// Items in the local store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Stored.
    pub stored: u64,
    /// Refused.
    pub refused: u64,
    /// Loaded for an answer.
    pub retrieved: u64,
}

impl ItemCounts {
    fn of(counts: &Counts, plural: bool) -> Self {
        let items = |kind| counts.get(Count::Items(kind, plural));
        Self {
            stored: items(StoreKind::Saved),
            refused: items(StoreKind::Refused),
            retrieved: items(StoreKind::Loaded),
        }
    }
}

/// How long something took; quantiles are within one per cent, and above an hour the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The mean.
    pub average: Duration,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// Half were no longer than this.
    pub p50: Duration,
    /// 95 of 100 were no longer than this.
    pub p95: Duration,
    /// 99 of 100 were no longer than this.
    pub p99: Duration,
}

/// A peer and how often it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPeer<P> {
    /// Who.
    pub peer: P,
    /// Failures, at most.
    pub errors: u64,
    /// How many of them may be others', whose place it took.
    pub uncertain: u64,
}

/// Per second, over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Lookups and stores that ended.
    pub queries: f64,
    /// Requests sent.
    pub requests_sent: f64,
    /// Requests answered.
    pub requests_answered: f64,
    /// Requests failed.
    pub requests_failed: f64,
    /// Strangers' requests answered or refused.
    pub requests_served: f64,
    /// Failures of any kind.
    pub errors: f64,
}

/// The parts of a snapshot that are counts alone.
pub(crate) struct Counted {
    pub(crate) queries: QueryCounts,
    pub(crate) queries_by_kind: BTreeMap<OperationKind, QueryCounts>,
    pub(crate) requests: RequestCounts,
    pub(crate) requests_by_kind: BTreeMap<RequestKind, RequestCounts>,
    pub(crate) served: ServedCounts,
    pub(crate) providers: ItemCounts,
    pub(crate) values: ItemCounts,
    pub(crate) errors: BTreeMap<ErrorKind, u64>,
}

impl Counted {
    pub(crate) fn from_counts(counts: &Counts) -> Self {
        let mut counted = Self {
            queries: QueryCounts::default(),
            queries_by_kind: BTreeMap::new(),
            requests: RequestCounts::default(),
            requests_by_kind: BTreeMap::new(),
            served: ServedCounts::default(),
            providers: ItemCounts::of(counts, true),
            values: ItemCounts::of(counts, false),
            errors: BTreeMap::new(),
        };
        for kind in [OperationKind::Closest, OperationKind::Fetch, OperationKind::Store] {
            let of_kind = QueryCounts::of(counts, kind);
            counted.queries.add(&of_kind);
            counted.queries_by_kind.insert(kind, of_kind);
        }
        for (count, n) in counts.iter().filter(|(_, n)| *n > 0) {
            match count {
                Count::RequestSent(kind) => counted.requests_by_kind.entry(kind).or_default().total += n,
                Count::RequestAnswered(kind) => counted.requests_by_kind.entry(kind).or_default().ok += n,
                Count::RequestFailed(kind, why) => {
                    let of_kind = counted.requests_by_kind.entry(kind).or_default();
                    of_kind.failed += n;
                    of_kind.timed_out += if why == ErrorKind::Timeout { n } else { 0 };
                }
                Count::RequestServed(_, true) => counted.served.ok += n,
                Count::RequestServed(_, false) => counted.served.refused += n,
                Count::Error(kind) => *counted.errors.entry(kind).or_default() += n,
                _ => {}
            }
        }
        counted.requests_by_kind.values().for_each(|of_kind| counted.requests.add(of_kind));
        counted
    }
}

fn share(ok: u64, failed: u64) -> Option<f64> {
    (ok + failed > 0).then(|| ok as f64 / (ok + failed) as f64)
}
