//! Whole nodes of the Mainline network, in memory and on loopback: what a user of [`Dht<Mainline>`] calls, and what it must
//! do.

#![cfg(feature = "mainline")]

mod network;

mod items;
mod loopback;
mod metadata;
mod swarms;
