//! How nodes come and go: the first ones, newcomers, sessions and the gaps between them.

use dht_core::Overlay;

use super::{DOORS, Run, cue::Cue, watch::Happening};
use crate::{
    clock::nanos,
    dice::scaled,
    network::seconds_of,
    outcome::OpKind,
    scenario::{Churn, Invalid},
    world::{Op, Role},
};

impl<O: Overlay> Run<'_, O> {
    /// A place for one more node, of a kind that chance decides; the doors are plain servers.
    pub(super) fn place(&mut self) -> u32 {
        let people = self.scenario.population;
        let mut point = self.choices.unit();
        let mut falls = |share: f64| {
            point -= share;
            point < 0.0 && point >= -share
        };
        let door = self.world.len() < DOORS;
        let client = falls(people.clients) && !door;
        let falsely_public = falls(people.falsely_public) && !door;
        let silent = falls(people.silent) && !door;
        let slow = falls(people.slow) && !door;
        let node = self.world.place(Role { serves: !client, nat: client || falsely_public });
        if silent {
            self.mute.insert(node);
            self.world.silence(node, true);
        }
        if slow {
            self.late.insert(node);
            self.heal_slow(node);
        }
        node
    }

    /// Answers as soon as its nature is.
    pub(super) fn heal_slow(&mut self, node: u32) {
        let by = if self.late.contains(&node) { self.scenario.population.slow_by } else { 0.0 };
        self.world.slow(node, nanos(seconds_of(by)));
    }

    pub(super) fn start(&mut self, node: u32) -> Result<(), Invalid> {
        self.world.start_node(node)?;
        self.expect_dial_back(node);
        self.tell(Happening::Up { node });
        Ok(())
    }

    /// Joins through the doors, open or not: nobody knows before it has asked.
    pub(super) fn join(&mut self, node: u32) {
        let doors: Vec<u32> = (0..DOORS.min(self.world.len())).filter(|door| *door != node).collect();
        let op = Op { kind: OpKind::Join, key: node, version: 0, started: self.world.now() };
        self.tell(Happening::Began { kind: op.kind, node, key: None });
        self.world.join(node, op, &doors);
    }

    /// Ends a process that runs, awake or asleep.
    pub(super) fn stop(&mut self, node: u32, farewell: bool) {
        if self.world.runs(node) {
            let farewell = farewell && self.world.is_up(node);
            self.world.stop_node(node, farewell);
            self.history.stopped(self.world.now(), node);
            self.tell(Happening::Down { node, farewell });
        }
    }

    /// A node's first session, or the first gap of one that is not there yet: it is somewhere within. Whoever looks at a
    /// moment meets long sessions in proportion to their length, so the network begins in the state that it stays in.
    pub(super) fn begin_churn(&mut self, node: u32, churn: &Churn) {
        if self.stays(node, churn) {
            return;
        }
        let up = self.world.is_up(node);
        let whole = if up { self.session(churn) } else { self.gap(churn) };
        let bias = (churn.sigma * churn.sigma).exp();
        let rest = (whole as f64 * bias * self.churning.unit()) as u64;
        let life = self.life(node);
        self.cue_in(rest, if up { Cue::Down(node, life) } else { Cue::Up(node, life) });
    }

    /// Doors, victims and attackers stay for as long as it takes, publishers if churn says so.
    fn stays(&self, node: u32, churn: &Churn) -> bool {
        let publishes = churn.publishers_stay && self.publishing.contains(&node);
        node < DOORS || publishes || self.victim == Some(node) || self.world.is_attacker(node)
    }

    pub(super) fn go(&mut self, node: u32) {
        let Some(churn) = self.scenario.churn else { return };
        if !self.world.is_up(node) {
            // Nobody leaves asleep: it is there for another session.
            let session = self.session(&churn);
            return self.cue_in(session, Cue::Down(node, self.life(node)));
        }
        let farewell = !self.churning.chance(churn.crashes);
        self.stop(node, farewell);
        let gap = self.gap(&churn);
        self.cue_in(gap, Cue::Up(node, self.life(node)));
    }

    pub(super) fn come(&mut self, node: u32) -> Result<(), Invalid> {
        if self.world.runs(node) {
            return Ok(());
        }
        if let Some(fault) = self.keeps_away.filter(|_| self.publishing.contains(&node)) {
            // With the others.
            self.concerned[fault].push(node);
            return Ok(());
        }
        self.start(node)?;
        self.join(node);
        if let Some(churn) = self.scenario.churn
            && !self.stays(node, &churn)
        {
            let session = self.session(&churn);
            self.cue_in(session, Cue::Down(node, self.life(node)));
        }
        Ok(())
    }

    fn session(&mut self, churn: &Churn) -> u64 {
        nanos(scaled(seconds_of(churn.median_session), self.sessions.at(self.churning.roll()))).max(1)
    }

    fn gap(&mut self, churn: &Churn) -> u64 {
        nanos(scaled(seconds_of(churn.median_gap), self.gaps.at(self.churning.roll()))).max(1)
    }
}
