//! From a builder to a running node: checks every part against the others, then puts them together.

use std::sync::Arc;

use dht_config::{Settings, settings};
use dht_core::{Contact, InvalidConfig, Sink};
use dht_ipfs::{
    AddressPolicy, AnyValue, Ipfs, Item, Keypair, Multiaddr, Namespaces, PeerId, Query, Record, Scope,
    ServerRules, ValueKey, bootstrap_peers,
};
use dht_metrics::Metrics;
use dht_net::{DriverConfig, Mode, SystemClock, Transport};
use dht_protocol::{Node, Parts};
use dht_records::MemoryStore;
use dht_routing::Admit;

use super::{BuildError, Builder, State, builder::SeedSource};
use crate::{CallOptions, Dht, node::Shared};

/// What every way of building a node has in common, checked.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) keypair: Keypair,
    pub(super) local: Contact<Ipfs>,
    namespaces: Namespaces,
    rules: ServerRules,
    seeds: SeedSource,
    rest: Builder,
}

impl Builder {
    pub(super) fn plan(mut self) -> Result<Plan, BuildError> {
        self.settings.validate()?;
        let settings = self.settings.clone();
        let keypair = self.keypair.take().unwrap_or_else(Keypair::generate_ed25519);
        let mut namespaces = Namespaces::amino();
        for name in &settings.records.namespaces {
            namespaces = namespaces.with(name, AnyValue::default())?;
        }
        for (name, validator) in std::mem::take(&mut self.namespaces) {
            namespaces = namespaces.with_boxed(&name, validator)?;
        }
        let network = network(&settings)?;
        let records = &settings.records;
        network.check(settings.routing.bucket_size, records.values, records.providers, &namespaces)?;
        let rules = ServerRules {
            public_only: settings.public_addresses_only(),
            hide_localhost: settings.hides_localhost(),
            values: settings.records.values,
            providers: settings.records.providers,
            value_age: settings.records.value_age,
            provider_age: settings.records.provider_age,
            address_age: settings.records.address_age,
            hook: self.hook.take(),
            addresses: self.addresses.take(),
        };
        let seeds = match self.seeds.take() {
            Some(seeds) => seeds,
            None => fixed(configured_seeds(&settings)?),
        };
        let local = Contact::unlocated(PeerId::from_public_key(&keypair.public()));
        Ok(Plan { settings, keypair, local, namespaces, rules, seeds, rest: self })
    }
}

impl Plan {
    pub(super) fn run<T: Transport<Ipfs>>(
        self,
        transport: T,
        listening: Vec<Multiaddr>,
    ) -> Result<Dht<Ipfs>, BuildError> {
        let Self { settings, keypair, local, namespaces, rules, seeds, rest } = self;
        let seed = rest.seed.unwrap_or_else(random_seed);
        let admit = rest.admit.unwrap_or_else(|| default_admit(&settings));
        let parts = Parts {
            config: settings.node_config(),
            routing: settings.routing_config(),
            queries: settings.query_config(),
            admit,
            filter: rest.query_filter,
            validator: Arc::new(namespaces),
            rules: Arc::new(rules),
            seed,
        };
        let node = Node::new(local.clone(), parts)?;
        let metrics = match rest.metrics {
            Some(metrics) => metrics,
            None => Arc::new(Metrics::new(dht_metrics::Config::default())?),
        };
        let store = match rest.store {
            Some(store) => store,
            None => Arc::new(MemoryStore::new(&local.peer, settings.memory_config(), seed)?),
        };
        let sink: Arc<dyn Sink<Ipfs>> = metrics.clone();
        let clock = rest.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let driver = driver_config(&settings);
        let handle = dht_net::spawn(node, transport, store, sink, clock, driver, seed)?;
        if local.peer.public_key().is_none() {
            // Who is named by a hash says which key that is when asked: kept here, announced by nobody.
            let (keeper, key) = (handle.clone(), keypair.public());
            tokio::spawn(async move {
                let name = ValueKey::pk(&PeerId::from_public_key(&key)).into_bytes();
                let item = Item::Value(Record::new(name.clone(), key.encode_protobuf()));
                if let Err(error) = keeper.keep(Query::Value(name), item, false).await {
                    tracing::warn!(%error, "the own public key could not be kept");
                }
            });
        }
        let shared = Shared {
            metrics,
            seeds: Arc::new(move |_| Box::pin(std::future::ready(Ok(seeds())))),
            fallback: fallback(&settings),
            bootstrap: settings.bootstrap_options(),
            query_timeout: settings.query.query_timeout,
            request_timeout: settings.query.request_timeout,
            resiliency: settings.query.beta,
            state: State { keypair, listening, bare_keys: !settings.is_amino() },
        };
        Ok(Dht { handle, call: CallOptions::default(), shared: Arc::new(shared) })
    }
}

/// The network that the settings name.
fn network(settings: &Settings) -> Result<dht_ipfs::Network, InvalidConfig> {
    let named = &settings.network;
    let network = match named.name.as_str() {
        settings::Network::AMINO => dht_ipfs::Network::amino(),
        prefix => dht_ipfs::Network::private(prefix)?,
    };
    let network = network.extension(&named.extension)?;
    match named.protocols.first() {
        Some(protocol) => network.protocol_override(protocol),
        None => Ok(network),
    }
}

fn driver_config(settings: &Settings) -> DriverConfig {
    DriverConfig {
        mode: match settings.network.mode {
            settings::Mode::Auto => Mode::Auto,
            settings::Mode::Client => Mode::Client,
            settings::Mode::Server => Mode::Server,
            settings::Mode::AutoServer => Mode::AutoServer,
        },
        republish_interval: settings.republish.interval,
        republish: settings.republish_config(),
        announce_timeout: settings.republish.timeout,
        sweep_interval: settings.records.sweep_interval,
        max_store_jobs: settings.records.max_store_jobs,
    }
}

/// A public network's table holds only peers that can be reached from everywhere (Amino spec, A9).
fn default_admit(settings: &Settings) -> Box<dyn Admit<Ipfs>> {
    let scope = if settings.public_addresses_only() { Scope::Public } else { Scope::Any };
    Box::new(AddressPolicy::of(scope))
}

fn random_seed() -> u64 {
    use rand::Rng;
    rand::rng().next_u64()
}

fn fixed(contacts: Vec<Contact<Ipfs>>) -> SeedSource {
    Arc::new(move || contacts.clone())
}

/// The peers that the public network publishes; a private one has none.
fn fallback(settings: &Settings) -> Vec<Contact<Ipfs>> {
    let default = settings.bootstrap.peers.iter().any(|peer| peer == settings::Bootstrap::DEFAULT_PEERS);
    if settings.is_amino() && default { bootstrap_peers() } else { Vec::new() }
}

fn configured_seeds(settings: &Settings) -> Result<Vec<Contact<Ipfs>>, BuildError> {
    let mut contacts: Vec<Contact<Ipfs>> = Vec::new();
    for text in &settings.bootstrap.peers {
        if text == settings::Bootstrap::DEFAULT_PEERS {
            if settings.is_amino() {
                contacts.extend(bootstrap_peers());
            }
            continue;
        }
        let contact = dht_ipfs::parse_peer_addr(text).map_err(|_| BuildError::Address {
            option: "bootstrap.peers",
            value: text.clone(),
            wanted: "an address such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`",
        })?;
        match contacts.iter_mut().find(|known| known.peer == contact.peer) {
            Some(known) => known.addr = known.addr.merge(&contact.addr),
            None => contacts.push(contact),
        }
    }
    Ok(contacts)
}
