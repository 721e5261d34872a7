//! Presets: named sets of values for common situations. Each is a TOML file beside this one, so that it reads like what
//! a user would write.
//!
//! A preset says only what differs from the defaults; everything else can still be set beside it.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A named set of values, stronger than the defaults and weaker than everything a user writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Preset {
    /// A node of the public IPFS network.
    Amino,
    /// Peers of one site.
    Lan,
    /// A client that is quiet when nobody asks.
    Mobile,
    /// A machine that is always there and serves others.
    Server,
    /// Much bandwidth and memory, fast answers.
    HighPerformance,
    /// Several nodes on one machine.
    Testing,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] =
        [Self::Amino, Self::Lan, Self::Mobile, Self::Server, Self::HighPerformance, Self::Testing];

    /// Its name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amino => "amino",
            Self::Lan => "lan",
            Self::Mobile => "mobile",
            Self::Server => "server",
            Self::HighPerformance => "high_performance",
            Self::Testing => "testing",
        }
    }

    /// Its values as TOML.
    pub fn text(self) -> &'static str {
        match self {
            Self::Amino => include_str!("presets/amino.toml"),
            Self::Lan => include_str!("presets/lan.toml"),
            Self::Mobile => include_str!("presets/mobile.toml"),
            Self::Server => include_str!("presets/server.toml"),
            Self::HighPerformance => include_str!("presets/high_performance.toml"),
            Self::Testing => include_str!("presets/testing.toml"),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| UnknownPreset { name: name.to_owned() })
    }
}

/// There is no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no preset `{name}`; there are {}", names())]
pub struct UnknownPreset {
    /// What was named.
    pub name: String,
}

fn names() -> String {
    Preset::ALL.map(Preset::name).join(", ")
}
