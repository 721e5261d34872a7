//! What the host may be told, with defaults that suit a node of the public network.
//!
//! Every bound on what strangers can make this node hold is a field here. Nothing is read from files.

use std::time::Duration;

use dht_core::{ErrorKind, InvalidConfig};
use libp2p::{Multiaddr, multiaddr::Protocol};
use thiserror::Error;

/// Which addresses are dialled, and which of our own are told to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Globally routable addresses only, names checked again after they are resolved.
    #[default]
    Public,
    /// Every address: for networks of one machine or one site, and for tests.
    Any,
}

/// Options of [`Libp2p`](super::Libp2p).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen: `/ip4|ip6/…/tcp/…`, and `/udp/…/quic-v1` with the feature `quic`. Empty: dial only.
    /// Default: any free TCP port on every interface.
    pub listen: Vec<Multiaddr>,
    /// What to tell others instead of the addresses found out; believed and never tested. Default: empty, tell what was
    /// found out.
    pub announce: Vec<Multiaddr>,
    /// Names of the DHT protocol, the preferred first; `1..=8`. Default: `/ipfs/kad/1.0.0`.
    pub protocols: Vec<String>,
    /// What identify says this program is. Default: `dht/<version>`.
    pub agent: String,
    /// Whether to serve the protocol from the start. Default: no.
    pub serve: bool,
    /// Which addresses are dialled, and which of our own are told to the driver. Default: public ones.
    pub scope: Scope,
    /// Whether `/dns` and `/dnsaddr` addresses are resolved with the system's resolver. At most 32 lookups, 16 records
    /// each and 16 connection attempts for one address. Default: yes.
    pub names: bool,
    /// Whether to find out with AutoNAT v2 if this node can be reached, and to help others to. Default: yes.
    pub autonat: bool,
    /// How long a confirmed address goes without new proof until it is tested again, looked at every half of it. Two tests
    /// in a row that fail end the belief in it, and it is not tested for as long at least. Default: 30 min.
    pub recheck: Duration,

    /// A connection must stand (name resolution and handshake included) within this; one address gets half of it.
    /// Default: 10 s.
    pub dial_timeout: Duration,
    /// Peers dialled at the same time; further ones wait. Default: 64.
    pub max_dials: usize,
    /// Connection attempts to one globally routable host at the same time. Default: 3.
    pub dials_per_host: usize,

    /// A connection without streams closes after this. Default: 10 s.
    pub idle_timeout: Duration,
    /// Trimming starts above this many connections. Default: 192.
    pub high_water: usize,
    /// Trimming stops at this many. Default: 160.
    pub low_water: usize,
    /// Connections younger than this are not trimmed. Default: 20 s.
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
    pub ping_interval: Duration,
    /// … and closed when the ping stays unanswered for this long. Default: 10 s.
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
    pub inbound_idle: Duration,
    /// A message must be read or written whole within this, from its first byte. Default: 10 s.
    pub message_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let any = Multiaddr::empty().with(Protocol::Ip4([0, 0, 0, 0].into())).with(Protocol::Tcp(0));
        Self {
            listen: vec![any],
            announce: Vec::new(),
            protocols: vec!["/ipfs/kad/1.0.0".into()],
            agent: concat!("dht/", env!("CARGO_PKG_VERSION")).into(),
            serve: false,
            scope: Scope::Public,
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

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that has a value it must not have.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let names = &self.protocols;
        require((1..=8).contains(&names.len()), "protocols", names, "1 to 8 names")?;
        let well_formed = |name: &String| name.starts_with('/') && name.len() <= 140 && !name.contains('\n');
        let rule = "names that begin with `/`, at most 140 bytes";
        require(names.iter().all(well_formed), "protocols", names, rule)?;
        require(self.agent.len() <= 128, "agent", &self.agent, "at most 128 bytes")?;
        for (value, field) in [
            (self.recheck, "recheck"),
            (self.dial_timeout, "dial_timeout"),
            (self.ping_interval, "ping_interval"),
            (self.ping_timeout, "ping_timeout"),
            (self.stream_ttl, "stream_ttl"),
            (self.inbound_idle, "inbound_idle"),
            (self.message_timeout, "message_timeout"),
        ] {
            require(!value.is_zero(), field, value, "more than zero")?;
        }
        for (value, field) in [
            (self.max_dials, "max_dials"),
            (self.dials_per_host, "dials_per_host"),
            (self.high_water, "high_water"),
            (self.max_requests, "max_requests"),
            (self.requests_per_peer, "requests_per_peer"),
            (self.pipeline, "pipeline"),
            (self.inbound_per_subnet, "inbound_per_subnet"),
            (self.inbound_streams, "inbound_streams"),
            (self.inbound_pipeline, "inbound_pipeline"),
            (self.inbound_requests, "inbound_requests"),
            (self.bytes_per_peer, "bytes_per_peer"),
            (self.bytes, "bytes"),
            (self.connections_per_peer as usize, "connections_per_peer"),
            (self.max_connections as usize, "max_connections"),
        ] {
            require(value > 0, field, value, "at least 1")?;
        }
        require(self.low_water <= self.high_water, "low_water", self.low_water, "at most `high_water`")?;
        let streams = self.streams_per_connection;
        require((1..=8).contains(&streams), "streams_per_connection", streams, "1 to 8")?;
        let streams = self.inbound_streams_per_peer;
        require((1..=48).contains(&streams), "inbound_streams_per_peer", streams, "1 to 48")
    }
}

/// [`InvalidConfig::require`] for values of different types.
fn require(
    ok: bool,
    field: &'static str,
    value: impl std::fmt::Debug,
    rule: &'static str,
) -> Result<(), InvalidConfig> {
    InvalidConfig::require(ok, field, value, rule)
}

/// Why the host did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// An option has a value it must not have.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Listening on an address failed: it is in use, not ours, or of a kind that this build does not know.
    #[error("cannot listen on {addr}: {cause}")]
    Listen {
        /// Which of the addresses to listen on.
        addr: Multiaddr,
        /// Why.
        cause: String,
    },
    /// A transport could not be set up.
    #[error("cannot set up {what}: {cause}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// Why.
        cause: String,
    },
    /// The own peer ID is of a kind that the overlay does not know.
    #[error("the overlay does not know peer IDs of this kind of key")]
    Identity,
}

impl StartError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Identity => ErrorKind::Configuration,
            Self::Listen { .. } | Self::Setup { .. } => ErrorKind::Network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_faults_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let fault = |config: Config| config.validate().unwrap_err().field;
        assert_eq!(fault(Config { protocols: vec![], ..Config::default() }), "protocols");
        assert_eq!(fault(Config { protocols: vec!["kad".into()], ..Config::default() }), "protocols");
        assert_eq!(fault(Config { low_water: 500, ..Config::default() }), "low_water");
        assert_eq!(fault(Config { pipeline: 0, ..Config::default() }), "pipeline");
        assert_eq!(
            fault(Config { inbound_streams_per_peer: 64, ..Config::default() }),
            "inbound_streams_per_peer"
        );
        assert_eq!(fault(Config { message_timeout: Duration::ZERO, ..Config::default() }), "message_timeout");
    }
}
