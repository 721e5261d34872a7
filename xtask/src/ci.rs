//! What a change has to pass, as a list of steps.
//!
//! Building is what costs: libp2p takes minutes. So there is one resolution of features (`--workspace --all-features`) for
//! everything that is linked (tests, benches, the demo), all of it in the dev profile, and everything else is only checked.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::steps::Steps;
use crate::workspace::{Package, Workspace};
use crate::{changed, fuzz, outside, platforms, sim, tidy};

/// Seconds that each fuzz target runs for in `ci`: enough to replay the corpus and to see that it still works.
const FUZZ_SECONDS: u64 = 15;

/// What is compiled apart, because it needs another compiler or other people's stacks.
const APART: [&str; 5] = [
    "tests/bench",
    "tests/fuzz",
    "tests/interop/peers/rust",
    "tests/interop/peers/mainline",
    "tests/interop/peers/rqbit",
];

/// Before every commit: minutes, not an hour.
pub fn quick(sh: &Shell, workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.run("fmt", || fmt(sh))?;
    steps.run("tidy", || tidy::check(workspace))?;
    steps.run("clippy", || clippy(sh))?;
    let members = changed::members(sh, workspace)?;
    if members.is_empty() {
        println!("nothing changed against HEAD: no tests to run");
        return Ok(());
    }
    steps.run("tests of what changed", || {
        let selected: Vec<&str> = members.iter().flat_map(|member| ["--package", member]).collect();
        Ok(cmd!(sh, "cargo test {selected...} --all-features").run()?)
    })
}

/// Everything, from a cold target folder.
///
/// Without incremental state: it would be two thirds of what the target folder takes on disk, for a build that is made once.
pub fn full(sh: &Shell, workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let _once = sh.push_env("CARGO_INCREMENTAL", "0");
    steps.run("fmt", || fmt(sh))?;
    steps.run("tidy", || tidy::check(workspace))?;
    steps.run("clippy", || clippy(sh))?;
    steps.run("build", || Ok(cmd!(sh, "cargo build --workspace --all-features --all-targets").run()?))?;
    steps.run("tests", || tests(sh))?;
    steps.run("every bench once", || benches(sh, workspace))?;
    steps.run("doc", || {
        let _deny = sh.push_env("RUSTDOCFLAGS", "-D warnings");
        Ok(cmd!(sh, "cargo doc --workspace --all-features --no-deps").run()?)
    })?;
    for package in libraries(workspace) {
        for (name, flags) in feature_sets(package) {
            steps.run(&format!("{} alone, {name}", package.name), || alone(sh, &package.name, flags))?;
        }
    }
    steps.run("licences and sources", || deny(sh))?;
    steps.run("outside the workspace", || outside::check(sh, workspace))?;
    steps.run("other systems", || platforms::check(sh))?;
    steps.run("demo", || demo(sh, workspace))?;
    steps.run("whole networks", || sim::run(sh, sim::Size::CI, None))?;
    steps.run("interop", || {
        let program = built(workspace, "interop");
        Ok(cmd!(sh, "{program}").run()?)
    })?;
    steps.run("fuzz", || fuzz::run(sh, workspace, FUZZ_SECONDS, None))
}

/// The suite against foreign implementations. It fetches and builds those that the machine can run, and says which it
/// can not.
pub fn interop(sh: &Shell, arguments: &[String]) -> Result<()> {
    Ok(cmd!(sh, "cargo run --package interop -- {arguments...}").run()?)
}

fn fmt(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    for folder in APART {
        let manifest = format!("{folder}/Cargo.toml");
        if sh.path_exists(&manifest) {
            cmd!(sh, "cargo fmt --manifest-path {manifest} --check").run()?;
        }
    }
    Ok(())
}

/// Every bench once, without measuring: that is what benches do when `--bench` is not among their arguments, as criterion
/// has it. Those that compare with other stacks come from a workspace of their own.
fn benches(sh: &Shell, workspace: &Workspace) -> Result<()> {
    if workspace.packages.iter().any(|package| !package.benches.is_empty()) {
        cmd!(sh, "cargo test --workspace --all-features --bench * --quiet").run()?;
    }
    let comparisons = "tests/bench/Cargo.toml";
    if sh.path_exists(comparisons) {
        let target = &workspace.target;
        cmd!(sh, "cargo test --manifest-path {comparisons} --target-dir {target} --benches --quiet").run()?;
    }
    Ok(())
}

fn clippy(sh: &Shell) -> Result<()> {
    Ok(cmd!(sh, "cargo clippy --workspace --all-targets --all-features -- -D warnings").run()?)
}

/// All tests, by target, not by package: with some of the packages only, cargo would resolve features anew and compile
/// everything again.
fn tests(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo test --workspace --all-features --lib --bins --examples --test *").run()?;
    Ok(cmd!(sh, "cargo test --workspace --all-features --doc").run()?)
}

/// What the dependencies may be. Advisories are left to a machine that may ask their database.
fn deny(sh: &Shell) -> Result<()> {
    if cmd!(sh, "cargo deny --version").quiet().ignore_stderr().read().is_err() {
        println!("skipped: no cargo-deny (`cargo install cargo-deny` brings it)");
        return Ok(());
    }
    Ok(cmd!(sh, "cargo deny --log-level error check bans licenses sources").run()?)
}

/// The program's demonstration.
fn demo(sh: &Shell, workspace: &Workspace) -> Result<()> {
    let program = built(workspace, "dht");
    for transport in ["memory", "tcp"] {
        cmd!(sh, "{program} demo --transport {transport}").run()?;
    }
    Ok(cmd!(sh, "{program} demo --network mainline").run()?)
}

/// A program as `build` left it: cargo, asked for it alone, would resolve features anew.
fn built(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// One crate with one set of features, by clippy: it compiles the same as `check` and denies warnings.
fn alone(sh: &Shell, name: &str, flags: &[&str]) -> Result<()> {
    Ok(cmd!(sh, "cargo clippy --quiet --package {name} {flags...} -- -D warnings").run()?)
}

fn libraries(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.packages.iter().filter(|package| package.library && !package.folder.starts_with("tests/"))
}

/// Default, no and all features, without those that are the same for this crate.
fn feature_sets(package: &Package) -> Vec<(&'static str, &'static [&'static str])> {
    let default = package.features.get("default").is_some_and(|turned_on| !turned_on.is_empty());
    let others = package.features.keys().any(|name| name != "default");
    let mut sets: Vec<(&'static str, &'static [&'static str])> = vec![("default features", &[])];
    if default {
        sets.push(("no features", &["--no-default-features"]));
    }
    if others {
        sets.push(("all features", &["--all-features"]));
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(features: &[(&str, &[&str])]) -> Vec<&'static str> {
        let features = features
            .iter()
            .map(|(name, on)| ((*name).to_owned(), on.iter().map(|on| (*on).to_owned()).collect()))
            .collect();
        let package = Package { features, ..Package::default() };
        feature_sets(&package).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_crate_is_not_checked_twice_with_the_same_features() {
        assert_eq!(sets(&[]), ["default features"]);
        assert_eq!(sets(&[("default", &[]), ("quic", &[])]), ["default features", "all features"]);
        assert_eq!(
            sets(&[("default", &["quic"]), ("quic", &[])]),
            ["default features", "no features", "all features"]
        );
    }
}
