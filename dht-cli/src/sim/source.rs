//! Where a scenario is read from: a file, or what comes with the program.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use dht_sim::Scenario;

use crate::exit::usage;

/// Bytes of a scenario file: more is no scenario.
const MAX_FILE: u64 = 1 << 20;

/// Reads a scenario from a file; where there is none, the one that comes with the program under this name. A folder
/// `scenarios` before it, the number of its row and the ending may be there or not: `churn-48h` is
/// `scenarios/09-churn-48h.toml`. Any other folder is one of the caller's, where a file is missing.
pub(super) fn read(path: &Path) -> anyhow::Result<Scenario> {
    match File::open(path) {
        Ok(file) => parse(path, &text(path, file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match shipped(path) {
            Some(text) => parse(path, text),
            None => {
                let none = "no scenario of that name comes with the program (see `dht sim --list`)";
                Err(usage(format!("{}, and {none}: {error}", cannot(path))))
            }
        },
        Err(error) => Err(usage(format!("{}: {error}", cannot(path)))),
    }
}

/// What stands there. How long that is shows by reading only: devices and pipes have no length.
fn text(path: &Path, file: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| usage(format!("{}: {error}", cannot(path))))?;
    if bytes.len() as u64 > MAX_FILE {
        let shown = path.display();
        return Err(usage(format!("{shown}: this is too long for a scenario, {MAX_FILE} bytes are allowed")));
    }
    String::from_utf8(bytes).map_err(|_| usage(format!("{}: it is no text in UTF-8", cannot(path))))
}

/// Whether the same is read again under this name: of a pipe it is not.
pub(super) fn is_kept(path: &Path) -> bool {
    // What stdin is at this moment may be a file; its name is still that of any stdin.
    let passing = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    !passing && fs::metadata(path).map_or(true, |file| file.is_file())
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Scenario> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(""));
        let line = before.matches('\n').count() + 1;
        usage(format!("{}:{line}: {}", path.display(), error.message().trim()))
    })
}

fn cannot(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

fn shipped(path: &Path) -> Option<&'static str> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if !["", "scenarios", "dht-sim/scenarios"].iter().any(|own| folder == Path::new(own)) {
        return None;
    }
    let wanted = path.with_extension("");
    let wanted = wanted.file_name()?.to_str()?;
    let named = |name: &str| name == wanted || name.split_once('-').is_some_and(|(_, rest)| rest == wanted);
    dht_sim::shipped().into_iter().find(|(name, _)| named(name)).map(|(_, text)| text)
}

/// The scenarios that come with the program: the name to run each by, and what it calls itself.
pub(super) fn list() -> anyhow::Result<Vec<(&'static str, String)>> {
    let titled = |(name, text)| Ok((name, parse(Path::new(name), text)?.name));
    dht_sim::shipped().into_iter().map(titled).collect()
}
