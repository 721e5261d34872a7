//! Runs the fuzz targets of `tests/fuzz`, which need a nightly compiler and `cargo-fuzz`.
//!
//! Installs neither: a machine without them skips the step and says so.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// Every target, or the one that is named, for so many seconds each.
pub fn run(sh: &Shell, workspace: &Workspace, seconds: u64, only: Option<&str>) -> Result<()> {
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
    for target in chosen {
        cmd!(sh, "cargo +nightly fuzz run --fuzz-dir {folder} {target} -- {limit}").run()?;
    }
    Ok(())
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
