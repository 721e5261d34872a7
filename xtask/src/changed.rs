//! Which members the uncommitted changes touch: what `ci --quick` tests.
//!
//! Goes by folders, not by content: a changed comment counts.

use std::collections::BTreeSet;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// Files at the root that change what every member compiles to, or what is expected of it.
const SHARED: [&str; 3] = ["Cargo.toml", "Cargo.lock", "clippy.toml"];

/// The members with changes against HEAD, new files included, and everything that depends on them.
pub fn members<'a>(sh: &Shell, workspace: &'a Workspace) -> Result<BTreeSet<&'a str>> {
    let tracked = cmd!(sh, "git diff --name-only HEAD").quiet().read()?;
    let new = cmd!(sh, "git ls-files --others --exclude-standard").quiet().read()?;
    let files: Vec<&str> = tracked.lines().chain(new.lines()).collect();
    Ok(touched(workspace, &files))
}

fn touched<'a>(workspace: &'a Workspace, files: &[&str]) -> BTreeSet<&'a str> {
    if files.iter().any(|file| SHARED.contains(file)) {
        return workspace.names();
    }
    let direct: BTreeSet<&str> = workspace
        .packages
        .iter()
        .filter(|package| {
            let folder = format!("{}/", package.folder);
            files.iter().any(|file| file.starts_with(&folder))
        })
        .map(|package| package.name.as_str())
        .collect();
    workspace.with_dependents(&direct)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::tests::package;

    fn workspace() -> Workspace {
        let packages = vec![package("a", &[], &[]), package("ab", &["a"], &[]), package("c", &[], &[])];
        Workspace { root: PathBuf::new(), target: PathBuf::new(), packages }
    }

    #[test]
    fn a_change_reaches_its_member_and_the_dependents() {
        let workspace = workspace();
        let names = |files: &[&str]| touched(&workspace, files).into_iter().collect::<Vec<_>>();
        assert_eq!(names(&["a/src/lib.rs"]), ["a", "ab"]);
        assert_eq!(names(&["ab/src/lib.rs"]), ["ab"]);
        assert!(names(&["docs/architecture.md"]).is_empty());
    }

    #[test]
    fn a_shared_file_touches_everything() {
        assert_eq!(touched(&workspace(), &["Cargo.toml"]).len(), 3);
    }
}
