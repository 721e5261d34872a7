//! What a scenario may ask of its network: options that its nodes can be made with, and nothing that its nature leaves without
//! an effect.

use dht_core::{Now, Overlay};

use super::{Invalid, require};
use crate::{
    link::Links,
    network::{Content, Engine, Network},
    scenario::{Scenario, What},
};

impl Scenario {
    /// Whether there is, on this network, what links and faults are about.
    pub(super) fn validate_nature<O: Overlay>(&self, network: &dyn Network<O>) -> Result<(), Invalid> {
        let manners = network.manners();
        let once = |field: &str, links: &Links| {
            let right = links.duplicate == 0.0 || !manners.streams;
            require(right, &format!("{field}.duplicate"), "0: streams bring everything once")
        };
        once("links", &self.links)?;
        for fault in &self.faults {
            match &fault.what {
                What::Weather { links } => once("faults.weather.links", links)?,
                What::Rebind { .. } => {
                    let connected = manners.introduces && manners.connections > 0;
                    require(connected, "faults.rebind", "a network with connections, as `ipfs` is")?;
                }
                What::Spam { networks: Some(_), .. } => {
                    let item = network.item(Content::Provider, 0, 0, 1, Now::default());
                    let told = O::item_group(&item).is_some();
                    require(told, "faults.spam.networks", "none: memberships here tell no network")?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether nodes of a network can be made with these options.
pub(super) fn validate_engine<O: Overlay>(engine: &Engine, network: &dyn Network<O>) -> Result<(), Invalid> {
    let from_one = |field, seconds: Option<f64>| {
        require(seconds.is_none_or(|x| (1.0..=1e9).contains(&x)), field, "from 1 to 1e9 seconds")
    };
    from_one("engine.republish_interval", engine.republish_interval)?;
    from_one("engine.sweep_interval", engine.sweep_interval)?;
    let refreshes = engine.refresh_interval.is_none_or(|x| x == 0.0 || (1.0..=1e9).contains(&x));
    require(refreshes, "engine.refresh_interval", "0 for never, or from 1 to 1e9 seconds")?;
    let patient = engine.request_timeout.is_none_or(|x| (0.001..=1e9).contains(&x));
    require(patient, "engine.request_timeout", "from 0.001 to 1e9 seconds")?;
    require(engine.alpha.is_none_or(|alpha| alpha <= 1000), "engine.alpha", "at most 1,000")?;
    let known = engine.known_peers.is_none_or(|peers| peers <= 1 << 24);
    require(known, "engine.known_peers", "at most 2^24")?;
    let parts = network.parts(0, engine, 0);
    parts.routing.validate()?;
    parts.queries.validate()?;
    parts.config.validate()?;
    network.memory().validate()?;
    // Where it is not said they give way to what is.
    let beta = engine.beta.is_none_or(|beta| beta == parts.queries.beta);
    require(beta, "engine.beta", "at most k")?;
    let table = engine.max_table.is_none_or(|peers| peers == parts.routing.max_size);
    require(table, "engine.max_table", "at least k")
}
