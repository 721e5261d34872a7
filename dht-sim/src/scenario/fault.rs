//! What can befall a network, and when.

use crate::link::Links;

/// Something that befalls the network.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Fault {
    /// When, in seconds since the scenario's beginning; before its end.
    pub at: f64,
    /// For how long, where it is something that passes; `None` until the end. Two of a kind that pass must not overlap, except
    /// attackers and sleepers.
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
    /// As `Collude`, and what it is asked for it answers with something that is believed and no good: under an attacked key
    /// with memberships of its accomplices, or with the version of a value that it knew first. Only `Sybils` lay bait: without
    /// some that do, other faults must not have this conduct.
    Bait,
    /// It names itself twenty times, or peers that are farther from the target than it is, or names that nobody has at the
    /// address of one node that has nothing to do with it.
    Mislead,
    /// As old or broken software: one answer in four cannot be read, one is empty, one names itself and the asker.
    Stumble,
}

/// What befalls it. Whom it concerns is drawn by the seed; `share` is of the nodes that are up and did not come to attack.
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
    /// Nodes join whose ids were chosen nearer to some keys than any honest node's. Passes, and they are gone without a word.
    ///
    /// Reads of the attacked keys are counted apart, from the scenario's beginning: see
    /// [`Measure::Attacked`](super::Measure::Attacked).
    Sybils {
        /// So many around each key; as many as four million tries of the attacker find.
        each: u32,
        /// The keys: of values and of memberships so many, drawn by the seed.
        keys: u32,
        /// How they answer.
        conduct: Conduct,
    },
    /// Nodes join whose ids were chosen for the buckets of one honest server, and nearer to it than any other. Each asks it
    /// for itself every ten seconds. Passes, and they are gone without a word.
    ///
    /// The victim never churns and is spared by other faults, one operation in four of the workload is its own, and these are
    /// counted apart: see
    /// [`Measure::Attacked`](super::Measure::Attacked) and [`Measure::HonestContacts`](super::Measure::HonestContacts).
    Eclipse {
        /// So many for each bucket in which honest nodes could be, and as many nearer than any honest one; as many as four
        /// million tries of the attacker find.
        per_bucket: u32,
        /// How they answer.
        conduct: Conduct,
        /// So many seconds later the victim's process dies; ten seconds after that it is back.
        #[cfg_attr(feature = "serde", serde(default))]
        restart_after: Option<f64>,
    },
    /// Clients come that announce themselves under some keys and have nothing. Passes: they go; what was taken from them stays
    /// until its time is over. Reads of these keys are counted apart, as with `sybils`.
    Spam {
        /// How many, each with an id of its own. Where `networks` have not so many that four million tries would find, the
        /// run fails when they come.
        ids: u32,
        /// Under so many memberships, drawn by the seed. Several such faults have the same ones.
        keys: u32,
        /// From so few network groups (the /16 of an IPv4 address, on Mainline the /24), none of which is that of somebody
        /// who truly publishes there; `None`: from anywhere, the only choice where memberships tell no group, as on the
        /// compact overlay.
        #[cfg_attr(feature = "serde", serde(default))]
        networks: Option<u32>,
        /// Spread over so many seconds.
        over: f64,
    },
    /// Nodes that could be dialled no longer can: a firewall closed before them. They find out as
    /// [`recheck`](super::Population::recheck) says, and serve until then.
    Firewall {
        /// How many.
        share: f64,
    },
    /// NATs forget: nodes behind one lose all their connections, and are not told. Only where the network has connections.
    Rebind {
        /// Of the nodes behind a NAT.
        share: f64,
    },
    /// Those who publish go, and come back when it passes, as does who would have come back meanwhile. With what their stores
    /// held if these are [`durable`](crate::Stores::durable); otherwise they have forgotten what they published.
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
            // A crowd may be larger than the network, and attackers come in numbers.
            Self::Crowd { .. } | Self::Sybils { .. } | Self::Eclipse { .. } | Self::Spam { .. } => vec![],
        }
    }

    /// Whether additional nodes come that do not mean well.
    pub(crate) fn brings_attackers(&self) -> bool {
        matches!(self, Self::Sybils { .. } | Self::Eclipse { .. } | Self::Spam { .. })
    }

    /// Whether two of its kind can run at the same time: attackers are nodes of their own, and who sleeps does not fall asleep.
    pub(crate) fn may_overlap(&self) -> bool {
        self.brings_attackers() || matches!(self, Self::Sleep { .. })
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
            Self::Sybils { .. } => "sybils",
            Self::Eclipse { .. } => "eclipse",
            Self::Spam { .. } => "spam",
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
