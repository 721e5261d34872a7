//! The workspace as cargo describes it: members, what they depend on, features and benches.
//!
//! Reads only `cargo metadata --no-deps`; what a dependency pulls in is asked of `cargo tree` where it matters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The whole workspace.
pub struct Workspace {
    /// Where its manifest is.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// Its members, by name.
    pub packages: Vec<Package>,
}

/// One member.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root, with `/` between the parts.
    pub folder: String,
    /// Whether other crates can use it.
    pub library: bool,
    /// What it depends on, one entry per dependency and kind.
    pub dependencies: Vec<Dependency>,
    /// Its features with what each turns on; optional dependencies with an implicit feature included.
    pub features: BTreeMap<String, Vec<String>>,
    /// Its bench targets.
    pub benches: Vec<String>,
}

/// One line of a manifest's dependency tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package that is depended on.
    pub name: String,
    /// For tests and benches only.
    pub dev: bool,
}

impl Workspace {
    /// Asks cargo, from the folder of this package, so that the current folder does not matter.
    pub fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("cargo does not start")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Ok(metadata.into())
    }

    /// The names of the members.
    pub fn names(&self) -> BTreeSet<&str> {
        self.packages.iter().map(|package| package.name.as_str()).collect()
    }

    /// The members and everything in the workspace that depends on them, for tests too.
    pub fn with_dependents(&self, start: &BTreeSet<&str>) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> =
            self.names().into_iter().filter(|name| start.contains(name)).collect();
        loop {
            let before = found.len();
            for package in &self.packages {
                if package.dependencies.iter().any(|dependency| found.contains(dependency.name.as_str())) {
                    found.insert(&package.name);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}

/// The cargo that runs us, so that a `+toolchain` given to the outer call reaches the inner ones.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
    targets: Vec<Target>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl From<Metadata> for Workspace {
    fn from(metadata: Metadata) -> Self {
        let root = metadata.workspace_root;
        let packages = metadata.packages.into_iter().map(|package| package.into_package(&root)).collect();
        Self { root, target: metadata.target_directory, packages }
    }
}

impl MetadataPackage {
    fn into_package(self, root: &Path) -> Package {
        let folder = self.manifest_path.parent().unwrap_or(root);
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        let of_kind = |kind: &str| {
            let kind = kind.to_owned();
            self.targets.iter().filter(move |target| target.kind.contains(&kind))
        };
        Package {
            library: of_kind("lib").next().is_some(),
            benches: of_kind("bench").map(|target| target.name.clone()).collect(),
            folder: folder.to_string_lossy().replace('\\', "/"),
            name: self.name,
            dependencies: self
                .dependencies
                .into_iter()
                .map(|dependency| Dependency {
                    dev: dependency.kind.as_deref() == Some("dev"),
                    name: dependency.name,
                })
                .collect(),
            features: self.features,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A member with normal dependencies, for the tests of the rules.
    pub fn package(name: &str, normal: &[&str], dev: &[&str]) -> Package {
        let dependency = |name: &&str, dev| Dependency { name: (*name).to_owned(), dev };
        Package {
            name: name.to_owned(),
            folder: name.to_owned(),
            library: true,
            dependencies: normal
                .iter()
                .map(|name| dependency(name, false))
                .chain(dev.iter().map(|name| dependency(name, true)))
                .collect(),
            ..Package::default()
        }
    }

    #[test]
    fn dependents_are_found_through_others_and_through_tests() {
        let packages = vec![
            package("a", &[], &[]),
            package("b", &["a"], &[]),
            package("c", &[], &["b"]),
            package("d", &[], &[]),
        ];
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages };
        let found = workspace.with_dependents(&BTreeSet::from(["a"]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn this_workspace_loads() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.names().contains("dht-core"));
        let this = workspace.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(this.folder, "xtask");
        assert!(!this.library);
    }
}
