//! A network of our own on the whole stack: our key type, our items, our rules; three nodes of it in this process.
//!
//! Needs neither the IPFS dialect nor libp2p: `cargo run -p dht --no-default-features --example own_network`

use std::{convert::Infallible, sync::Arc, time::Duration};

use dht::{
    Contact, Mode, Overlay, Request,
    core::{Key, NoSink, Now},
    net::{DriverConfig, Handle, SystemClock, memory::Hub, spawn},
    protocol::{Node, Parts, Refusal, Rules},
    records::{Invalid, MemoryConfig, MemoryStore, Stored, Validator},
    routing::AdmitAll,
};

/// A phone book: under a name stands the number with the highest edition.
struct PhoneBook;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    edition: u32,
    number: String,
}

impl Overlay for PhoneBook {
    type Key = Key<8>;
    type Target = u64;
    type PeerId = u64;
    type Addr = u32;
    type Query = String;
    type Item = Entry;
    type Slot = ();
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &u64) -> Key<8> {
        Key(peer.to_be_bytes())
    }
    fn key_of(target: &u64) -> Key<8> {
        Key(target.to_be_bytes())
    }
    fn peer_target(peer: &u64) -> u64 {
        *peer
    }
    fn target_peer(target: &u64) -> Option<u64> {
        Some(*target)
    }
    fn target_of(name: &String) -> u64 {
        // FNV-1a; a network with enemies takes a cryptographic hash.
        name.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
    fn refresh_target(local: &Key<8>, prefix: u32, seed: u64) -> u64 {
        let flip = 1 << 63 >> prefix;
        (u64::from_be_bytes(local.0) ^ flip) & !(flip - 1) | seed & (flip - 1)
    }
    fn slot(_: &Entry) {}
    fn weight(entry: &Entry) -> usize {
        size_of::<Entry>() + entry.number.len()
    }
    fn corrects(_: &String) -> bool {
        true
    }
}

/// What is true: numbers are digits, and the highest edition wins.
struct Editions;

impl Validator<PhoneBook> for Editions {
    fn check(&self, _: &String, entry: &Entry, _: Now) -> Result<(), Invalid> {
        let digits = entry.number.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(()) } else { Err(Invalid::Malformed("a number has digits only")) }
    }
    fn best(&self, _: &String, entries: &[Entry]) -> Option<usize> {
        (0..entries.len()).max_by_key(|i| (entries[*i].edition, std::cmp::Reverse(*i)))
    }
}

/// Serves everybody, keeps an entry for a year.
struct Open;

impl Rules<PhoneBook> for Open {
    fn admit(&self, _: &Contact<PhoneBook>, _: &Request<PhoneBook>, _: Now) -> Result<(), Refusal> {
        Ok(())
    }
    fn show(&self, contact: &Contact<PhoneBook>, _: &Contact<PhoneBook>) -> Option<u32> {
        contact.is_located().then_some(contact.addr)
    }
    fn ticket(&self, _: &Contact<PhoneBook>, _: &String, _: usize, _: Now) -> Option<Infallible> {
        None
    }
    fn redeem(
        &self,
        _: &Contact<PhoneBook>,
        _: &String,
        _: Option<&Infallible>,
        _: Now,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn lifetime(&self, _: &String, _: &Entry) -> Duration {
        Duration::from_secs(365 * 86_400)
    }
    fn receive(&self, entry: Entry, _: Now) -> Entry {
        entry
    }
    fn present(&self, stored: &Stored<PhoneBook>, _: Now) -> Option<Entry> {
        Some(stored.item.clone())
    }
    fn renew(&self, entry: Entry, _: &Contact<PhoneBook>) -> Entry {
        entry
    }
}

/// Starts a node; with sockets, `hub.join` would be another `Transport`.
fn start(hub: &Hub<PhoneBook>, peer: u64) -> Result<Handle<PhoneBook>, dht::InvalidConfig> {
    let local = Contact::new(peer, 1);
    let parts = Parts {
        config: dht::protocol::Config::default(),
        routing: dht::routing::Config::default(),
        queries: dht::query::Config::default(),
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Editions),
        rules: Arc::new(Open),
        seed: peer,
    };
    let node = Node::new(local.clone(), parts)?;
    let store = Arc::new(MemoryStore::new(&peer, MemoryConfig::default(), peer)?);
    let config = DriverConfig { mode: Mode::Server, ..DriverConfig::default() };
    spawn(node, hub.join(local), store, Arc::new(NoSink), Arc::new(SystemClock::new()), config, peer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new();
    let ids = [0x1111_0000_0000_0001, 0x7777_0000_0000_0002, 0xeeee_0000_0000_0003];
    let first = start(&hub, ids[0])?;
    let second = start(&hub, ids[1])?;
    let third = start(&hub, ids[2])?;
    for node in [&second, &third] {
        node.bootstrap(vec![first.local()], Vec::new(), Default::default()).await??;
    }

    let (name, entry) = ("ada".to_owned(), Entry { edition: 2, number: "5550100".into() });
    let stored = second.offer(name.clone(), entry.clone(), Default::default()).await?;
    println!("stored at {:x?}", stored.receipt.stored);
    assert!(!stored.receipt.stored.is_empty());

    // An older edition is refused by those who have the newer one.
    let older = Entry { edition: 1, number: "5550199".into() };
    let refused = third.offer(name.clone(), older, Default::default()).await?;
    assert!(refused.receipt.refused.iter().any(|(peer, _)| *peer == ids[0]));

    let found = third.fetch(name, Default::default()).await?;
    println!("found {:?} with {} requests", found.items, found.requests);
    assert_eq!(found.items, [entry]);
    for node in [first, second, third] {
        node.close().await;
    }
    Ok(())
}

#[test]
fn a_network_of_our_own_runs() {
    main().unwrap();
}
