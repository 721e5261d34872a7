//! The weather between nodes, as data: how long messages take, which are lost, late, doubled, or never get through.

mod latency;
mod line;
mod wire;

pub use latency::{Latency, REGIONS, Region};
pub(crate) use wire::{Carried, Wire};

/// How messages travel.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Links {
    /// One way, between two nodes; a day at most.
    pub latency: Latency,
    /// Standard deviation of the logarithm by which one message's latency differs from that of its pair; 0 for none.
    pub jitter: f64,
    /// Packets lost. Streams send them again, datagrams are gone.
    pub loss: f64,
    /// Times in which a node's access line is bad (Gilbert-Elliott).
    pub burst: Option<Burst>,
    /// Datagrams that arrive twice; 0 where messages travel in streams.
    pub duplicate: f64,
    /// Messages that are held up.
    pub reorder: Option<Reorder>,
    /// Bytes per second that a node can send; `None` for no limit. What is lost counts, what a stream sends again does not.
    pub bandwidth: Option<f64>,
}

/// Good times and bad times of an access line, both memoryless.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Burst {
    /// Seconds between bad times, on average.
    pub every: f64,
    /// Seconds that they last, on average.
    pub lasts: f64,
    /// Packets lost in bad times.
    pub loss: f64,
}

/// Messages that others overtake.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Reorder {
    /// Messages that are held up.
    pub share: f64,
    /// By up to so many seconds, all delays alike.
    pub by: f64,
}

impl Default for Links {
    /// The measured regions, a little jitter, nothing lost.
    fn default() -> Self {
        Self {
            latency: Latency::Regions,
            jitter: 0.1,
            loss: 0.0,
            burst: None,
            duplicate: 0.0,
            reorder: None,
            bandwidth: None,
        }
    }
}

/// Seconds after which, held up for so long, a message may as well not come.
const LATE: f64 = 5.0;

impl Links {
    /// Whether so much is lost or late that whoever is asked need not be heard in time.
    pub(crate) fn is_rough(&self) -> bool {
        let late = self.reorder.map_or(0.0, |reorder| reorder.share * (1.0 - LATE / reorder.by).max(0.0));
        self.loss + late > 0.2 || self.bandwidth.is_some()
    }

    /// Every message takes so many milliseconds; nothing else happens.
    pub fn constant(ms: f64) -> Self {
        Self { latency: Latency::Constant { ms }, jitter: 0.0, ..Self::default() }
    }

    /// Sets the latency.
    pub fn latency(self, latency: Latency) -> Self {
        Self { latency, ..self }
    }

    /// Sets the share of packets lost.
    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}
