//! A Kademlia stack for two real networks: the IPFS DHT and BitTorrent Mainline
