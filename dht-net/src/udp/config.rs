//! What the transport may be told, with defaults that suit a node of the public network. Every bound on what strangers can
//! make it hold is a field here.

use std::{io, net::SocketAddr, time::Duration};

use dht_core::{ErrorKind, InvalidConfig};
use thiserror::Error;

/// How much of what per second. Zero is refused everywhere: a node that shall ask or answer nothing is not run, or told
/// [`Order::Serve(false)`](crate::Order::Serve).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Questions of ours per second. Default: 250.
    pub max_qps: u32,
    /// Of those, to places that were not asked within [`Config::destination_memory`]: each costs a router on the way an
    /// entry in its table. Default: 200.
    pub max_new_destinations: u32,
    /// Questions of ours that may go out at once after a silence. Default: 50.
    pub burst: u32,
    /// Questions that one address (IPv6: one /64) gets answered per second. Default: 10.
    pub source_qps: u32,
    /// … and at once after a silence. Default: 50.
    pub source_burst: u32,
    /// Questions that one /24 (IPv6: one /48) gets answered per second, and at once. Default: 100. Not counted where the
    /// network is local.
    pub network_qps: u32,
    /// Questions that everybody together gets answered per second. Addresses that proved nothing share three quarters of
    /// it. Default: 20,000.
    pub max_answers: u32,
    /// Bytes of answers per second. Default: 8 MiB.
    pub max_answer_bytes: u32,
    /// Bytes per second to one address that proved nothing. Default: 1,000.
    pub unproven_bytes: u32,
    /// Bytes per second to all such addresses of one /24 (IPv6: one /48). Default: 4,000.
    pub unproven_network_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_qps: 250,
            max_new_destinations: 200,
            burst: 50,
            source_qps: 10,
            source_burst: 50,
            network_qps: 100,
            max_answers: 20_000,
            max_answer_bytes: 8 << 20,
            unproven_bytes: 1_000,
            unproven_network_bytes: 4_000,
        }
    }
}

impl Limits {
    /// Limits that nobody reaches: for networks of one machine, where everybody is trusted.
    pub fn unlimited() -> Self {
        const MANY: u32 = u32::MAX;
        Self {
            max_qps: MANY,
            max_new_destinations: MANY,
            burst: MANY,
            source_qps: MANY,
            source_burst: MANY,
            network_qps: MANY,
            max_answers: MANY,
            max_answer_bytes: MANY,
            unproven_bytes: MANY,
            unproven_network_bytes: MANY,
        }
    }

    /// Whether every limit lets something through.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for (field, value) in [
            ("max_qps", self.max_qps),
            ("max_new_destinations", self.max_new_destinations),
            ("burst", self.burst),
            ("source_qps", self.source_qps),
            ("source_burst", self.source_burst),
            ("network_qps", self.network_qps),
            ("max_answers", self.max_answers),
            ("max_answer_bytes", self.max_answer_bytes),
            ("unproven_bytes", self.unproven_bytes),
            ("unproven_network_bytes", self.unproven_network_bytes),
        ] {
            InvalidConfig::require(value > 0, field, value, "at least 1")?;
        }
        Ok(())
    }
}

/// Options of [`Udp`](super::Udp).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether many nodes share few addresses, as on one machine: limits then count for each address with its port.
    /// Default: no.
    pub local: bool,
    /// How much per second; what [`Rates`](super::Rates) changes later.
    pub limits: Limits,

    /// Questions of ours that wait for their answer; beyond, a request fails as overloaded. Default: 4,096.
    pub max_questions: usize,
    /// Of those, that wait for their turn to be sent. Default: 2,048.
    pub max_queued: usize,
    /// Questions of strangers that wait for the driver; the oldest gives way. Default: 1,024.
    pub max_pending: usize,
    /// Datagrams that wait for the socket; beyond, answers are dropped and questions wait. Default: 1,024.
    pub max_outbox: usize,

    /// Sources whose rate is tracked, 40 bytes each; the one that was silent longest gives way. Default: 65,536.
    pub tracked_sources: usize,
    /// Addresses that are remembered as proven. Default: 16,384.
    pub tracked_proven: usize,
    /// For how long an address that echoed is believed to be that of the asker. Default: 15 min.
    pub proven_lifetime: Duration,
    /// Places that are remembered as asked. Default: 16,384.
    pub tracked_destinations: usize,
    /// For how long a place that was asked is not a new one. Default: 5 min.
    pub destination_memory: Duration,

    /// Bytes of the largest answer. Default: 1,440, which every path of 1,492 bytes carries whole.
    pub max_answer: usize,
    /// Bytes of the largest answer to an address that proved nothing. Default: 300.
    pub max_unproven_answer: usize,
    /// Bytes that such an address may be sent beyond what came from it, and has to earn back then. Default: 600.
    pub unproven_allowance: u32,
    /// Answers that wait for an echo of their asker. Default: 256.
    pub max_held: usize,
    /// How long they wait; then a small answer goes out. Default: 1.5 s.
    pub hold: Duration,
    /// A question that comes again within this, byte for byte, is a duplicate. Default: 250 ms.
    pub duplicate_window: Duration,

    /// The longest pause after the system had no room for a datagram or did not permit it. Default: 1 s.
    pub max_backoff: Duration,
    /// Bytes that the system is asked to buffer for us on the way in; it may give less. Default: 4 MiB.
    pub receive_buffer: usize,
    /// Bytes that the system is asked to buffer for us on the way out; it may give less. Default: 1 MiB.
    pub send_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local: false,
            limits: Limits::default(),
            max_questions: 4_096,
            max_queued: 2_048,
            max_pending: 1_024,
            max_outbox: 1_024,
            tracked_sources: 65_536,
            tracked_proven: 16_384,
            proven_lifetime: Duration::from_secs(15 * 60),
            tracked_destinations: 16_384,
            destination_memory: Duration::from_secs(5 * 60),
            max_answer: 1_440,
            max_unproven_answer: 300,
            unproven_allowance: 600,
            max_held: 256,
            hold: Duration::from_millis(1_500),
            duplicate_window: Duration::from_millis(250),
            max_backoff: Duration::from_secs(1),
            receive_buffer: 4 << 20,
            send_buffer: 1 << 20,
        }
    }
}

impl Config {
    /// The defaults for a network of one machine or one site: [`Config::local`], and limits that nobody reaches.
    pub fn local() -> Self {
        Self { local: true, limits: Limits::unlimited(), ..Self::default() }
    }

    /// Whether the options make sense.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.limits.validate()?;
        for (field, value, most) in [
            ("max_questions", self.max_questions, 1 << 20),
            ("max_queued", self.max_queued, self.max_questions),
            ("max_pending", self.max_pending, 1 << 20),
            ("max_outbox", self.max_outbox, 1 << 16),
            ("tracked_sources", self.tracked_sources, 1 << 24),
            ("tracked_proven", self.tracked_proven, 1 << 24),
            ("tracked_destinations", self.tracked_destinations, 1 << 24),
            ("max_held", self.max_held, 1 << 12),
            ("max_unproven_answer", self.max_unproven_answer, self.max_answer),
            ("receive_buffer", self.receive_buffer, 1 << 30),
            ("send_buffer", self.send_buffer, 1 << 30),
        ] {
            InvalidConfig::require((1..=most).contains(&value), field, value, "from 1 to its bound")?;
        }
        let payload = (128..=65_507).contains(&self.max_answer);
        InvalidConfig::require(payload, "max_answer", self.max_answer, "from 128 to 65,507 bytes")?;
        for (field, value) in [
            ("proven_lifetime", self.proven_lifetime),
            ("destination_memory", self.destination_memory),
            ("hold", self.hold),
            ("max_backoff", self.max_backoff),
        ] {
            let ok = (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&value);
            InvalidConfig::require(ok, field, value, "from 1 ms to a day")?;
        }
        let window = self.duplicate_window <= Duration::from_secs(10);
        InvalidConfig::require(window, "duplicate_window", self.duplicate_window, "at most 10 s")
    }
}

/// Why there is no transport.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// An option has a value it must not have.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The system gives no socket there.
    #[error("cannot bind a UDP socket to {addr}")]
    Socket {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl BindError {
    /// The shared kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::Configuration,
            Self::Socket { .. } => ErrorKind::Network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_what_makes_no_sense_is_named() {
        Config::default().validate().unwrap();
        Config::local().validate().unwrap();
        type Change = fn(&mut Config);
        let changes: [(&str, Change); 7] = [
            ("max_qps", |c| c.limits.max_qps = 0),
            ("unproven_bytes", |c| c.limits.unproven_bytes = 0),
            ("max_queued", |c| c.max_queued = c.max_questions + 1),
            ("max_unproven_answer", |c| c.max_unproven_answer = c.max_answer + 1),
            ("max_answer", |c| c.max_answer = 70_000),
            ("hold", |c| c.hold = Duration::ZERO),
            ("duplicate_window", |c| c.duplicate_window = Duration::from_secs(11)),
        ];
        for (field, change) in changes {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }
}
