//! What befalls the network, done when it is due and undone when it passes.

use dht_core::Overlay;

use super::{DOORS, Run, cue::Cue, watch::Happening};
use crate::{
    clock::nanos,
    network::seconds_of,
    scenario::{Conduct, Invalid, What},
};

impl<O: Overlay> Run<'_, O> {
    /// A share of those that are up, at random. The doors are spared, attackers live by their own plan, and whom an eclipse is
    /// aimed at must be there when it comes.
    fn some(&mut self, share: f64) -> Vec<u32> {
        let mut up = self.world.up();
        up.retain(|node| *node >= DOORS && Some(*node) != self.victim && !self.world.is_attacker(*node));
        let count = (up.len() as f64 * share).round() as usize;
        self.choices.keep(count, &mut up);
        up
    }

    pub(super) fn begin_fault(&mut self, i: usize) -> Result<(), Invalid> {
        let fault = &self.scenario.faults[i];
        let concerned = self.befall(i, &fault.what)?;
        self.tell_of(fault.what.name(), true, &concerned);
        self.concerned[i] = concerned;
        if let Some(lasts) = fault.lasts {
            self.cue_in(nanos(seconds_of(lasts)), Cue::FaultEnds(i as u32));
        }
        Ok(())
    }

    fn tell_of(&mut self, name: &'static str, begins: bool, nodes: &[u32]) {
        self.tell(Happening::Fault { name, begins, nodes: nodes.len() as u32 });
        for node in nodes {
            self.tell(Happening::Struck { node: *node, name, begins });
        }
    }

    /// Does it; whom it concerns.
    fn befall(&mut self, i: usize, what: &What) -> Result<Vec<u32>, Invalid> {
        match *what {
            // They are on their way as soon as they are found.
            What::Sybils { each, keys, conduct } => return self.besiege(each, keys, conduct),
            What::Eclipse { .. } => return self.eclipse(i, what),
            What::Spam { .. } => return self.spam(i, what),
            What::Partition { ref sides } => {
                self.world.partition(sides);
                self.partitioned = true;
            }
            What::OneWay { share } => self.world.cut_one_way(share),
            What::Weather { ref links } => self.world.set_links(links.clone()),
            What::Crowd { share, over } => self.crowd(share, over),
            What::PublishersAway => self.keeps_away = Some(i),
            _ => {}
        }
        let nodes = self.choose(what);
        nodes.iter().for_each(|node| self.strike(*node, what));
        match what {
            What::Misbehave { .. } => self.choose_scapegoat(),
            What::ClockStep { .. } | What::ClockDrift { .. } | What::ClockFreeze { .. } => {
                self.history.clocks_right = false;
            }
            _ => {}
        }
        Ok(nodes)
    }

    /// Which of the nodes that are there it befalls.
    fn choose(&mut self, what: &What) -> Vec<u32> {
        match *what {
            What::Exit { share }
            | What::Crash { share, .. }
            | What::Firewall { share }
            | What::Silence { share }
            | What::Slow { share, .. }
            | What::ClockStep { share, .. }
            | What::ClockDrift { share, .. }
            | What::ClockFreeze { share }
            | What::Sleep { share }
            | What::StoreFails { share, .. }
            | What::StoreFull { share } => self.some(share),
            // Who is away for another reason does not come back when this passes.
            What::BootstrapDown => {
                (0..DOORS.min(self.world.len())).filter(|door| self.world.is_up(*door)).collect()
            }
            What::PublishersAway => {
                self.publishers.iter().copied().filter(|node| self.world.runs(*node)).collect()
            }
            What::LyingDoors { share } => {
                let doors = DOORS.min(self.world.len());
                (0..(f64::from(doors) * share).round() as u32).collect()
            }
            What::Rebind { share } => {
                let mut hidden = self.world.up();
                hidden.retain(|node| self.world.role(*node).nat);
                let count = (hidden.len() as f64 * share).round() as usize;
                self.choices.keep(count, &mut hidden);
                hidden
            }
            // Whoever publishes is a victim, not an accomplice: otherwise nobody could say what should be found. Attackers have
            // a conduct of their own.
            What::Misbehave { share, .. } => {
                let mut able = self.world.up();
                let count = (able.len() as f64 * share).round() as usize;
                able.retain(|node| {
                    *node >= DOORS && !self.publishing.contains(node) && !self.world.is_attacker(*node)
                });
                self.choices.keep(count, &mut able);
                able
            }
            What::Partition { .. }
            | What::OneWay { .. }
            | What::Weather { .. }
            | What::Crowd { .. }
            | What::Sybils { .. }
            | What::Eclipse { .. }
            | What::Spam { .. } => Vec::new(),
        }
    }

    /// What one of those nodes has of it.
    fn strike(&mut self, node: u32, what: &What) {
        match *what {
            What::Exit { .. } | What::BootstrapDown => self.stop(node, false),
            What::PublishersAway => self.stop(node, true),
            What::Crash { restart_after, .. } => {
                self.stop(node, false);
                self.cue_in(nanos(seconds_of(restart_after)), Cue::Up(node, self.life(node)));
            }
            What::LyingDoors { .. } => self.world.set_conduct(node, Some(Conduct::NameTheDead)),
            What::Misbehave { conduct, .. } => self.world.set_conduct(node, Some(conduct)),
            What::Rebind { .. } => self.world.rebind(node),
            What::Firewall { .. } => self.hide(node),
            What::Silence { .. } => self.world.silence(node, true),
            What::Slow { by, .. } => self.world.slow(node, nanos(seconds_of(by))),
            What::ClockStep { by, .. } => self.world.step_clock(node, by),
            What::ClockDrift { ppm, .. } => self.world.drift_clock(node, ppm),
            What::ClockFreeze { .. } => self.world.freeze_clock(node, true),
            What::Sleep { .. } => self.world.put_to_sleep(node),
            What::StoreFails { calls, .. } => self.world.fail_store(node, calls),
            What::StoreFull { .. } => self.world.fill_store(node, true),
            // These befall links, or bring nodes.
            What::Partition { .. }
            | What::OneWay { .. }
            | What::Weather { .. }
            | What::Crowd { .. }
            | What::Sybils { .. }
            | What::Eclipse { .. }
            | What::Spam { .. } => {}
        }
    }

    /// Somebody whose address liars spread: the first that has nothing to do with it.
    fn choose_scapegoat(&mut self) {
        let innocent = |node: &u32| {
            *node >= DOORS && !self.publishing.contains(node) && self.world.conduct(*node).is_none()
        };
        if let Some(node) = self.world.up().into_iter().find(innocent) {
            self.world.set_scapegoat(node);
        }
    }

    fn crowd(&mut self, share: f64, over: f64) {
        let count = (self.world.up().len() as f64 * share).round() as u32;
        for _ in 0..count {
            let node = self.place();
            let wait = (nanos(seconds_of(over)) as f64 * self.choices.unit()) as u64;
            self.cue_in(wait, Cue::Up(node, self.life(node)));
        }
    }

    pub(super) fn end_fault(&mut self, i: usize) -> Result<(), Invalid> {
        let what = &self.scenario.faults[i].what;
        let nodes = std::mem::take(&mut self.concerned[i]);
        match what {
            What::Partition { .. } => {
                self.world.partition(&[]);
                self.partitioned = false;
            }
            What::OneWay { .. } => self.world.cut_one_way(0.0),
            What::Weather { .. } => self.world.set_links(self.ordinary.clone()),
            What::BootstrapDown | What::PublishersAway => {
                if *what == What::PublishersAway {
                    self.keeps_away = None;
                }
                nodes.iter().try_for_each(|node| self.come(*node))?;
            }
            What::LyingDoors { .. } | What::Misbehave { .. } => {
                nodes.iter().for_each(|node| self.world.set_conduct(*node, None));
            }
            What::Sybils { .. } | What::Eclipse { .. } | What::Spam { .. } => {
                nodes.iter().for_each(|node| self.stop(*node, false));
            }
            What::Silence { .. } => {
                nodes.iter().for_each(|node| self.world.silence(*node, self.mute.contains(node)));
            }
            What::Slow { .. } => nodes.iter().for_each(|node| self.heal_slow(*node)),
            What::ClockDrift { .. } => nodes.iter().for_each(|node| self.world.drift_clock(*node, 0)),
            What::ClockFreeze { .. } => nodes.iter().for_each(|node| self.world.freeze_clock(*node, false)),
            What::Sleep { .. } => nodes.iter().for_each(|node| self.world.wake_up(*node)),
            What::StoreFails { .. } => nodes.iter().for_each(|node| self.world.fail_store(*node, 0.0)),
            What::StoreFull { .. } => nodes.iter().for_each(|node| self.world.fill_store(*node, false)),
            // These do not pass.
            What::Exit { .. }
            | What::Crowd { .. }
            | What::Crash { .. }
            | What::Firewall { .. }
            | What::ClockStep { .. }
            | What::Rebind { .. } => {}
        }
        self.tell_of(what.name(), false, &nodes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        network::{CompactNetwork, Content, Mark, Network},
        outcome::ViolationKind,
        scenario::{Scenario, Workload},
        world::Taken,
    };

    #[test]
    fn an_eclipse_finds_its_victim_alive() {
        let what = What::Eclipse { per_bucket: 1, conduct: Conduct::Collude, restart_after: None };
        let scenario = Scenario::new("victims", 30)
            .fault(10.0, What::Exit { share: 1.0 })
            .passing(20.0, 10.0, what)
            .duration(40.0);
        let mut watch = ();
        let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(15.0)).unwrap();
        assert_eq!(run.world.up().len(), 5, "the doors and the victim");
        assert!(run.world.is_up(run.victim.unwrap()));
    }

    #[test]
    fn who_keeps_what_is_over_is_found_out() {
        let work = Workload { values: 1, publish_over: 1.0, ..Workload::default() };
        let scenario = Scenario::new("hoarders", 20).workload(work).duration(900.0);
        let mut watch = ();
        let mut run = Run::new(&scenario, Arc::new(CompactNetwork::default()), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(100.0)).unwrap();
        let publisher = run.history.stories[0].publisher;
        let holders: Vec<_> = run.history.holders(&run.world, 0).map(|(holder, _)| holder).collect();
        assert!(holders.len() > 10);
        // They keep it for two days, and are said to have taken it for one second.
        for holder in &holders {
            let (now, query) = (run.world.now(), run.history.stories[0].query);
            let item = run.world.network().item(Content::Value, 0, publisher, 1, dht_core::Now::default());
            let taken = Taken { holder: *holder, query, item, lifetime: seconds_of(1.0) };
            run.history.taken(now, &taken, Mark { writer: publisher, version: 1 });
        }
        // One sweep, and the second to which stores keep their books.
        run.play(run.at(100.0 + 1.0 + 600.0)).unwrap();
        run.history.verify(&mut run.world);
        assert!(run.world.violations.is_empty());
        run.play(run.at(100.0 + 1.0 + 600.0 + 5.0)).unwrap();
        run.history.verify(&mut run.world);
        assert_eq!(run.world.violations.iter().map(|kept| kept.node.unwrap()).collect::<Vec<_>>(), holders);
        assert!(run.world.violations.iter().all(|kept| kept.kind == ViolationKind::Expired));
        run.history.verify(&mut run.world);
        assert_eq!(run.world.violations.len(), holders.len(), "each is told once");
    }

    #[test]
    fn who_lies_is_found_out_whosever_store_or_clock_is_wrong() {
        let scenario = Scenario::new("liars", 20)
            .fault(10.0, What::StoreFails { share: 0.5, calls: 1.0 })
            .fault(10.0, What::StoreFull { share: 0.5 })
            .fault(10.0, What::ClockStep { share: 0.5, by: 3600.0 })
            .passing(20.0, 10.0, What::Sleep { share: 1.0 });
        let mut watch = ();
        let network = Arc::new(CompactNetwork::default());
        let mut run = Run::new(&scenario, network.clone(), &mut watch).unwrap();
        run.gather().unwrap();
        run.schedule();
        run.play(run.at(40.0)).unwrap();
        // All say that they have it, and nobody does.
        let (now, query) = (run.world.now(), network.query(Content::Value, 7));
        run.history.open(query, Content::Value, 7, 4);
        for holder in 0..20 {
            let item = network.item(Content::Value, 7, 4, 1, dht_core::Now::default());
            let taken = Taken { holder, query, item, lifetime: seconds_of(3600.0) };
            run.history.taken(now, &taken, Mark { writer: 4, version: 1 });
        }
        run.history.verify(&mut run.world);
        let wrong = &run.concerned[2];
        assert!(!wrong.is_empty());
        let right: Vec<_> = (0..20).filter(|node| !wrong.contains(node)).map(Some).collect();
        assert_eq!(run.world.violations.iter().map(|lost| lost.node).collect::<Vec<_>>(), right);
        assert!(run.world.violations.iter().all(|lost| lost.kind == ViolationKind::Lost));
    }
}
