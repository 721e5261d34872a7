//! What the pool may be told, with defaults that suit a node of the public network.

use std::time::Duration;

use dht_core::InvalidConfig;

/// Options of a [`Pool`](super::Pool).
///
/// An address is an IPv4 address or an IPv6 /64, a subnet an IPv4 /24 or an IPv6 /48.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether this is a network of one machine or one site. Then addresses that are not globally routable are dialled, and
    /// the limits for an address and a subnet do not hold: such networks have few of them. Default: no.
    pub local: bool,

    /// Connections that we opened, those being dialled included. Default: 2048.
    pub max_outbound: usize,
    /// Connections that others opened. 0 refuses all of them. Default: 512.
    pub max_inbound: usize,
    /// Connections that we have open to one address. Default: 2.
    pub outbound_per_address: usize,
    /// Connections that one address has open to us. Default: 4.
    pub inbound_per_address: usize,
    /// Connections that we have open to one subnet. Default: 16.
    pub outbound_per_subnet: usize,
    /// Connections that one subnet has open to us. Default: 16.
    pub inbound_per_subnet: usize,
    /// How often in a second one address is dialled; a burst may be as large. Default: 2.
    pub dials_per_address: u32,

    /// A connection must stand within this. Default: 3 s.
    pub dial_timeout: Duration,
    /// A connection on which no byte moves in either direction is cut after this. Default: 10 s.
    pub idle_timeout: Duration,
    /// A conversation is cut after this, whatever it does. Default: 60 s.
    pub deadline: Duration,
    /// Bytes that have to move in a second, both directions together, from the first byte of the peer on; a slower
    /// connection is cut. 0 for none. Default: 128.
    pub min_rate: u32,
    /// The time that `min_rate` is measured over. Default: 10 s.
    pub rate_window: Duration,

    /// Bytes read at once where we opened the connection. Held only while reading. `64..=65536`. Default: 16 KiB.
    pub read_buffer: usize,
    /// Bytes read at once where the peer did. Small, because it asks and we answer: a short message may call for a long
    /// one. `64..=65536`. Default: 256.
    pub inbound_read_buffer: usize,
    /// Nothing more is read while more than this waits to be sent, so that a connection holds this and what one read
    /// calls for. Default: 64 KiB.
    pub max_unsent: usize,
    /// How long a connection that ended well may take to send the rest and to hear the peer's end; at most 1 s.
    /// Default: 500 ms.
    pub linger: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local: false,
            max_outbound: 2048,
            max_inbound: 512,
            outbound_per_address: 2,
            inbound_per_address: 4,
            outbound_per_subnet: 16,
            inbound_per_subnet: 16,
            dials_per_address: 2,
            dial_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            min_rate: 128,
            rate_window: Duration::from_secs(10),
            read_buffer: 16 << 10,
            inbound_read_buffer: 256,
            max_unsent: 64 << 10,
            linger: Duration::from_millis(500),
        }
    }
}

/// Bytes of the largest read buffer: it lies on the stack.
pub(super) const MAX_READ: usize = 64 << 10;

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that has a value it must not have.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let require = |ok, field, value: usize, rule| InvalidConfig::require(ok, field, value, rule);
        for (value, field) in [(self.max_outbound, "max_outbound"), (self.max_inbound, "max_inbound")] {
            require(value <= 1 << 20, field, value, "at most 2^20")?;
        }
        for (value, field) in [
            (self.max_outbound, "max_outbound"),
            (self.outbound_per_address, "outbound_per_address"),
            (self.inbound_per_address, "inbound_per_address"),
            (self.outbound_per_subnet, "outbound_per_subnet"),
            (self.inbound_per_subnet, "inbound_per_subnet"),
            (self.max_unsent, "max_unsent"),
        ] {
            require(value > 0, field, value, "at least 1")?;
        }
        for (value, field) in
            [(self.read_buffer, "read_buffer"), (self.inbound_read_buffer, "inbound_read_buffer")]
        {
            require((64..=MAX_READ).contains(&value), field, value, "64 to 65536")?;
        }
        let dials = self.dials_per_address;
        InvalidConfig::require((1..=1000).contains(&dials), "dials_per_address", dials, "1 to 1000")?;
        for (value, field) in [
            (self.dial_timeout, "dial_timeout"),
            (self.idle_timeout, "idle_timeout"),
            (self.deadline, "deadline"),
            (self.rate_window, "rate_window"),
        ] {
            let fits = !value.is_zero() && value <= Duration::from_secs(24 * 3600);
            InvalidConfig::require(fits, field, value, "more than zero, at most a day")?;
        }
        let longest = Duration::from_secs(1);
        InvalidConfig::require(self.linger <= longest, "linger", self.linger, "at most 1 s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_faults_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let fault = |config: Config| config.validate().unwrap_err().field;
        assert_eq!(fault(Config { max_outbound: 0, ..Config::default() }), "max_outbound");
        assert_eq!(fault(Config { max_inbound: 1 << 21, ..Config::default() }), "max_inbound");
        assert_eq!(Config { max_inbound: 0, ..Config::default() }.validate(), Ok(()));
        assert_eq!(fault(Config { inbound_per_subnet: 0, ..Config::default() }), "inbound_per_subnet");
        assert_eq!(fault(Config { read_buffer: 63, ..Config::default() }), "read_buffer");
        assert_eq!(
            fault(Config { inbound_read_buffer: 1 << 17, ..Config::default() }),
            "inbound_read_buffer"
        );
        assert_eq!(fault(Config { dials_per_address: 0, ..Config::default() }), "dials_per_address");
        assert_eq!(fault(Config { deadline: Duration::ZERO, ..Config::default() }), "deadline");
        assert_eq!(fault(Config { idle_timeout: Duration::MAX, ..Config::default() }), "idle_timeout");
        assert_eq!(fault(Config { linger: Duration::from_secs(2), ..Config::default() }), "linger");
    }
}
