//! The Mainline network as it is shipped: the overlay, validators, tokens and server rules of `dht-mainline`, its preset.
//!
//! Values are mutable items (BEP 44), signed for real; memberships are peers of a swarm.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use dht_core::{Contact, Key, Now};
use dht_mainline::{
    Admission, Endpoint, InfoHash, Item, ItemKey, Mainline, NodeId, PEER_REPUBLISH, Peer, Preset, Query,
    Record, Records, ServerRules,
};
use dht_protocol::{Parts, Rules};
use dht_records::{MemoryConfig, Validator};
use dht_routing::Admit;
use ed25519_dalek::SigningKey;

use super::{Content, Engine, Manners, Mark, Network, gathered, spread};
use crate::dice::{hash, mix};

/// The /8 that nodes are in.
const NET: u8 = 31;
const PORT: u16 = 6881;

/// The network of this overlay, with rules that may be replaced.
#[derive(Clone)]
pub struct MainlineNetwork {
    /// Which records are true.
    pub validator: Arc<dyn Validator<Mainline>>,
    /// What a node serves and keeps, by its number.
    pub rules: fn(u32) -> Arc<dyn Rules<Mainline>>,
    preset: Preset,
}

impl Default for MainlineNetwork {
    /// The public network's rules, with a secret for each node.
    fn default() -> Self {
        let rules = |node: u32| -> Arc<dyn Rules<Mainline>> {
            let secret = [hash(1, node.into(), 0), hash(1, node.into(), 1)].map(u64::to_be_bytes);
            let mut bytes = [0; 16];
            bytes.copy_from_slice(secret.as_flattened());
            Arc::new(ServerRules::new(bytes))
        };
        Self { validator: Arc::new(Records::default()), rules, preset: Preset::default() }
    }
}

fn addr(node: u32) -> SocketAddr {
    let [_, a, b, c] = spread(node).to_be_bytes();
    SocketAddr::from(([NET, a, b, c], PORT))
}

fn node_at(addr: SocketAddr) -> Option<u32> {
    match addr.ip() {
        IpAddr::V4(ip) if ip.octets()[0] == NET => Some(gathered(ip.to_bits() & 0xff_ffff)),
        _ => None,
    }
}

fn twenty(a: u64, b: u64) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        let word = hash(a, b, i as u64).to_be_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes
}

/// Whoever updates an item has its key.
fn signing_key(key: u32) -> SigningKey {
    let words = [0, 1, 2, 3].map(|i| hash(2, key.into(), i).to_be_bytes());
    let mut secret = [0; 32];
    secret.copy_from_slice(words.as_flattened());
    SigningKey::from_bytes(&secret)
}

impl Network<Mainline> for MainlineNetwork {
    /// Ids suit their addresses (BEP 42).
    fn contact(&self, node: u32) -> Contact<Mainline> {
        let addr = addr(node);
        Contact::new(NodeId::for_ip(addr.ip(), twenty(3, node.into())), Endpoint(Some(addr)))
    }

    fn locate(&self, contact: &Contact<Mainline>) -> Option<u32> {
        node_at(contact.addr.0?)
    }

    fn parts(&self, node: u32, engine: &Engine, seed: u64) -> Parts<Mainline> {
        let admission = Admission::default();
        Parts {
            config: engine.node(self.preset.node.clone()),
            routing: engine.routing(self.preset.routing.clone()),
            queries: engine.queries(self.preset.queries.clone()),
            admit: Box::new(admission),
            filter: Some(Arc::new(move |contact| admission.admit(contact))),
            validator: self.validator.clone(),
            rules: (self.rules)(node),
            seed,
        }
    }

    fn memory(&self) -> MemoryConfig {
        self.preset.store.clone()
    }

    /// Nodes announce whatever they publish at one interval, that of memberships: items twice as often as BEP 44 asks for.
    fn manners(&self) -> Manners {
        Manners { republish: PEER_REPUBLISH, ..Manners::datagrams() }
    }

    fn target(&self, random: u64) -> Key<20> {
        Key(twenty(mix(random), 4))
    }

    fn query(&self, content: Content, key: u32) -> Query {
        match content {
            Content::Value => {
                let public = signing_key(key).verifying_key().to_bytes();
                Query::Item(ItemKey::mutable(&public, bytes::Bytes::new()))
            }
            Content::Provider => Query::from(InfoHash(twenty(5, key.into()))),
        }
    }

    fn item(&self, content: Content, key: u32, writer: u32, version: u32, _: Now) -> Record {
        match content {
            Content::Value => {
                let value = i64::from(writer).into();
                let item = Item::mutable(&signing_key(key), b"", version.into(), &value);
                Record::Item(item.expect("a number is small, and no version is negative"), None)
            }
            Content::Provider => Record::Peer(Peer { addr: addr(writer), seed: false, implied_port: false }),
        }
    }

    fn mark(&self, record: &Record) -> Option<Mark> {
        match record {
            Record::Item(item, _) => {
                let writer = u32::try_from(item.tree().ok()?.as_int()?).ok()?;
                Some(Mark { writer, version: u32::try_from(item.seq()?).ok()? })
            }
            Record::Peer(peer) => node_at(peer.addr).map(|writer| Mark { writer, version: 0 }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_where_their_contact_says_and_their_ids_suit() {
        let network = MainlineNetwork::default();
        for node in [0, 1, 1000, 99_999] {
            let contact = network.contact(node);
            assert_eq!(network.locate(&contact), Some(node));
            assert!(Admission { enforce_ids: true, ..Admission::default() }.admit(&contact));
        }
        assert_eq!(node_at(SocketAddr::from(([9, 9, 9, 9], PORT))), None);
    }

    #[test]
    fn what_is_published_is_valid_and_marked() {
        let network = MainlineNetwork::default();
        for (content, version) in [(Content::Value, 3), (Content::Provider, 0)] {
            let query = network.query(content, 7);
            let item = network.item(content, 7, 9, 3, Now::default());
            network.validator.check(&query, &item, Now::default()).unwrap();
            assert_eq!(network.mark(&item), Some(Mark { writer: 9, version }));
        }
    }
}
