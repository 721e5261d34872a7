//! The IPFS network as it is shipped: the overlay, validators and server rules of `dht-ipfs`, its default options.
//!
//! Values stand in a namespace of their own, whose rule takes the greatest: they begin with their version. Signed names
//! cost 40 µs each and would measure curves, not lookups.

use std::sync::Arc;

use dht_core::{Contact, Now};
use dht_ipfs::{
    AddrList, AddressPolicy, AnyValue, InvalidNamespace, Ipfs, Item, Namespaces, PeerId, ProviderRecord,
    Query, Record, Scope, ServerRules,
};
use dht_protocol::{Parts, Rules};
use dht_records::{MemoryConfig, Validator};

use super::{Content, Engine, Manners, Mark, Network, gathered, spread};
use crate::dice::{mix, unmix};

/// The namespace of the values that are published.
const NAMESPACE: &str = "sim";
/// The /8.
const NET: u8 = 23;
/// UDP port 4001, QUIC.
const REST: [u8; 6] = [0x91, 0x02, 0x0f, 0xa1, 0xcd, 0x03];

/// The IPFS network, with rules that may be replaced.
#[derive(Clone)]
pub struct IpfsNetwork {
    /// Which items are true.
    pub validator: Arc<dyn Validator<Ipfs>>,
    /// What is served and kept.
    pub rules: Arc<dyn Rules<Ipfs>>,
}

impl IpfsNetwork {
    /// The rules of the public network, and a namespace for the values of the simulation.
    ///
    /// # Errors
    /// Never: the name of the namespace is one.
    pub fn new() -> Result<Self, InvalidNamespace> {
        let validator = Namespaces::amino().with(NAMESPACE, AnyValue::default())?;
        Ok(Self { validator: Arc::new(validator), rules: Arc::new(ServerRules::default()) })
    }
}

impl Network<Ipfs> for IpfsNetwork {
    fn contact(&self, node: u32) -> Contact<Ipfs> {
        // The shape of an Ed25519 key that is its own name.
        let mut id = [0; 38];
        id[..6].copy_from_slice(&[0x00, 36, 0x08, 0x01, 0x12, 0x20]);
        for i in 0..4u64 {
            let word = mix(u64::from(node) << 2 | i).to_be_bytes();
            id[6 + i as usize * 8..][..8].copy_from_slice(&word);
        }
        let peer = PeerId::try_from(&id[..]).expect("an inline key has this shape");
        let [_, a, b, c] = spread(node).to_be_bytes();
        let addr = [&[0x04, NET, a, b, c][..], &REST].concat();
        Contact::new(peer, AddrList::from_raw([&addr[..]]))
    }

    fn locate(&self, contact: &Contact<Ipfs>) -> Option<u32> {
        let [0x04, NET, a, b, c, ..] = contact.addr.iter().next()? else { return None };
        Some(gathered(u32::from_be_bytes([0, *a, *b, *c])))
    }

    fn parts(&self, _: u32, engine: &Engine, seed: u64) -> Parts<Ipfs> {
        Parts {
            config: engine.node(dht_protocol::Config::default()),
            routing: engine.routing(dht_routing::Config::default()),
            queries: engine.queries(dht_query::Config::default()),
            admit: Box::new(AddressPolicy::of(Scope::Public)),
            filter: None,
            validator: self.validator.clone(),
            rules: self.rules.clone(),
            seed,
        }
    }

    fn memory(&self) -> MemoryConfig {
        MemoryConfig::default()
    }

    fn manners(&self) -> Manners {
        Manners::streams()
    }

    fn target(&self, random: u64) -> bytes::Bytes {
        let words = [random, mix(random), mix(random ^ 1), mix(random ^ 2)].map(u64::to_be_bytes);
        [&[0x12, 32], words.as_flattened()].concat().into()
    }

    fn query(&self, content: Content, key: u32) -> Query {
        match content {
            Content::Value => Query::Value(format!("/{NAMESPACE}/{key}").into_bytes().into()),
            Content::Provider => {
                let words = [0, 1, 2, 3].map(|i| mix(u64::from(key) << 8 | 4 | i).to_be_bytes());
                Query::Providers([&[0x12, 32], words.as_flattened()].concat().into())
            }
        }
    }

    fn item(&self, content: Content, key: u32, writer: u32, version: u32, _: Now) -> Item {
        match content {
            Content::Value => {
                let key = self.query(content, key).key().clone();
                let value = [version.to_be_bytes(), writer.to_be_bytes()].concat();
                Item::Value(Record::new(key, value))
            }
            Content::Provider => {
                let Contact { peer, addr } = self.contact(writer);
                Item::Provider(ProviderRecord { peer, addrs: addr })
            }
        }
    }

    fn mark(&self, item: &Item) -> Option<Mark> {
        match item {
            Item::Value(record) => {
                let (version, writer) = record.value.split_first_chunk()?;
                let writer = u32::from_be_bytes(writer.try_into().ok()?);
                Some(Mark { writer, version: u32::from_be_bytes(*version) })
            }
            // Its addresses are forgotten before the provider is; its name tells who it is.
            Item::Provider(record) => {
                let word = record.peer.as_ref().get(6..14)?.try_into().ok()?;
                let writer = u32::try_from(unmix(u64::from_be_bytes(word)) >> 2).ok()?;
                (self.contact(writer).peer == record.peer).then_some(Mark { writer, version: 0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dht_core::Overlay;
    use dht_routing::Admit;

    use super::*;

    #[test]
    fn nodes_are_where_their_contact_says() {
        let network = IpfsNetwork::new().unwrap();
        for node in [0, 1, 1000, 99_999, (1 << 24) - 1] {
            let contact = network.contact(node);
            assert_eq!(network.locate(&contact), Some(node));
            assert!(AddressPolicy::of(Scope::Public).admit(&contact));
            assert_eq!(contact.addr.len(), 1);
        }
        assert_eq!(network.locate(&Contact::unlocated(network.contact(1).peer)), None);
    }

    #[test]
    fn what_is_published_is_valid_and_marked() {
        let network = IpfsNetwork::new().unwrap();
        let now = Now::default();
        for (content, version) in [(Content::Value, 3), (Content::Provider, 0)] {
            let query = network.query(content, 7);
            let item = network.item(content, 7, 9, 3, now);
            network.validator.check(&query, &item, now).unwrap();
            assert_eq!(network.mark(&item), Some(Mark { writer: 9, version }));
        }
        let query = network.query(Content::Value, 7);
        let items = [2, 300, 5].map(|version| network.item(Content::Value, 7, 9, version, now));
        assert_eq!(network.validator.best(&query, &items), Some(1));
        assert_ne!(Ipfs::key_of(&network.target(1)), Ipfs::key_of(&network.target(2)));
    }
}
