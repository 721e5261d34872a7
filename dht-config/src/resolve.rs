//! From settings to the `Config` of each crate, and the rules that hold between options of different crates.
//!
//! A rule that one crate owns is not repeated: its `validate` is asked, and the field it names is translated.

use dht_core::InvalidConfig;

use crate::{
    InvalidOption, Settings,
    settings::{Addresses, Bootstrap, Network, Switch},
};

/// Longest protocol name, as multistream-select takes it.
const MAX_PROTOCOL: usize = 140;

impl Settings {
    /// k of the Amino network, which takes no other.
    pub const AMINO_BUCKET_SIZE: usize = 20;

    /// The protocol names to speak, the preferred first.
    pub fn protocols(&self) -> Vec<String> {
        let network = &self.network;
        if !network.protocols.is_empty() {
            return network.protocols.clone();
        }
        let prefix = if network.name == Network::AMINO { "/ipfs" } else { &network.name };
        vec![format!("{prefix}{}/kad/1.0.0", network.extension)]
    }

    /// Whether this is the public network, or one of its record types and rules: the prefix is `/ipfs`.
    pub fn is_amino(&self) -> bool {
        self.protocols().iter().any(|protocol| protocol.starts_with("/ipfs/"))
    }

    /// Whether only globally routable addresses are dialled, kept and shown.
    pub fn public_addresses_only(&self) -> bool {
        match self.filter.addresses {
            Addresses::Auto => self.is_amino(),
            Addresses::Public => true,
            Addresses::Any => false,
        }
    }

    /// Whether localhost is left out of answers to others.
    pub fn hides_localhost(&self) -> bool {
        match self.filter.localhost {
            Switch::Auto => self.public_addresses_only(),
            Switch::On => true,
            Switch::Off => false,
        }
    }

    /// The options of the routing table.
    pub fn routing_config(&self) -> dht_routing::Config {
        let routing = &self.routing;
        dht_routing::Config {
            k: routing.bucket_size,
            max_size: routing.max_size,
            replacements: routing.replacements,
            latency_tolerance: routing.latency_tolerance,
            max_checks: routing.max_checks,
            check_timeout: routing.check_timeout,
            auto_refresh: routing.auto_refresh,
            refresh_interval: routing.refresh_interval,
            max_refresh_prefix: routing.max_refresh_prefix,
            lookup_timeout: routing.lookup_timeout,
            stale_after: routing.stale_after,
            low_water: routing.low_water,
            repair_delay: routing.repair_delay,
            resiliency: self.query.beta,
            max_remembered: routing.max_remembered,
            ..dht_routing::Config::default()
        }
    }

    /// The options of lookups and requests.
    pub fn query_config(&self) -> dht_query::Config {
        let query = &self.query;
        dht_query::Config {
            k: self.routing.bucket_size,
            alpha: query.alpha,
            approach: query.approach.min(query.alpha),
            beta: query.beta,
            request_timeout: query.request_timeout,
            min_timeout: query.min_timeout,
            hedge: query.hedge,
            query_timeout: query.query_timeout,
            retries: query.retries,
            backoff_initial: query.backoff_initial,
            backoff_max: query.backoff_max,
            backoff_factor: query.backoff_factor,
            backoff_jitter: query.backoff_jitter,
            max_queries: query.max_queries,
            max_lone: query.max_lone,
            max_closer: query.max_closer,
            max_candidates: query.max_candidates,
            max_items: query.max_items,
            max_bytes: query.max_bytes,
            disjoint_paths: query.disjoint_paths,
        }
    }

    /// The options of the node itself.
    pub fn node_config(&self) -> dht_protocol::Config {
        dht_protocol::Config {
            closer_per_answer: self.routing.bucket_size,
            max_known_peers: self.routing.max_known_peers,
            serve: self.network.mode.serves_at_start(),
        }
    }

    /// The options of a bootstrap.
    pub fn bootstrap_options(&self) -> dht_routing::BootstrapOptions {
        let bootstrap = &self.bootstrap;
        dht_routing::BootstrapOptions {
            seed_timeout: bootstrap.seed_timeout,
            parallel: bootstrap.parallel,
            verify_timeout: bootstrap.verify_timeout,
            verify_limit: bootstrap.verify_limit,
            rounds: bootstrap.rounds,
            discover_limit: bootstrap.discover_limit,
            settle: bootstrap.settle,
            limit: bootstrap.timeout,
            ..dht_routing::BootstrapOptions::default()
        }
    }

    /// The bounds of a store in memory.
    pub fn memory_config(&self) -> dht_records::MemoryConfig {
        let records = &self.records;
        dht_records::MemoryConfig {
            max_records: records.max_records,
            max_bytes: records.max_bytes,
            max_item_bytes: records.max_item_bytes,
            max_items_per_query: records.max_items_per_query,
            max_items_per_group: records.max_items_per_group,
            max_records_per_peer: records.max_records_per_peer,
            proven_after: records.proven_after,
        }
    }

    /// The options of the republisher; the interval is `republish.interval`, which it takes with each item.
    pub fn republish_config(&self) -> dht_records::RepublishConfig {
        let republish = &self.republish;
        dht_records::RepublishConfig {
            max_items: republish.max_items,
            jitter: republish.jitter,
            catch_up: republish.catch_up,
            burst: republish.burst,
            retry: republish.retry,
        }
    }

    /// Checks every option, by itself and against the others.
    ///
    /// # Errors
    /// Names the first option that is wrong, and what would be right.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        self.check_network()?;
        self.check_amino()?;
        self.check_records()?;
        self.check_host()?;
        let node = |field: &str| match field {
            "closer_per_answer" => "routing.bucket_size".to_owned(),
            "serve" => "network.mode".to_owned(),
            other => format!("routing.{other}"),
        };
        let own = |section: &'static str| move |field: &str| option_of(section, field);
        translated(self.routing_config().validate(), own("routing"))?;
        translated(self.query_config().validate(), own("query"))?;
        translated(self.node_config().validate(), node)?;
        translated(self.memory_config().validate(), own("records"))?;
        translated(self.republish_config().validate(), own("republish"))
    }

    fn check_network(&self) -> Result<(), InvalidOption> {
        let network = &self.network;
        let name = network.name.as_str();
        let rule = "`amino`, or a protocol prefix such as `/my-net`";
        require(name == Network::AMINO || is_path(name), "network.name", name, rule)?;
        let extension = network.extension.as_str();
        let rule = "empty, or a part of a protocol name such as `/lan`";
        require(extension.is_empty() || is_path(extension), "network.extension", extension, rule)?;
        let protocols = self.protocols();
        let good = protocols.iter().all(|name| is_path(name) && name.len() <= MAX_PROTOCOL);
        let rule = "at most 8 names such as `/my-net/kad/1.0.0`, each of at most 140 bytes";
        require(good && protocols.len() <= 8, "network.protocols", &protocols, rule)?;
        let rule = "addresses such as `/ip4/0.0.0.0/tcp/4001`";
        require(network.listen.iter().all(|addr| is_path(addr)), "network.listen", &network.listen, rule)?;
        require(
            network.announce.iter().all(|addr| is_path(addr)),
            "network.announce",
            &network.announce,
            rule,
        )?;
        let is_peer =
            |addr: &String| addr == Bootstrap::DEFAULT_PEERS || is_path(addr) && addr.contains("/p2p/");
        let rule = "addresses such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`, or `default`";
        require(self.bootstrap.peers.iter().all(is_peer), "bootstrap.peers", &self.bootstrap.peers, rule)?;
        let identity = network.identity.as_ref();
        let named = identity.is_none_or(|path| !path.as_os_str().is_empty());
        require(named, "network.identity", identity, "the path of a file; leave it out for a new identity")?;
        let bootstrap = &self.bootstrap;
        for (value, option) in [
            (bootstrap.timeout, "bootstrap.timeout"),
            (bootstrap.seed_timeout, "bootstrap.seed_timeout"),
            (bootstrap.verify_timeout, "bootstrap.verify_timeout"),
        ] {
            require(!value.is_zero(), option, value, "longer than zero")?;
        }
        require(bootstrap.parallel > 0, "bootstrap.parallel", bootstrap.parallel, "at least 1")?;
        // Without any, nobody would know who is connected.
        let known = self.routing.max_known_peers;
        require(known > 0, "routing.max_known_peers", known, "at least 1")
    }

    /// A node that does otherwise harms the public network.
    fn check_amino(&self) -> Result<(), InvalidOption> {
        if !self.is_amino() {
            return Ok(());
        }
        let k = self.routing.bucket_size;
        let rule = "the Amino network takes only 20; for another, set `network.name` to a private network";
        require(k == Self::AMINO_BUCKET_SIZE, "routing.bucket_size", k, rule)?;
        let records = &self.records;
        let rule = "the Amino network takes only true; for another, set `network.name` to a private network";
        require(records.values, "records.values", records.values, rule)?;
        require(records.providers, "records.providers", records.providers, rule)?;
        let rule = "the Amino network takes only `pk` and `ipns`; for others, set `network.name` to a private network";
        require(records.namespaces.is_empty(), "records.namespaces", &records.namespaces, rule)
    }

    fn check_records(&self) -> Result<(), InvalidOption> {
        let records = &self.records;
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let rule = "names such as `v`, without slashes";
        require(records.namespaces.iter().all(is_name), "records.namespaces", &records.namespaces, rule)?;
        let built_in = |name: &String| name == "pk" || name == "ipns";
        let rule = "`pk` and `ipns` are always there and keep their own rules";
        require(!records.namespaces.iter().any(built_in), "records.namespaces", &records.namespaces, rule)?;
        for (value, option) in [
            (records.value_age, "records.value_age"),
            (records.provider_age, "records.provider_age"),
            (records.address_age, "records.address_age"),
            (records.sweep_interval, "records.sweep_interval"),
            (self.republish.interval, "republish.interval"),
            (self.republish.timeout, "republish.timeout"),
        ] {
            require(!value.is_zero(), option, value, "longer than zero")?;
        }
        require(records.max_store_jobs > 0, "records.max_store_jobs", records.max_store_jobs, "at least 1")?;
        let (interval, age) = (self.republish.interval, records.provider_age.min(records.value_age));
        let rule =
            "shorter than `records.provider_age` and `records.value_age`, or own records are gone in between";
        require(interval < age, "republish.interval", interval, rule)
    }

    /// What must hold between options of the host; each by itself is the host's to judge.
    fn check_host(&self) -> Result<(), InvalidOption> {
        let host = &self.host;
        require(
            host.low_water <= host.high_water,
            "host.low_water",
            host.low_water,
            "at most `host.high_water`",
        )?;
        let rule = "at most `host.max_connections`";
        require(host.high_water <= host.max_connections as usize, "host.high_water", host.high_water, rule)?;
        let inbound = host.max_inbound_connections;
        require(inbound <= host.max_connections, "host.max_inbound_connections", inbound, rule)
    }
}

fn is_path(text: &str) -> bool {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    text.len() > 1 && text.starts_with('/') && !text.ends_with('/') && clean
}

/// Options that several crates need stand in one section only.
fn option_of(section: &str, field: &str) -> String {
    match field {
        "k" => "routing.bucket_size".to_owned(),
        "resiliency" => "query.beta".to_owned(),
        other => format!("{section}.{other}"),
    }
}

fn translated(result: Result<(), InvalidConfig>, name: impl Fn(&str) -> String) -> Result<(), InvalidOption> {
    result.map_err(|fault| InvalidOption {
        option: name(fault.field),
        value: fault.value,
        rule: fault.rule.to_owned(),
    })
}

fn require(ok: bool, option: &str, value: impl std::fmt::Debug, rule: &str) -> Result<(), InvalidOption> {
    if ok {
        return Ok(());
    }
    Err(InvalidOption { option: option.to_owned(), value: format!("{value:?}"), rule: rule.to_owned() })
}
