//! The file with the key of mutable items: the 32-byte seed of an Ed25519 key as 64 hexadecimal digits.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use anyhow::{Context, anyhow};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::SigningKey;

use crate::keygen;

/// Bytes of the largest file that is read.
const MAX_FILE: u64 = 1024;

/// Reads a key, or makes one where there is no file yet; whether it is new.
pub fn read_or_make(path: &Path) -> anyhow::Result<(SigningKey, bool)> {
    let shown = path.display();
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => {
            let read = file.take(MAX_FILE).read_to_string(&mut text);
            if let Err(error) = read
                && error.kind() != ErrorKind::InvalidData
            {
                return Err(error).with_context(|| format!("cannot read the key `{shown}`"));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return make(path).map(|key| (key, true)),
        Err(error) => return Err(error).with_context(|| format!("cannot read the key `{shown}`")),
    }
    let seed = HEXLOWER_PERMISSIVE.decode(text.trim_end().as_bytes()).unwrap_or_default();
    let seed: [u8; 32] = seed.try_into().map_err(|_| {
        anyhow!("`{shown}` is not a key: 64 hexadecimal digits, the seed of an Ed25519 key; name a new file to make one")
    })?;
    Ok((SigningKey::from_bytes(&seed), false))
}

fn make(path: &Path) -> anyhow::Result<SigningKey> {
    let seed: [u8; 32] = rand::random();
    keygen::write(path, format!("{}\n", HEXLOWER.encode(&seed)).as_bytes())?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The public key as it is typed.
pub fn public(key: &SigningKey) -> String {
    HEXLOWER.encode(&key.verifying_key().to_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_then_read() {
        let folder = std::env::temp_dir().join(format!("dht-cli-key-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        let (made, new) = read_or_make(&path).unwrap();
        assert!(new);
        let (read, new) = read_or_make(&path).unwrap();
        assert!(!new && read == made);
        for wrong in [&b"not a key"[..], b"", b"\xff\xff"] {
            fs::write(&path, wrong).unwrap();
            let error = read_or_make(&path).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
