//! Which network a node joins: its protocol name, where its members are, who introduces newcomers, and what it demands.

use dht_core::{Contact, InvalidConfig};

use crate::{AddressPolicy, Ipfs, Namespaces, Scope, ServerRules, parse_peer_addr};

/// The prefix of the public network; whoever uses it promises to keep its rules.
const AMINO_PREFIX: &str = "/ipfs";
/// What every protocol name ends in, unless it is overridden.
const SUFFIX: &str = "/kad/1.0.0";
/// The k of the public network.
const AMINO_K: usize = 20;

/// The peers that introduce newcomers to the public network, as its operators publish them.
const AMINO_BOOTSTRAP: [&str; 6] = [
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
    "/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8",
    "/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
];

/// The peers that introduce newcomers to the public network, several addresses of one peer together. Most are `/dnsaddr`
/// names, to be resolved by whoever dials.
pub fn bootstrap_peers() -> Vec<Contact<Ipfs>> {
    AMINO_BOOTSTRAP.iter().map(|text| parse_peer_addr(text).expect("the list is checked by a test")).collect()
}

/// A network of the IPFS dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    prefix: String,
    extension: String,
    protocol: Option<String>,
    addresses: AddressPolicy,
    bootstrap: Vec<Contact<Ipfs>>,
    bare_keys: bool,
}

impl Network {
    /// The public network: `/ipfs/kad/1.0.0`, public addresses, the published bootstrap peers.
    pub fn amino() -> Self {
        Self {
            prefix: AMINO_PREFIX.into(),
            extension: String::new(),
            protocol: None,
            addresses: AddressPolicy::of(Scope::Public),
            bootstrap: bootstrap_peers(),
            bare_keys: false,
        }
    }

    /// Its counterpart among local hosts: `/ipfs/lan/kad/1.0.0`, the same rules, nobody to introduce newcomers.
    pub fn lan() -> Self {
        Self {
            extension: "/lan".into(),
            addresses: AddressPolicy::of(Scope::Local),
            bootstrap: Vec::new(),
            ..Self::amino()
        }
    }

    /// A network of its own, `<prefix>/kad/1.0.0`: any address, no bootstrap peers.
    ///
    /// # Errors
    /// When the prefix does not begin with a slash, ends with one or has blanks.
    pub fn private(prefix: &str) -> Result<Self, InvalidConfig> {
        check_path("prefix", prefix)?;
        Ok(Self {
            prefix: prefix.into(),
            addresses: AddressPolicy::of(Scope::Any),
            bootstrap: Vec::new(),
            ..Self::amino()
        })
    }

    /// Sets what stands between the prefix and `/kad/1.0.0`, such as `/lan`; empty for nothing.
    ///
    /// # Errors
    /// When it is neither empty nor a path.
    pub fn extension(mut self, extension: &str) -> Result<Self, InvalidConfig> {
        if !extension.is_empty() {
            check_path("extension", extension)?;
        }
        self.extension = extension.into();
        Ok(self)
    }

    /// Sets the whole protocol name, whatever prefix and extension say. A name under `/ipfs/` remains bound to the rules of
    /// the public network.
    ///
    /// # Errors
    /// When it is no path.
    pub fn protocol_override(mut self, protocol: &str) -> Result<Self, InvalidConfig> {
        check_path("protocol", protocol)?;
        self.protocol = Some(protocol.into());
        Ok(self)
    }

    /// Sets which addresses are named and admitted.
    pub fn addresses(mut self, addresses: AddressPolicy) -> Self {
        self.addresses = addresses;
        self
    }

    /// Sets who introduces newcomers.
    pub fn bootstrap(mut self, peers: impl IntoIterator<Item = Contact<Ipfs>>) -> Self {
        self.bootstrap = peers.into_iter().collect();
        self
    }

    /// Whether a key without a namespace (`my-key`) stands for `/v/my-key`. The public network refuses such keys.
    pub fn bare_keys(mut self, bare_keys: bool) -> Self {
        self.bare_keys = bare_keys;
        self
    }

    /// The name of the protocol on the wire.
    pub fn protocol(&self) -> String {
        match &self.protocol {
            Some(protocol) => protocol.clone(),
            None => format!("{}{}{SUFFIX}", self.prefix, self.extension),
        }
    }

    /// Which addresses are named and admitted.
    pub fn address_policy(&self) -> AddressPolicy {
        self.addresses
    }

    /// What a server of this network shows and keeps; its records' ages are the network's.
    pub fn server_rules(&self) -> ServerRules {
        ServerRules {
            public_only: self.addresses.scope == Scope::Public,
            hide_localhost: self.addresses.hide_localhost,
            ..ServerRules::default()
        }
    }

    /// Who introduces newcomers.
    pub fn bootstrap_peers(&self) -> &[Contact<Ipfs>] {
        &self.bootstrap
    }

    /// Whether keys without a namespace are allowed.
    pub fn allows_bare_keys(&self) -> bool {
        self.bare_keys
    }

    /// Whether the network is the public one or its local counterpart, whose rules are not ours to change.
    pub fn is_amino(&self) -> bool {
        match &self.protocol {
            Some(protocol) => protocol.strip_prefix(AMINO_PREFIX).is_some_and(|rest| rest.starts_with('/')),
            None => self.prefix == AMINO_PREFIX,
        }
    }

    /// Refuses options that would harm the public network: there k is 20, both stores are on, and the validators are
    /// exactly those of `pk` and `ipns`. Any options suit other networks.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(
        &self,
        k: usize,
        values: bool,
        providers: bool,
        namespaces: &Namespaces,
    ) -> Result<(), InvalidConfig> {
        if !self.is_amino() {
            return Ok(());
        }
        let wrong = |field, value: String, rule| Err(InvalidConfig { field, value, rule });
        if k != AMINO_K {
            return wrong("k", k.to_string(), "20 on the public network");
        }
        if !values {
            return wrong("enable_values", "false".into(), "true on the public network");
        }
        if !providers {
            return wrong("enable_providers", "false".into(), "true on the public network");
        }
        if !namespaces.is_amino() {
            return wrong(
                "validators",
                format!("{namespaces:?}"),
                "exactly pk and ipns on the public network",
            );
        }
        if self.bare_keys {
            return wrong("bare_keys", "true".into(), "false on the public network");
        }
        Ok(())
    }
}

/// A protocol name or a part of one: `/a/b`.
fn check_path(field: &'static str, path: &str) -> Result<(), InvalidConfig> {
    let sound = path.len() > 1
        && path.starts_with('/')
        && !path.ends_with('/')
        && path.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if sound {
        return Ok(());
    }
    Err(InvalidConfig {
        field,
        value: format!("{path:?}"),
        rule: "begin with a slash, not end with one, without blanks",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyValue;

    #[test]
    fn protocols_are_named_as_the_networks_name_them() {
        assert_eq!(Network::amino().protocol(), "/ipfs/kad/1.0.0");
        assert_eq!(Network::lan().protocol(), "/ipfs/lan/kad/1.0.0");
        let private = Network::private("/test").unwrap();
        assert_eq!(private.protocol(), "/test/kad/1.0.0");
        assert_eq!(private.clone().extension("/lan").unwrap().protocol(), "/test/lan/kad/1.0.0");
        assert_eq!(private.clone().protocol_override("/x/1").unwrap().protocol(), "/x/1");
        for wrong in ["", "/", "test", "/test/", "/te st"] {
            assert_eq!(Network::private(wrong).unwrap_err().field, "prefix", "{wrong}");
            assert!(private.clone().protocol_override(wrong).is_err());
        }
        assert!(private.extension("lan").is_err());
    }

    #[test]
    fn the_public_network_refuses_other_options() {
        let amino = Namespaces::amino;
        let more = Namespaces::amino().with("v", AnyValue::default()).unwrap();
        for network in [
            Network::amino(),
            Network::lan(),
            Network::private("/ipfs").unwrap(),
            Network::private("/x").unwrap().protocol_override("/ipfs/kad/2.0.0").unwrap(),
        ] {
            let field = |k, values, providers, namespaces: &Namespaces| {
                network.check(k, values, providers, namespaces).err().map(|error| error.field)
            };
            assert_eq!(field(20, true, true, &amino()), None);
            assert_eq!(field(30, true, true, &amino()), Some("k"));
            assert_eq!(field(20, false, true, &amino()), Some("enable_values"));
            assert_eq!(field(20, true, false, &amino()), Some("enable_providers"));
            assert_eq!(field(20, true, true, &more), Some("validators"));
            assert_eq!(field(20, true, true, &Namespaces::none()), Some("validators"));
            assert!(network.clone().bare_keys(true).check(20, true, true, &amino()).is_err());
        }
        for network in [
            Network::private("/test").unwrap(),
            Network::private("/ipfsx").unwrap(),
            Network::amino().protocol_override("/openpond/kad/1.0.0").unwrap(),
        ] {
            assert_eq!(network.bare_keys(true).check(3, false, false, &more), Ok(()));
        }
    }

    #[test]
    fn the_published_bootstrap_peers_are_located() {
        let network = Network::amino();
        assert_eq!(network.bootstrap_peers().len(), 6);
        assert!(network.bootstrap_peers().iter().all(|peer| peer.addr.len() == 1));
        assert!(Network::lan().bootstrap_peers().is_empty());
        let one = network.bootstrap_peers()[..1].to_vec();
        assert_eq!(Network::lan().bootstrap(one.clone()).bootstrap_peers(), one);
    }

    #[test]
    fn a_networks_addresses_are_those_its_servers_show() {
        assert!(Network::amino().server_rules().public_only);
        assert_eq!(Network::lan().address_policy().scope, Scope::Local);
        assert!(!Network::lan().server_rules().public_only && Network::lan().server_rules().hide_localhost);
        let open = AddressPolicy { scope: Scope::Any, hide_localhost: false };
        assert!(!Network::lan().addresses(open).server_rules().hide_localhost);
    }
}
