//! `dht keygen`: makes an identity and keeps it in a file that nobody else can read.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use dht::ipfs::{Keypair, PeerId, ipns::Name};
use rsa::{pkcs1::EncodeRsaPrivateKey, rand_core::OsRng};
use serde_json::json;

use crate::output::Output;

/// Bits of a new RSA key: what libp2p asks for at least, and what others use.
const RSA_BITS: usize = 2048;

/// Make an identity.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which kind of key
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = KeyKind::Ed25519)]
    kind: KeyKind,
    /// Where to keep it; a file that is there is not touched
    file: PathBuf,
}

/// The kinds of keys that peers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// Short, fast, what everybody uses
    Ed25519,
    /// The curve of Bitcoin and Ethereum
    Secp256k1,
    /// P-256
    Ecdsa,
    /// 2048 bits, as the oldest peers have
    Rsa,
}

/// `dht keygen [--type TYPE] FILE`.
pub fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let (protobuf, keypair) = generate(args.kind)?;
    write(&args.file, &protobuf)?;
    let public = keypair.public();
    let peer = PeerId::from_public_key(&public);
    let json = json!({
        "peer": peer.to_string(),
        "name": Name(peer).to_string(),
        "type": public.key_type().to_string(),
        "file": args.file.display().to_string(),
        "public_key": STANDARD.encode(public.encode_protobuf()),
    });
    output.say(&json, || peer.to_string())?;
    Ok(())
}

/// A new key, in libp2p's protobuf and ready for use.
fn generate(kind: KeyKind) -> anyhow::Result<(Vec<u8>, Keypair)> {
    let keypair = match kind {
        KeyKind::Ed25519 => Keypair::generate_ed25519(),
        KeyKind::Secp256k1 => Keypair::generate_secp256k1(),
        KeyKind::Ecdsa => Keypair::generate_ecdsa(),
        KeyKind::Rsa => return generate_rsa(),
    };
    let protobuf = keypair.to_protobuf_encoding().context("cannot encode the key")?;
    Ok((protobuf, keypair))
}

/// libp2p reads RSA keys and neither makes nor writes them.
fn generate_rsa() -> anyhow::Result<(Vec<u8>, Keypair)> {
    let key = rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS).context("cannot make an RSA key")?;
    let der = key.to_pkcs1_der().context("cannot encode the key")?;
    let der = der.as_bytes();
    // The protobuf of a private key: type RSA (0), then the key as PKCS #1. Both bytes of the length are in use from 128.
    let length = [(der.len() & 0x7f) as u8 | 0x80, (der.len() >> 7) as u8];
    let protobuf = [&[0x08, 0, 0x12][..], &length, der].concat();
    let keypair = Keypair::from_protobuf_encoding(&protobuf).context("cannot read the new key")?;
    Ok((protobuf, keypair))
}

/// Writes a file that is not there yet and that only its owner reads.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let shown = path.display();
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("`{shown}` is there already and is not overwritten; name a new file")
        }
        _ => anyhow!("cannot write `{shown}`: {error}"),
    })?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // Half a key is worse than none.
        let _ = fs::remove_file(path);
        return Err(anyhow!("cannot write `{shown}`: {error}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_is_read_as_it_was_written() {
        for kind in KeyKind::value_variants() {
            let (protobuf, keypair) = generate(*kind).unwrap();
            let read = Keypair::from_protobuf_encoding(&protobuf).unwrap();
            assert_eq!(read.public(), keypair.public(), "{kind:?}");
            let signature = read.sign(b"text").unwrap();
            assert!(keypair.public().verify(b"text", &signature), "{kind:?}");
        }
    }
}
