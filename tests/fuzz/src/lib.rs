//! The bodies of the fuzz targets: each takes any bytes and panics when something that must hold does not.
//!
//! They are plain functions of the stable language, so that the committed corpus is replayed by an ordinary test on every
//! machine; what feeds them new bytes stands in `targets/` and needs nightly. Nothing here measures or fetches anything.

pub mod addresses;
pub mod bencode;
pub mod codec;
pub mod files;
mod input;
pub mod krpc;
pub mod mainline_node;
pub mod metadata;
pub mod node;
#[allow(dead_code, reason = "the codec target leaves the peers of a message as bytes")]
#[path = "../../../dht-ipfs/src/oracle.rs"]
mod oracle;
pub mod records;
pub mod store;
pub mod valid;

#[cfg(test)]
mod broken;
#[cfg(test)]
mod replay;
