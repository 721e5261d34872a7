//! The file that says who a node is: its private key in libp2p's protobuf, as `dht keygen` writes it.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};
use dht::ipfs::Keypair;

/// Bytes of the largest file that is read: an RSA key of 8192 bits takes 4.7 kB.
const MAX_FILE: u64 = 16 << 10;

/// Reads a key.
pub fn read(path: &Path) -> anyhow::Result<Keypair> {
    let shown = path.display();
    let named = || format!("cannot read the identity `{shown}`; make one with `dht keygen {shown}`");
    let size = fs::metadata(path).with_context(named)?.len();
    let wrong = || {
        anyhow!("`{shown}` is not an identity as `dht keygen` writes it, a private key in libp2p's protobuf")
    };
    if size > MAX_FILE {
        return Err(wrong());
    }
    let bytes = fs::read(path).with_context(named)?;
    Keypair::from_protobuf_encoding(&bytes).map_err(|_| wrong())
}
