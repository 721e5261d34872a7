//! What can befall a network, and when.

use crate::link::Links;

/// Something that befalls the network.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Fault {
    /// When, in seconds since the scenario's beginning.
    pub at: f64,
    /// For how long, where it is something that passes; `None` until the end.
    #[cfg_attr(feature = "serde", serde(default))]
    pub lasts: Option<f64>,
    /// What.
    pub what: What,
}

/// How a node answers that does not keep to the rules. In all else it is a node like the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Conduct {
    /// It names peers that do not exist, and says to keep what it is given.
    NameTheDead,
    /// It names those that collude with it, the nearest of them, and says to keep what it is given.
    Collude,
    /// As old or broken software: one answer in four cannot be read, one is empty, one names itself and the asker.
    Stumble,
}

/// What befalls it. Whom it concerns is drawn by the seed; `share` is of the nodes that are up.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum What {
    /// The nodes fall apart into sides of these proportions that do not hear of one another. Passes.
    Partition {
        /// One number for each side.
        sides: Vec<f64>,
    },
    /// Nothing gets through from one node to another, for this share of the ordered pairs. Passes.
    OneWay {
        /// Of the pairs.
        share: f64,
    },
    /// Messages travel otherwise. Passes.
    Weather {
        /// How.
        links: Links,
    },
    /// Nodes leave for ever, without a word.
    Exit {
        /// How many.
        share: f64,
    },
    /// New nodes join.
    Crowd {
        /// As a share of those that are up.
        share: f64,
        /// Spread over so many seconds.
        over: f64,
    },
    /// Processes die and come back with what their store kept.
    Crash {
        /// How many.
        share: f64,
        /// Seconds until they are back.
        restart_after: f64,
    },
    /// The nodes that newcomers join through are gone. Passes, and they come back.
    BootstrapDown,
    /// A share of the nodes that newcomers join through names peers that do not exist. Passes.
    LyingDoors {
        /// Of these nodes.
        share: f64,
    },
    /// Nodes answer otherwise than the rules have it. Passes.
    Misbehave {
        /// How many.
        share: f64,
        /// How.
        conduct: Conduct,
    },
    /// Nodes that could be dialled no longer can: a firewall closed before them. They find out as
    /// [`recheck`](super::Population::recheck) says, and serve until then.
    Firewall {
        /// How many.
        share: f64,
    },
    /// NATs forget: nodes behind one lose all their connections, and are not told.
    Rebind {
        /// Of the nodes behind a NAT.
        share: f64,
    },
    /// Those who publish go, and come back when it passes. Their stores keep what they hold.
    PublishersAway,
    /// Nodes take requests and do not answer. Passes.
    Silence {
        /// How many.
        share: f64,
    },
    /// Nodes answer late. Passes.
    Slow {
        /// How many.
        share: f64,
        /// By so many seconds.
        by: f64,
    },
    /// Wall clocks are set.
    ClockStep {
        /// Of how many nodes.
        share: f64,
        /// By so many seconds; negative is back.
        by: f64,
    },
    /// Clocks run fast or slow. Passes.
    ClockDrift {
        /// Of how many nodes.
        share: f64,
        /// Parts per million; negative is slow.
        ppm: i64,
    },
    /// Wall clocks stand still. Passes.
    ClockFreeze {
        /// Of how many nodes.
        share: f64,
    },
    /// Machines sleep: nothing runs, the monotonic clock stands still. Passes.
    Sleep {
        /// How many.
        share: f64,
    },
    /// Store calls fail. Passes.
    StoreFails {
        /// Of how many nodes.
        share: f64,
        /// How many of the calls.
        calls: f64,
    },
    /// Stores take nothing more. Passes.
    StoreFull {
        /// Of how many nodes.
        share: f64,
    },
}

impl What {
    /// The part of the nodes, pairs or calls that it names; 0 where it names none.
    pub(crate) fn shares(&self) -> Vec<f64> {
        match self {
            Self::Partition { .. } | Self::Weather { .. } | Self::BootstrapDown | Self::PublishersAway => {
                vec![]
            }
            Self::OneWay { share }
            | Self::Exit { share }
            | Self::Crash { share, .. }
            | Self::Firewall { share }
            | Self::Silence { share }
            | Self::Slow { share, .. }
            | Self::ClockStep { share, .. }
            | Self::ClockDrift { share, .. }
            | Self::ClockFreeze { share }
            | Self::Sleep { share }
            | Self::LyingDoors { share }
            | Self::Misbehave { share, .. }
            | Self::Rebind { share }
            | Self::StoreFull { share } => vec![*share],
            Self::StoreFails { share, calls } => vec![*share, *calls],
            // A crowd may be larger than the network.
            Self::Crowd { .. } => vec![],
        }
    }

    /// Whether it is something that ends.
    pub(crate) fn passes(&self) -> bool {
        !matches!(
            self,
            Self::Exit { .. }
                | Self::Crowd { .. }
                | Self::Crash { .. }
                | Self::Firewall { .. }
                | Self::ClockStep { .. }
                | Self::Rebind { .. }
        )
    }

    /// Its name in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::OneWay { .. } => "one_way",
            Self::Weather { .. } => "weather",
            Self::Exit { .. } => "exit",
            Self::Crowd { .. } => "crowd",
            Self::Crash { .. } => "crash",
            Self::Firewall { .. } => "firewall",
            Self::BootstrapDown => "bootstrap_down",
            Self::LyingDoors { .. } => "lying_doors",
            Self::Misbehave { .. } => "misbehave",
            Self::Rebind { .. } => "rebind",
            Self::PublishersAway => "publishers_away",
            Self::Silence { .. } => "silence",
            Self::Slow { .. } => "slow",
            Self::ClockStep { .. } => "clock_step",
            Self::ClockDrift { .. } => "clock_drift",
            Self::ClockFreeze { .. } => "clock_freeze",
            Self::Sleep { .. } => "sleep",
            Self::StoreFails { .. } => "store_fails",
            Self::StoreFull { .. } => "store_full",
        }
    }
}
