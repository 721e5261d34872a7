//! What depends on the network: what it cannot feel is refused there, and one of one's own is judged as the shipped ones are.

use dht_core::{Contact, Now};
use dht_protocol::Parts;
use dht_records::MemoryConfig;
use dht_sim::{
    Compact, CompactNetwork, Content, Engine, Entry, Links, Manners, Mark, Network, OverlayKind, Point,
    Subject, What, simulate,
};

use crate::busy;

#[test]
fn what_a_network_cannot_feel_is_refused_there_and_nowhere_else() {
    const ALL: [OverlayKind; 3] = [OverlayKind::Ipfs, OverlayKind::Mainline, OverlayKind::Compact];
    let double = Links { duplicate: 0.1, ..Links::default() };
    let weather = What::Weather { links: double.clone() };
    let rebind = What::Rebind { share: 0.5 };
    let spam = What::Spam { ids: 1, keys: 1, networks: Some(1), over: 1.0 };
    let doubled = |overlay| busy(overlay, 60).links(double.clone());
    let hidden = |overlay| {
        let mut scenario = busy(overlay, 60).fault(1.0, rebind.clone());
        scenario.population.clients = 0.5;
        scenario
    };
    for overlay in ALL {
        let (streams, compact) = (overlay == OverlayKind::Ipfs, overlay == OverlayKind::Compact);
        for (scenario, field, refused) in [
            (doubled(overlay), "`links.duplicate`", streams),
            (busy(overlay, 60).fault(1.0, weather.clone()), "`faults.weather.links.duplicate`", streams),
            (hidden(overlay), "`faults.rebind`", !streams),
            (busy(overlay, 60).fault(1.0, spam.clone()), "`faults.spam.networks`", compact),
        ] {
            let says = scenario.validate().map_err(|error| error.to_string());
            match says {
                Ok(()) => assert!(!refused, "{overlay:?} takes {field}"),
                Err(error) => assert!(refused && error.contains(field), "{overlay:?}: {error}"),
            }
        }
    }
}

/// The compact network with stores of some bounds.
struct Roomy(CompactNetwork, MemoryConfig);

impl Network<Compact> for Roomy {
    fn contact(&self, node: u32) -> Contact<Compact> {
        self.0.contact(node)
    }
    fn locate(&self, contact: &Contact<Compact>) -> Option<u32> {
        self.0.locate(contact)
    }
    fn parts(&self, node: u32, engine: &Engine, seed: u64) -> Parts<Compact> {
        self.0.parts(node, engine, seed)
    }
    fn memory(&self) -> MemoryConfig {
        self.1.clone()
    }
    fn manners(&self) -> Manners {
        self.0.manners()
    }
    fn target(&self, random: u64) -> Point {
        self.0.target(random)
    }
    fn query(&self, content: Content, key: u32) -> Subject {
        self.0.query(content, key)
    }
    fn item(&self, content: Content, key: u32, writer: u32, version: u32, now: Now) -> Entry {
        self.0.item(content, key, writer, version, now)
    }
    fn mark(&self, item: &Entry) -> Option<Mark> {
        self.0.mark(item)
    }
}

#[test]
fn stores_of_a_network_of_ones_own_have_room() {
    let bounds = MemoryConfig::default;
    let run = |memory| {
        let scenario = busy(OverlayKind::Compact, 20).duration(60.0);
        simulate(&scenario, Roomy(CompactNetwork::default(), memory), &mut ()).map(drop)
    };
    let none = run(MemoryConfig { max_items_per_query: 0, ..bounds() }).unwrap_err().to_string();
    assert!(none.contains("max_items_per_query"), "{none}");
    let small = MemoryConfig { max_bytes: bounds().max_item_bytes - 1, ..bounds() };
    let small = run(small).unwrap_err().to_string();
    assert!(small.contains("max_bytes"), "{small}");
    run(bounds()).unwrap();
}
