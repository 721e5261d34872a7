//! Replays the corpus of `tests/fuzz` on the stable compiler, then runs its targets, which need a nightly compiler and
//! `cargo-fuzz`.
//!
//! Installs neither: a machine without them skips the second part and says so. What a run finds stays in the target folder;
//! the committed corpus is minimised by hand.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// Every target, or the one that is named, for so many seconds each.
pub fn run(sh: &Shell, workspace: &Workspace, seconds: u64, only: Option<&str>) -> Result<()> {
    replay(sh, workspace)?;
    if let Some(missing) = missing(sh, workspace) {
        ensure!(only.is_none(), "{missing}");
        println!("skipped: {missing}");
        return Ok(());
    }
    let folder = workspace.root.join("tests/fuzz");
    let targets = cmd!(sh, "cargo +nightly fuzz list --fuzz-dir {folder}").quiet().read()?;
    let chosen: Vec<&str> =
        targets.lines().filter(|target| only.is_none_or(|name| name == *target)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are: {}", targets.replace('\n', ", "));
    let limit = format!("-max_total_time={seconds}");
    let built = workspace.target.join("fuzz");
    for target in chosen {
        // The first folder takes what is new.
        let (found, known) = (built.join("corpus").join(target), folder.join("corpus").join(target));
        sh.create_dir(&found)?;
        // Without a sanitizer: there is no unsafe code to watch, and the targets are several times as fast.
        let options = ["--sanitizer", "none", "--no-trace-compares"];
        cmd!(
            sh,
            "cargo +nightly fuzz run --fuzz-dir {folder} --target-dir {built} {options...} {target} {found} {known} -- {limit}"
        )
        .run()?;
    }
    Ok(())
}

/// Every committed input once, as an ordinary test beside what the workspace has built.
fn replay(sh: &Shell, workspace: &Workspace) -> Result<()> {
    let manifest = "tests/fuzz/Cargo.toml";
    if !sh.path_exists(manifest) {
        return Ok(());
    }
    let target = &workspace.target;
    Ok(cmd!(
        sh,
        "cargo test --manifest-path {manifest} --target-dir {target} --no-default-features --lib --quiet"
    )
    .run()?)
}

fn missing(sh: &Shell, workspace: &Workspace) -> Option<&'static str> {
    let has = |command: xshell::Cmd<'_>| command.quiet().ignore_stderr().read().is_ok();
    if !workspace.root.join("tests/fuzz/Cargo.toml").is_file() {
        Some("there are no fuzz targets in tests/fuzz")
    } else if !has(cmd!(sh, "cargo +nightly --version")) {
        Some("no nightly compiler (`rustup toolchain install nightly` brings it)")
    } else if !has(cmd!(sh, "cargo +nightly fuzz --version")) {
        Some("no cargo-fuzz (`cargo install cargo-fuzz` brings it)")
    } else {
        None
    }
}
