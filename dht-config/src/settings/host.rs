//! Connections and streams: what the host may hold, dial and keep.
//!
//! The host is a crate beside this one, so these are fields of their own; the names are the host's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Connections and streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// What identify says this program is. Default: `dht/<version>`.
    pub agent: String,
    /// Whether `/dns` and `/dnsaddr` addresses are resolved with the system's resolver. At most 32 lookups, 16 records
    /// each and 16 connection attempts for one address. Default: yes.
    pub names: bool,
    /// Whether to find out with AutoNAT v2 if this node can be reached, and to help others to. Default: yes.
    pub autonat: bool,
    /// How long a confirmed address is believed without new proof, and an address that failed is not tested again.
    /// Default: 30 min.
    #[serde(with = "humantime_serde")]
    pub recheck: Duration,
    /// A connection must stand (name resolution and handshake included) within this. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub dial_timeout: Duration,
    /// Peers dialled at the same time; further ones wait. Default: 64.
    pub max_dials: usize,
    /// Connection attempts to one globally routable host at the same time. Default: 3.
    pub dials_per_host: usize,
    /// A connection without streams closes after this. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Trimming starts above this many connections. Default: 192.
    pub high_water: usize,
    /// Trimming stops at this many. Default: 160.
    pub low_water: usize,
    /// Connections younger than this are not trimmed. Default: 20 s.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Connections that are ever open, in both directions; new ones are refused beyond. Default: 512.
    pub max_connections: u32,
    /// Of those, at most so many that others opened, so that there is always room for our own. Default: 384.
    pub max_inbound_connections: u32,
    /// Connections with one peer. Default: 2.
    pub connections_per_peer: u32,
    /// Connections that one globally routable /24 (IPv4) or /48 (IPv6) may open to us. Default: 8.
    pub inbound_per_subnet: usize,
    /// A connection that is kept is pinged when nothing was heard for this long. Default: 15 s.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// … and closed when the ping stays unanswered for this long. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
    /// Requests of ours that wait for an answer, over all peers. Default: 4096.
    pub max_requests: usize,
    /// Requests of ours that wait for one peer. Default: 64.
    pub requests_per_peer: usize,
    /// Streams that we keep open on one connection, `1..=8`. Default: 4.
    pub streams_per_connection: usize,
    /// Requests that are under way on one of our streams. With `streams_per_connection` this bounds what one
    /// connection carries: 16 by default, half of what other implementations accept. Default: 4.
    pub pipeline: usize,
    /// An idle stream of ours is closed after this; others close theirs after 10 s. Default: 8 s.
    #[serde(with = "humantime_serde")]
    pub stream_ttl: Duration,
    /// DHT streams of one peer that are served at a time, `1..=48`; further ones wait. Default: 32.
    pub inbound_streams_per_peer: usize,
    /// DHT streams that all peers may have open with us. Default: 4096.
    pub inbound_streams: usize,
    /// Requests that may be under way on one stream; we stop reading beyond. Default: 16.
    pub inbound_pipeline: usize,
    /// Requests of strangers that wait for our answer, over all peers. Default: 1024.
    pub inbound_requests: usize,
    /// Bytes that one peer may make us hold: frames being read, requests under way, unread answers. Default: 8 MiB.
    pub bytes_per_peer: usize,
    /// Bytes that all peers together may make us hold in that way. Default: 128 MiB.
    pub bytes: usize,
    /// An inbound stream on which nothing happens is closed after this. Default: 60 s.
    #[serde(with = "humantime_serde")]
    pub inbound_idle: Duration,
    /// A message must be read or written whole within this, from its first byte. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub message_timeout: Duration,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            agent: concat!("dht/", env!("CARGO_PKG_VERSION")).into(),
            names: true,
            autonat: true,
            recheck: Duration::from_secs(30 * 60),
            dial_timeout: Duration::from_secs(10),
            max_dials: 64,
            dials_per_host: 3,
            idle_timeout: Duration::from_secs(10),
            high_water: 192,
            low_water: 160,
            grace: Duration::from_secs(20),
            max_connections: 512,
            max_inbound_connections: 384,
            connections_per_peer: 2,
            inbound_per_subnet: 8,
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(10),
            max_requests: 4096,
            requests_per_peer: 64,
            streams_per_connection: 4,
            pipeline: 4,
            stream_ttl: Duration::from_secs(8),
            inbound_streams_per_peer: 32,
            inbound_streams: 4096,
            inbound_pipeline: 16,
            inbound_requests: 1024,
            bytes_per_peer: 8 << 20,
            bytes: 128 << 20,
            inbound_idle: Duration::from_secs(60),
            message_timeout: Duration::from_secs(10),
        }
    }
}
