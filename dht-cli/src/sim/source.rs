//! Where a scenario is read from: a file, or what comes with the program.

use std::{fs, io, path::Path};

use anyhow::Context;
use dht_sim::Scenario;

use crate::exit::usage;

/// Bytes of a scenario file: more is no scenario.
const MAX_FILE: u64 = 1 << 20;

/// Reads a scenario from a file; where there is none, the one that comes with the program under this name. A folder
/// `scenarios` before it, the number of its row and the ending may be there or not: `churn-48h` is
/// `scenarios/09-churn-48h.toml`. Any other folder is one of the caller's, where a file is missing.
pub(super) fn read(path: &Path) -> anyhow::Result<Scenario> {
    let text = match fs::metadata(path) {
        Ok(file) if file.len() > MAX_FILE => {
            let (shown, length) = (path.display(), file.len());
            return Err(usage(format!("{shown}: {length} bytes are no scenario, {MAX_FILE} are allowed")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match shipped(path) {
            Some(text) => text.to_owned(),
            None => {
                let none = "no scenario of that name comes with the program (see `dht sim --list`)";
                return Err(error).with_context(|| format!("{}, and {none}", cannot(path)));
            }
        },
        _ => fs::read_to_string(path).with_context(|| cannot(path))?,
    };
    parse(path, &text)
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
