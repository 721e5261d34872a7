//! The Kademlia routing table and its upkeep: k-buckets, lookup checks, refresh, bootstrap; pure, without I/O
