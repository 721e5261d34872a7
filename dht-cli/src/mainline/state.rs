//! The file in which a node keeps its ids and tables from one run to the next. Its first bytes say what it is and of
//! which version; what is something else is never overwritten.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::Path,
};

use anyhow::{Context, anyhow};
use dht::mainline::SavedState;

/// Reads the state; `None` where there is no file yet.
pub fn read(path: &Path) -> anyhow::Result<Option<SavedState>> {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read the state `{shown}`")),
    };
    let mut bytes = Vec::new();
    let read = file.take(SavedState::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read the state `{shown}`"))?;
    let state = SavedState::decode(&bytes);
    state.map(Some).map_err(|why| {
        anyhow!("`{shown}` is not a state that this program can go on from: {why}; it stays as it is, name another file")
    })
}

/// Puts the state in the place of an earlier one, whole or not at all.
pub fn write(path: &Path, state: &SavedState) -> anyhow::Result<()> {
    replace(path, &state.encode()).with_context(|| format!("cannot write the state `{}`", path.display()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidFilename)?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The name is only safe when its folder is; some systems do not open folders.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_replaces_an_earlier_one_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("dht-cli-state-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("state");
        assert_eq!(read(&path).unwrap(), None);
        for _ in 0..2 {
            write(&path, &SavedState::default()).unwrap();
            assert_eq!(read(&path).unwrap(), Some(SavedState::default()));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let damaged = [&SavedState::default().encode()[..], b"x"].concat();
        for other in [&b"a letter"[..], b"", &damaged] {
            fs::write(&path, other).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("state") && error.contains("another file"), "{error}");
        }
        let nowhere = folder.join("absent").join("state");
        assert!(write(&nowhere, &SavedState::default()).unwrap_err().to_string().contains("absent"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
