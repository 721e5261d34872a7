//! Shows that one layer can be used without the others: a crate outside the workspace depends on it alone, compiles, and
//! neither a runtime nor a network stack comes along.
//!
//! The members themselves can not show this, because one resolution of features serves them all.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// What is depended on, with which features, and what must then be absent.
const CASES: [Case; 7] = [
    Case::alone("dht-routing"),
    Case::alone("dht-query"),
    Case::alone("dht-records"),
    Case::alone("dht-protocol"),
    Case::alone("dht-mainline"),
    Case { dependency: "dht", features: Some(&[]), absent: &["libp2p"] },
    Case {
        dependency: "dht",
        features: Some(&["mainline"]),
        absent: &["libp2p", "libp2p-identity", "dht-ipfs", "dht-config"],
    },
];

struct Case {
    dependency: &'static str,
    /// `None`: those that it has by default; otherwise these and no others.
    features: Option<&'static [&'static str]>,
    absent: &'static [&'static str],
}

/// Writes, checks and judges one crate per case, in the target folder.
pub fn check(sh: &Shell, workspace: &Workspace) -> Result<()> {
    for case in &CASES {
        let name = case.name();
        let folder = workspace.target.join("outside").join(&name);
        case.write(&workspace.root, &folder)?;
        let manifest = folder.join("Cargo.toml");
        let target = &workspace.target;
        cmd!(sh, "cargo check --quiet --manifest-path {manifest} --target-dir {target}").run()?;
        let tree =
            cmd!(sh, "cargo tree --manifest-path {manifest} -e normal --prefix none").quiet().read()?;
        let found = present(&tree, case.absent);
        ensure!(found.is_empty(), "`{name}` alone brings {}", found.join(" and "));
        println!("{name} alone: {} packages", package_names(&tree).count());
    }
    Ok(())
}

impl Case {
    /// A pure layer as it comes.
    const fn alone(dependency: &'static str) -> Self {
        Self { dependency, features: None, absent: &["tokio", "libp2p", "dht-net"] }
    }

    /// The package and the features that were picked.
    fn name(&self) -> String {
        let features = self.features.unwrap_or_default().iter();
        features.fold(self.dependency.to_owned(), |name, feature| name + "-with-" + feature)
    }

    fn write(&self, root: &Path, folder: &Path) -> Result<()> {
        let Self { dependency, features, .. } = self;
        let (name, default_features) = (self.name(), features.is_none());
        let features = features.unwrap_or_default();
        let path = root.join(dependency);
        fs::create_dir_all(folder.join("src"))?;
        let manifest = format!(
            "[package]\nname = \"outside-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{dependency} = {{ path = {path:?}, default-features = {default_features}, \
             features = {features:?} }}\n\n\
             [workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::write(
            folder.join("src/lib.rs"),
            format!("pub use {} as layer;\n", dependency.replace('-', "_")),
        )?;
        // The versions of the workspace: nothing is fetched or compiled that the other steps do not need too.
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("Cargo.lock")?;
        Ok(())
    }
}

/// The names in what `cargo tree --prefix none` prints, each once.
pub fn package_names(tree: &str) -> impl Iterator<Item = &str> {
    let names: std::collections::BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.into_iter()
}

/// Those of `unwanted` that the tree holds.
pub fn present<'a>(tree: &str, unwanted: &[&'a str]) -> Vec<&'a str> {
    let names: Vec<&str> = package_names(tree).collect();
    unwanted.iter().copied().filter(|name| names.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str =
        "outside v0.0.0\ndht-core v0.1.0 (/a)\nlibp2p-identity v0.3.1\nbytes v1.0.0\nbytes v1.0.0 (*)";

    #[test]
    fn cases_have_their_own_names() {
        let names: std::collections::BTreeSet<String> = CASES.iter().map(Case::name).collect();
        assert_eq!(names.len(), CASES.len());
        assert!(names.contains("dht-mainline"), "{names:?}");
    }

    #[test]
    fn a_package_that_only_begins_alike_is_not_the_unwanted_one() {
        assert!(present(TREE, &["tokio", "libp2p"]).is_empty());
    }

    #[test]
    fn an_unwanted_package_is_named() {
        let tree = format!("{TREE}\ntokio v1.54.0");
        assert_eq!(present(&tree, &["tokio", "libp2p"]), ["tokio"]);
    }

    #[test]
    fn every_package_counts_once() {
        assert_eq!(package_names(TREE).count(), 4);
    }
}
