//! The beginning of a run: the world, its people and their acquaintances, and what is due when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dht_core::Overlay;

use super::{DOORS, Run, collect::Collector, cue::Cue, watch::Watch};
use crate::{
    clock::nanos,
    dice::{Dice, Quantiles, Zipf},
    history::History,
    network::{Content, Network, seconds_of},
    scenario::{Invalid, Scenario, Start},
    world::{Settings, World},
};

/// Nodes that publish, of all.
const PUBLISHERS: f64 = 0.05;

impl<'a, O: Overlay> Run<'a, O> {
    pub(super) fn new(
        scenario: &'a Scenario,
        network: Arc<dyn Network<O>>,
        watch: &'a mut dyn Watch,
    ) -> Result<Self, Invalid> {
        let parts = network.parts(0, &scenario.engine, 0);
        let settings = Settings {
            seed: scenario.seed,
            engine: scenario.engine.clone(),
            links: scenario.links.clone(),
            stores: scenario.stores,
        };
        let sigma = scenario.churn.map_or(0.0, |churn| churn.sigma);
        let published = (scenario.workload.values + scenario.workload.providers) as usize;
        let sweep = scenario.engine.sweep_interval.unwrap_or(600.0);
        let mut world = World::new(network, settings);
        world.set_answer_size(parts.config.closer_per_answer);
        world.set_policy(scenario.workload.policy, parts.queries.k);
        Ok(Self {
            world,
            history: History::new(&scenario.stores, sweep, parts.queries.k),
            collector: Collector::default(),
            k: parts.queries.k,
            query_timeout: parts.queries.query_timeout,
            choices: Dice::new(scenario.seed, 10),
            churning: Dice::new(scenario.seed, 11),
            sessions: Quantiles::lognormal(sigma),
            gaps: Quantiles::lognormal(sigma),
            popularity: Zipf::new(published, scenario.workload.zipf),
            publishers: Vec::new(),
            publishing: BTreeSet::new(),
            mute: BTreeSet::new(),
            late: BTreeSet::new(),
            victim: None,
            concerned: vec![Vec::new(); scenario.faults.len()],
            targets: BTreeMap::new(),
            lookups: 0,
            samples: Vec::new(),
            partitioned: false,
            keeps_away: None,
            ordinary: scenario.links.clone(),
            spans: Vec::new(),
            told: 0,
            last_sample: Default::default(),
            scenario,
            watch,
        })
    }

    /// Lets the nodes come together; the scenario begins when this ends.
    pub(super) fn gather(&mut self) -> Result<(), Invalid> {
        let nodes = self.scenario.nodes;
        for _ in 0..nodes {
            self.place();
        }
        match self.scenario.start {
            Start::Warm => {
                (0..nodes).try_for_each(|node| self.start(node))?;
                self.world.warm(self.table_k(), DOORS.min(nodes));
                self.spread_refreshes(nodes);
            }
            Start::Join { over, settle } => {
                let span = nanos(seconds_of(over));
                for node in 0..nodes {
                    let at = (u128::from(span) * u128::from(node) / u128::from(nodes)) as u64;
                    self.world.cue(at, Cue::Join(node).write());
                }
                // Known before anything is due, so that phases and samples count from there.
                self.world.origin = span.saturating_add(nanos(seconds_of(settle)));
                self.play(self.world.origin)?;
            }
        }
        self.collector.ended = (0, 0);
        Ok(())
    }

    fn table_k(&self) -> usize {
        self.world.network().parts(0, &self.scenario.engine, 0).routing.k
    }

    /// Nodes that began at different times refresh at different times.
    fn spread_refreshes(&mut self, nodes: u32) {
        let routing = self.world.network().parts(0, &self.scenario.engine, 0).routing;
        if routing.auto_refresh {
            let interval = nanos(routing.refresh_interval);
            for node in 0..nodes {
                let wait = self.choices.below(interval.max(1));
                self.cue_in(wait, Cue::Refresh(node));
            }
        }
    }

    /// Notes what is due when.
    pub(super) fn schedule(&mut self) {
        let scenario = self.scenario;
        // First, so that a phase ends before what befalls the network at the same time.
        for (i, phase) in scenario.phases.iter().enumerate() {
            self.world.cue(self.at(phase.from), Cue::Phase(i as u32).write());
        }
        self.choose_publishers();
        self.choose_victim();
        let work = &scenario.workload;
        let contents = [(Content::Value, work.values), (Content::Provider, work.providers)];
        let span = nanos(seconds_of(work.publish_over));
        let begin = self.at(work.publish_from);
        for (content, count) in contents {
            let attacked = self.choose_attacked(content, count);
            for number in 0..count {
                let query = self.world.network().query(content, number);
                let publisher = self.choices.pick(&self.publishers).copied().unwrap_or(0);
                let key = self.history.open(query, content, number, publisher);
                self.history.stories[key as usize].attacked = attacked.contains(&number);
                let at = begin + self.choices.below(span.max(1));
                self.world.cue(at, Cue::Publish(key).write());
            }
        }
        if let Some(churn) = &scenario.churn {
            // As many as are there on average are there at the start; the others come when it is their time.
            let absent = f64::from(scenario.nodes) * churn.median_gap / churn.median_session;
            for _ in 0..absent as u32 {
                self.place();
            }
            (0..self.world.len()).for_each(|node| self.begin_churn(node, churn));
        }
        self.again(work.updates, Cue::Update);
        self.again(work.reads, Cue::Read);
        self.again(work.lookups, Cue::Lookup);
        for (i, fault) in scenario.faults.iter().enumerate() {
            self.world.cue(self.at(fault.at), Cue::FaultBegins(i as u32).write());
        }
        self.world.cue(self.at(scenario.sample_interval), Cue::Sample.write());
        self.begin_spans();
    }

    fn choose_publishers(&mut self) {
        let mut able: Vec<u32> = self.world.up();
        able.retain(|node| *node >= DOORS && !self.world.is_silent(*node));
        let count = ((able.len() as f64 * PUBLISHERS).ceil() as usize).max(1);
        self.choices.keep(count, &mut able);
        self.publishing = able.iter().copied().collect();
        self.publishers = able;
    }

    pub(super) fn on_cue(&mut self, cue: Cue) -> Result<(), Invalid> {
        let work = self.scenario.workload;
        match cue {
            Cue::Join(node) => {
                self.start(node)?;
                if node > 0 {
                    self.join(node);
                }
            }
            Cue::Refresh(node) => self.world.refresh(node),
            Cue::DialBack(node, life) if life == self.life(node) => self.dial_back(node),
            Cue::Up(node, life) if life == self.life(node) => self.come(node)?,
            Cue::Down(node, life) if life == self.life(node) => self.go(node),
            Cue::DialBack(..) | Cue::Up(..) | Cue::Down(..) => {}
            Cue::Publish(key) => self.publish(key),
            Cue::Update => {
                self.update();
                self.again(work.updates, Cue::Update);
            }
            Cue::Read => {
                self.read();
                self.again(work.reads, Cue::Read);
            }
            Cue::Lookup => {
                self.look_up();
                self.again(work.lookups, Cue::Lookup);
            }
            Cue::Sample => {
                self.sample();
                self.cue_in(nanos(seconds_of(self.scenario.sample_interval)), Cue::Sample);
            }
            Cue::Phase(_) => self.next_span(),
            Cue::FaultBegins(i) => self.begin_fault(i as usize)?,
            Cue::FaultEnds(i) => self.end_fault(i as usize)?,
            Cue::Pester(i) => self.pester(i as usize),
            Cue::Restart(node) => self.restart(node),
            Cue::Flood(node, fault) => self.flood(node, fault as usize),
        }
        Ok(())
    }
}
