//! What depends on the network: what it cannot feel is refused there.

use dht_sim::{Links, OverlayKind, What};

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
