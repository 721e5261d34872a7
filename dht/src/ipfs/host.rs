//! The settings in the host's words.

use dht_config::Settings;
use dht_ipfs::Multiaddr;
use dht_net::libp2p::{Config, Scope};

use crate::ipfs::BuildError;

/// What the host is told; the builder's own step, for those who build a host of their own.
///
/// # Errors
/// When an address is not one.
pub fn host_config(settings: &Settings) -> Result<Config, BuildError> {
    let host = &settings.host;
    Ok(Config {
        listen: addresses("network.listen", &settings.network.listen)?,
        announce: addresses("network.announce", &settings.network.announce)?,
        protocols: settings.protocols(),
        agent: host.agent.clone(),
        serve: settings.network.mode.serves_at_start(),
        scope: if settings.public_addresses_only() { Scope::Public } else { Scope::Any },
        names: host.names,
        autonat: host.autonat,
        recheck: host.recheck,
        dial_timeout: host.dial_timeout,
        max_dials: host.max_dials,
        dials_per_host: host.dials_per_host,
        idle_timeout: host.idle_timeout,
        high_water: host.high_water,
        low_water: host.low_water,
        grace: host.grace,
        max_connections: host.max_connections,
        max_inbound_connections: host.max_inbound_connections,
        connections_per_peer: host.connections_per_peer,
        inbound_per_subnet: host.inbound_per_subnet,
        ping_interval: host.ping_interval,
        ping_timeout: host.ping_timeout,
        max_requests: host.max_requests,
        requests_per_peer: host.requests_per_peer,
        streams_per_connection: host.streams_per_connection,
        pipeline: host.pipeline,
        stream_ttl: host.stream_ttl,
        inbound_streams_per_peer: host.inbound_streams_per_peer,
        inbound_streams: host.inbound_streams,
        inbound_pipeline: host.inbound_pipeline,
        inbound_requests: host.inbound_requests,
        bytes_per_peer: host.bytes_per_peer,
        bytes: host.bytes,
        inbound_idle: host.inbound_idle,
        message_timeout: host.message_timeout,
    })
}

fn addresses(option: &'static str, texts: &[String]) -> Result<Vec<Multiaddr>, BuildError> {
    let parse = |text: &String| {
        text.parse().map_err(|_| BuildError::Address {
            option,
            value: text.clone(),
            wanted: "an address such as `/ip4/0.0.0.0/tcp/4001`",
        })
    };
    texts.iter().map(parse).collect()
}
