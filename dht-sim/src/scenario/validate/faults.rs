//! Which faults there can be, alone and beside one another.

use super::{Invalid, links, require, share, span};
use crate::{
    clock::nanos,
    network::seconds_of,
    run::DOORS,
    scenario::{Conduct, Scenario, What},
};

impl Scenario {
    pub(super) fn validate_faults(&self) -> Result<(), Invalid> {
        for fault in &self.faults {
            let field = |rest: &str| format!("faults.{}.{rest}", fault.what.name());
            self.within(&field("at"), fault.at)?;
            fault.lasts.map_or(Ok(()), |lasts| span(&field("lasts"), lasts))?;
            let passes = fault.what.passes() || fault.lasts.is_none();
            require(passes, &field("lasts"), "none: what it does does not pass")?;
            fault.what.shares().into_iter().try_for_each(|x| share(&field("share"), x))?;
            self.validate_numbers(&fault.what, &field)?;
            self.validate_victims(&fault.what, &field)?;
        }
        self.validate_overlaps()
    }

    fn validate_numbers(&self, what: &What, field: &dyn Fn(&str) -> String) -> Result<(), Invalid> {
        match what {
            What::Partition { sides } => {
                let right = |side: &f64| *side > 0.0 && *side <= 1e9;
                let right = (2..=1000).contains(&sides.len()) && sides.iter().all(right);
                require(right, &field("sides"), "from 2 to 1,000, above 0, up to 1e9")
            }
            What::Weather { links } => links::validate(&field("links"), links, self.length()),
            What::Crowd { share, over } => {
                require((0.0..=100.0).contains(share), &field("share"), "from 0 to 100")?;
                span(&field("over"), *over)
            }
            What::Sybils { each, keys, .. } => {
                require((1..=10_000).contains(each), &field("each"), "from 1 to 10,000")?;
                require((1..=1000).contains(keys), &field("keys"), "from 1 to 1,000")
            }
            What::Spam { ids, keys, networks, over } => {
                require((1..=1 << 20).contains(ids), &field("ids"), "from 1 to 1,048,576")?;
                require((1..=1000).contains(keys), &field("keys"), "from 1 to 1,000")?;
                require(networks.is_none_or(|n| n >= 1), &field("networks"), "at least 1")?;
                span(&field("over"), *over)
            }
            What::Eclipse { per_bucket, restart_after, .. } => {
                require((1..=256).contains(per_bucket), &field("per_bucket"), "from 1 to 256")?;
                restart_after.map_or(Ok(()), |after| span(&field("restart_after"), after))
            }
            What::Crash { restart_after, .. } => span(&field("restart_after"), *restart_after),
            What::Slow { by, .. } => span(&field("by"), *by),
            What::ClockStep { by, .. } => {
                require((-1e9..=1e9).contains(by), &field("by"), "from -1e9 to 1e9 seconds")
            }
            What::ClockDrift { ppm, .. } => {
                let right = (-500_000..=500_000).contains(ppm);
                require(right, &field("ppm"), "from -500,000 to 500,000")
            }
            _ => Ok(()),
        }
    }

    /// Whether there can be anybody, or anything, that it befalls.
    fn validate_victims(&self, what: &What, field: &dyn Fn(&str) -> String) -> Result<(), Invalid> {
        let (work, people) = (&self.workload, &self.population);
        match what {
            What::Sybils { keys, .. } => {
                let most = work.values.max(work.providers);
                require(*keys <= most, &field("keys"), "at most `workload.values`, or `workload.providers`")
            }
            What::Spam { keys, .. } => {
                require(*keys <= work.providers, &field("keys"), "at most `workload.providers`")
            }
            What::Eclipse { conduct, .. } => {
                let able = self.nodes > DOORS + 1;
                require(able, "nodes", "at least 6 for an eclipse: doors and publishers are spared")?;
                self.validate_conduct(*conduct, field)
            }
            What::Misbehave { conduct, .. } => self.validate_conduct(*conduct, field),
            What::LyingDoors { share } => {
                let some = *share == 0.0 || (f64::from(DOORS) * share).round() > 0.0;
                require(some, &field("share"), "0, or from 0.125: there are four")
            }
            What::Rebind { .. } => {
                let firewall = |what: &What| matches!(what, What::Firewall { .. });
                let hidden = people.clients > 0.0
                    || people.falsely_public > 0.0
                    || self.faults.iter().any(|fault| firewall(&fault.what));
                require(hidden, "faults.rebind", "nodes behind a NAT: `population.clients`")
            }
            What::PublishersAway => {
                let stay = self.churn.is_none_or(|churn| churn.publishers_stay);
                require(
                    stay,
                    "faults.publishers_away",
                    "`churn.publishers_stay`: churn would bring them back",
                )
            }
            _ => Ok(()),
        }
    }

    /// Bait is laid around the keys that Sybils besiege, and nowhere else.
    fn validate_conduct(&self, conduct: Conduct, field: &dyn Fn(&str) -> String) -> Result<(), Invalid> {
        let lays = |what: &What| matches!(what, What::Sybils { conduct: Conduct::Bait, .. });
        let baited = conduct != Conduct::Bait || self.faults.iter().any(|fault| lays(&fault.what));
        require(baited, &field("conduct"), "`collude`: only `sybils` lay bait, and there are none that do")
    }

    /// What passes undoes what it did; of two of one kind the first end would undo both.
    fn validate_overlaps(&self) -> Result<(), Invalid> {
        let alone = self.faults.iter().filter(|fault| fault.what.passes() && !fault.what.may_overlap());
        let mut alone: Vec<(&str, u64, u64)> = alone
            .map(|fault| {
                let at = nanos(seconds_of(fault.at));
                let lasts = fault.lasts.map_or(u64::MAX, |lasts| nanos(seconds_of(lasts)));
                (fault.what.name(), at, at.saturating_add(lasts))
            })
            .collect();
        alone.sort_unstable();
        alone.windows(2).try_for_each(|pair| {
            let [(name, _, end), (other, begin, _)] = [pair[0], pair[1]];
            let apart = name != other || end < begin;
            require(apart, &format!("faults.{other}.at"), "after the one before of its kind has passed")
        })
    }
}
