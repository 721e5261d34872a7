//! Whole nodes of the IPFS network, in memory and on loopback: what a user of [`Dht<Ipfs>`] calls, and what it must do.

#![cfg(feature = "ipfs")]

mod network;

#[cfg(feature = "libp2p")]
mod loopback;

mod content;
mod features;
mod lifecycle;
mod options;
mod peers;
mod values;
