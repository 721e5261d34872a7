//! Taste and architecture as a test: who may depend on whom, what the pure crates must never pull in, and how files read.
//!
//! Each rule is a pure function from what it judges to a list of faults, so that each is tested with a good and a bad
//! example. This file only collects what they judge. Formatting and lints are not here: rustfmt and clippy have them.

mod features;
mod layers;
mod names;
mod shape;
mod words;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::{Workspace, cargo};

/// Where the files that are longer than the limit are listed, each with the reason.
const LONG_FILES: &str = "xtask/long-files.txt";

/// The table that says where each feature is and which test shows it.
const FEATURES: &str = "docs/features.md";

/// One file of the repository that is text.
#[derive(Debug)]
pub struct Text {
    /// Relative to the root, with `/` between the parts.
    pub path: String,
    /// What is in it.
    pub content: String,
}

impl Text {
    /// Whether it is Rust source.
    pub fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// Applies every rule to the workspace; the error lists every fault, one per line.
pub fn check(workspace: &Workspace) -> Result<()> {
    let texts = texts(&workspace.root)?;
    let mut faults = layers::edges(&workspace.packages);
    for name in layers::PURE {
        if workspace.names().contains(name) {
            faults.extend(layers::purity(name, &tree(workspace, name)?));
        }
    }
    let allowed = read(&texts, LONG_FILES).unwrap_or_default();
    faults.extend(shape::heads(&texts));
    faults.extend(shape::lengths(&texts, allowed));
    faults.extend(names::names(&texts));
    faults.extend(words::words(&texts));
    faults.extend(words::networks(&texts));
    faults.extend(words::registries(&texts));
    match read(&texts, FEATURES) {
        Some(table) => faults.extend(features::rows(table, &texts)),
        None => faults.push(format!("{FEATURES} is missing")),
    }
    if faults.is_empty() {
        return Ok(());
    }
    faults.sort();
    bail!("{}\n{} faults", faults.join("\n"), faults.len());
}

fn read<'a>(texts: &'a [Text], path: &str) -> Option<&'a str> {
    texts.iter().find(|text| text.path == path).map(|text| text.content.as_str())
}

/// What git tracks or would track: a new file is judged before it is committed. What is no UTF-8 is no text.
fn texts(root: &Path) -> Result<Vec<Text>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git does not start; tidy asks it which files belong to the project")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut texts = Vec::new();
    for path in listed.split_terminator('\0') {
        // A file that was deleted and is still in the index is not there to be read.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        if let Ok(content) = String::from_utf8(bytes) {
            texts.push(Text { path: path.to_owned(), content });
        }
    }
    Ok(texts)
}

/// What a crate pulls in with all its features, tests left out.
fn tree(workspace: &Workspace, name: &str) -> Result<String> {
    let output = Command::new(cargo())
        .args(["tree", "--package", name, "--all-features", "--edges", "normal", "--prefix", "none"])
        .current_dir(&workspace.root)
        .output()
        .context("cargo does not start")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::workspace::Workspace;

    #[test]
    fn this_repository_is_tidy() {
        check(&Workspace::load().unwrap()).unwrap();
    }
}
