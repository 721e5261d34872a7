//! The BitTorrent nodes: where each is met, and what it can not do. The reasons are those of `README.md`, where they were
//! measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::report::Side::{self, TheyAsk, WeAsk};

/// A foreign node in one kind of network.
#[derive(Debug)]
pub struct Foreign {
    /// What it is called in the table.
    pub name: &'static str,
    /// Its folder in `peers/`.
    pub folder: &'static str,
    /// Where it and our nodes listen.
    pub ip: IpAddr,
    /// How many of our nodes it meets.
    pub ours: usize,
    /// Checks that can not be made with it, of one direction or both, and why.
    cannot: &'static [(&'static str, Option<Side>, &'static str)],
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// One of those that `peers/bittorrent/namespace` brings.
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 44, 0, 1));

const NO_ITEMS: &str = "does not know BEP 44";
const NO_SAMPLES: &str = "does not know BEP 51";
const NO_SCRAPE: &str = "does not know BEP 33";
const NO_METADATA: &str = "has no peer wire";
const TAKES_ALL: &str = "takes in whoever asks, read-only or not";
const TAKES_NONE: &str = "takes in nobody who comes later, read-only or not, within 40 s";
const NO_READ_ONLY: &str = "has no read-only mode";
const NO_CALL: &str = "its library has no call for it";
const NO_DHT_CALLS: &str =
    "has no calls for its DHT: it announces what it seeds, and looks for what it fetches";
const NO_CAS: &str = "takes no cas: it reads the newest item first";

const LIBTORRENT: &[(&str, Option<Side>, &str)] =
    &[("find_node", Some(TheyAsk), NO_CALL), ("wrong cas refused", Some(TheyAsk), NO_CAS)];

const LIBTORRENT_V6: &[(&str, Option<Side>, &str)] = &[
    ("find_node", Some(TheyAsk), NO_CALL),
    ("wrong cas refused", Some(TheyAsk), NO_CAS),
    ("samples", Some(TheyAsk), "its call for it sends nothing over IPv6"),
];

const RQBIT: &[(&str, Option<Side>, &str)] = &[
    ("announce and get_peers", Some(WeAsk), "stores no announce without implied_port"),
    ("announce, implied port", Some(TheyAsk), NO_CALL),
    ("ping", Some(TheyAsk), NO_CALL),
    ("find_node", Some(TheyAsk), NO_CALL),
    ("immutable item", None, NO_ITEMS),
    ("mutable item", None, NO_ITEMS),
    ("older item refused", None, NO_ITEMS),
    ("wrong cas refused", None, NO_ITEMS),
    ("put immutable", None, NO_ITEMS),
    ("get immutable", None, NO_ITEMS),
    ("put mutable", None, NO_ITEMS),
    ("get mutable", None, NO_ITEMS),
    ("samples", None, NO_SAMPLES),
    ("scrape", None, NO_SCRAPE),
    ("metadata by address", None, NO_METADATA),
    ("metadata by magnet", None, NO_METADATA),
    ("read-only, not kept", Some(WeAsk), TAKES_NONE),
    ("read-only, served", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(TheyAsk), NO_READ_ONLY),
];

/// Clients of torrents, with a DHT inside.
const ARIA2: &[(&str, Option<Side>, &str)] = &[
    ("announce, implied port", Some(WeAsk), "keeps the port that it is told, whatever implied_port says"),
    ("ping", Some(TheyAsk), NO_DHT_CALLS),
    ("find_node", Some(TheyAsk), NO_DHT_CALLS),
    ("get_peers", Some(TheyAsk), NO_DHT_CALLS),
    ("announce, implied port", Some(TheyAsk), NO_DHT_CALLS),
    ("immutable item", None, NO_ITEMS),
    ("mutable item", None, NO_ITEMS),
    ("older item refused", None, NO_ITEMS),
    ("wrong cas refused", None, NO_ITEMS),
    ("put immutable", None, NO_ITEMS),
    ("get immutable", None, NO_ITEMS),
    ("put mutable", None, NO_ITEMS),
    ("get mutable", None, NO_ITEMS),
    ("samples", None, NO_SAMPLES),
    ("scrape", None, NO_SCRAPE),
    ("read-only, served", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(WeAsk), TAKES_ALL),
];

const TRANSMISSION: &[(&str, Option<Side>, &str)] = &[
    ("ping", Some(TheyAsk), NO_DHT_CALLS),
    ("find_node", Some(TheyAsk), NO_DHT_CALLS),
    ("get_peers", Some(TheyAsk), NO_DHT_CALLS),
    ("announce, implied port", Some(TheyAsk), NO_DHT_CALLS),
    ("immutable item", None, NO_ITEMS),
    ("mutable item", None, NO_ITEMS),
    ("older item refused", None, NO_ITEMS),
    ("wrong cas refused", None, NO_ITEMS),
    ("put immutable", None, NO_ITEMS),
    ("get immutable", None, NO_ITEMS),
    ("put mutable", None, NO_ITEMS),
    ("get mutable", None, NO_ITEMS),
    ("samples", None, NO_SAMPLES),
    ("scrape", None, NO_SCRAPE),
    ("read-only, served", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(WeAsk), TAKES_NONE),
];

const MAINLINE: &[(&str, Option<Side>, &str)] = &[
    ("ping", Some(TheyAsk), NO_CALL),
    ("wrong cas refused", Some(TheyAsk), "compares by itself, and does not send what would be refused"),
    ("samples", None, NO_SAMPLES),
    ("scrape", None, NO_SCRAPE),
    ("metadata by address", None, NO_METADATA),
    ("metadata by magnet", None, NO_METADATA),
];

const WEBTORRENT: &[(&str, Option<Side>, &str)] = &[
    ("samples", None, NO_SAMPLES),
    ("scrape", None, NO_SCRAPE),
    ("read-only, not kept", Some(WeAsk), TAKES_ALL),
    ("read-only, served", Some(TheyAsk), NO_READ_ONLY),
    ("read-only, not kept", Some(TheyAsk), NO_READ_ONLY),
];

/// All of them, the reference first.
pub const ALL: [Foreign; 9] = [
    Foreign { name: "libtorrent", folder: "libtorrent", ip: V4, ours: 3, cannot: LIBTORRENT },
    Foreign { name: "libtorrent-v6", folder: "libtorrent", ip: V6, ours: 3, cannot: LIBTORRENT_V6 },
    Foreign { name: "libtorrent20", folder: "libtorrent20", ip: V4, ours: 3, cannot: LIBTORRENT },
    Foreign { name: "mainline", folder: "mainline", ip: V4, ours: 3, cannot: MAINLINE },
    Foreign { name: "rqbit", folder: "rqbit", ip: V4, ours: 3, cannot: RQBIT },
    Foreign { name: "rqbit-v6", folder: "rqbit", ip: V6, ours: 3, cannot: RQBIT },
    Foreign { name: "webtorrent", folder: "webtorrent", ip: V4, ours: 3, cannot: WEBTORRENT },
    Foreign { name: "aria2", folder: "aria2", ip: V4, ours: 3, cannot: ARIA2 },
    // It looks for nothing before it knows more than eight nodes.
    Foreign { name: "transmission", folder: "transmission", ip: INSIDE, ours: 11, cannot: TRANSMISSION },
];

impl Foreign {
    /// Why a check can not be made with it.
    pub fn cannot(&self, capability: &str, side: Side) -> Option<&'static str> {
        let about = |(name, of, _): &&(&str, Option<Side>, &str)| {
            *name == capability && of.is_none_or(|of| of == side)
        };
        self.cannot.iter().find(about).map(|(_, _, reason)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mainline::checks;

    #[test]
    fn what_a_peer_can_not_do_is_a_check() {
        for (name, side, _) in ALL.iter().flat_map(|peer| peer.cannot) {
            let known = checks().any(|c| c.capability == *name && side.is_none_or(|side| c.side == side));
            assert!(known, "{name} {side:?}");
        }
    }
}
