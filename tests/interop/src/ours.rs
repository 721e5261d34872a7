//! Our nodes, as a user of the library builds them, and records for them to exchange.

use bytes::Bytes;
use dht::{
    Contact, Dht, Mode,
    config::settings::Addresses,
    ipfs::{AddrList, Ipfs, Item, Keypair, Multiaddr, PeerId, Query, Record, ipns::Draft},
};

use crate::verdict::{Expected, Outcome, wrong};

/// A node of ours on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// `/ipfs` for the rules of the public network, anything else for a private one with values under `/v/`.
    pub prefix: &'static str,
    pub mode: Mode,
    /// The only peer it may know, so that what it finds, it has from there.
    pub only: Option<PeerId>,
}

impl Plan {
    pub async fn start(self) -> Outcome<Dht<Ipfs>> {
        let amino = self.prefix == "/ipfs";
        let mut builder = Dht::<Ipfs>::builder()
            .network(if amino { "amino" } else { self.prefix })
            .mode(self.mode)
            .listen(["/ip4/127.0.0.1/tcp/0"])
            .bootstrap([""; 0])
            .configure(|settings| {
                // The rules of the public network, on addresses that it would not look at.
                settings.filter.addresses = Addresses::Any;
                if !amino {
                    settings.records.namespaces = vec!["v".into()];
                }
            });
        if let Some(only) = self.only {
            builder = builder
                .table_filter(Only(only))
                .query_filter(move |contact: &Contact<Ipfs>| contact.peer == only);
        }
        builder.build().await.expected("our node starts")
    }
}

struct Only(PeerId);

impl dht::routing::Admit<Ipfs> for Only {
    fn admit(&self, contact: &Contact<Ipfs>) -> bool {
        contact.peer == self.0
    }
}

/// Where others reach a node of ours: `/…/p2p/<id>`.
pub fn address(node: &Dht<Ipfs>) -> Outcome<String> {
    let listen = node.listen_addrs().first().ok_or_else(|| wrong("an address of ours", "none"))?;
    Ok(format!("{listen}/p2p/{}", node.local().peer))
}

/// Its name in the network.
pub fn name(node: &Dht<Ipfs>) -> String {
    node.local().peer.to_string()
}

/// A peer and its address from `/…/p2p/<id>`.
pub fn contact(address: &str) -> Outcome<Contact<Ipfs>> {
    let (place, peer) =
        address.rsplit_once("/p2p/").ok_or_else(|| wrong("an address with /p2p/", address))?;
    let place: Multiaddr = place.parse().expected("a multiaddr")?;
    Ok(Contact::new(peer.parse().expected("a peer id")?, AddrList::from(place)))
}

/// Something to store under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub key: Bytes,
    pub value: Bytes,
}

impl Sample {
    pub fn query(&self) -> Query {
        Query::Value(self.key.clone())
    }

    pub fn item(&self) -> Item {
        Item::Value(Record::new(self.key.clone(), self.value.clone()))
    }

    /// A public key under the id of its peer.
    pub fn pk(key: &Keypair) -> Self {
        let public = key.public();
        let peer = PeerId::from_public_key(&public);
        Self { key: [b"/pk/", peer.as_ref()].concat().into(), value: public.encode_protobuf().into() }
    }

    /// An IPNS record that holds for an hour.
    pub fn ipns(node: &Dht<Ipfs>, key: &Keypair, value: &str, sequence: u64) -> Outcome<Self> {
        let draft = Draft::new(value, sequence).lifetime(std::time::Duration::from_secs(3600));
        let (name, record) = draft.sign(key, node.handle().now().wall).expected("an IPNS record of ours")?;
        Ok(Self { key: name.routing_key(), value: Bytes::copy_from_slice(record.as_bytes()) })
    }

    /// Any value, under a key that nothing else uses.
    pub fn any(value: &str) -> Self {
        Self { key: [b"/v/", unique().as_bytes()].concat().into(), value: value.to_owned().into() }
    }

    /// The same with a byte changed that is signed.
    pub fn broken(&self) -> Self {
        let mut value = self.value.to_vec();
        if let Some(last) = value.last_mut() {
            *last ^= 1;
        }
        Self { key: self.key.clone(), value: value.into() }
    }
}

/// Letters and digits that were not used before.
pub fn unique() -> String {
    let id = PeerId::from_public_key(&Keypair::generate_ed25519().public()).to_string();
    id[id.len() - 16..].to_owned()
}

/// The key of content that nobody has provided before.
pub fn content() -> dht::ipfs::ContentKey {
    dht::ipfs::ContentKey::of_bytes(unique().as_bytes())
}
