//! The committed fault scenarios of the simulator, with several seeds each.
//!
//! In the release profile: what a simulation costs is running it, and the simulator has few dependencies to build. What the
//! scenarios are stands in their files.

use anyhow::Result;
use xshell::{Shell, cmd};

/// How large and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Nodes at the start.
    pub nodes: u32,
    /// Seeds of each scenario.
    pub seeds: u32,
}

impl Size {
    /// What every change has to pass: minutes.
    pub const CI: Self = Self { nodes: 300, seeds: 3 };
    /// Before a release: hours.
    pub const RELEASE: Self = Self { nodes: 1000, seeds: 20 };
    /// At night, on a machine of its own.
    pub const NIGHTLY: Self = Self { nodes: 1000, seeds: 1000 };
}

/// Runs all scenarios, or those whose file name contains the text.
pub fn run(sh: &Shell, size: Size, only: Option<&str>) -> Result<()> {
    let (nodes, seeds) = (size.nodes.to_string(), size.seeds.to_string());
    let only = only.map_or(vec![], |only| vec!["--only", only]);
    let build = ["--release", "--package", "dht-sim", "--features", "serde", "--example", "scenarios"];
    let folder = "dht-sim/scenarios";
    Ok(cmd!(sh, "cargo run {build...} -- {folder} --nodes {nodes} --seeds {seeds} {only...}").run()?)
}
