//! Nodes that cannot be dialled and serve, and when their hosts look: a proof is good for a while, and twice in that time a host
//! looks whether it still has a fresh one.

use dht_core::Overlay;

use super::{Run, cue::Cue};
use crate::{clock::nanos, network::seconds_of};

impl<O: Overlay> Run<'_, O> {
    fn recheck(&self) -> u64 {
        nanos(seconds_of(self.scenario.population.recheck))
    }

    /// Nobody comes in any more: the last proof is of now.
    pub(super) fn hide(&mut self, node: u32) {
        if !self.world.role(node).nat {
            self.world.hide(node);
            self.expect_dial_back(node);
        }
    }

    /// What a node that serves and cannot be dialled believes of itself is of now. Others prove it all the time.
    pub(super) fn expect_dial_back(&mut self, node: u32) {
        let (recheck, role) = (self.recheck(), self.world.role(node));
        if recheck > 0 && role.serves && role.nat {
            // Hosts look at times of their own.
            let wait = recheck + self.choices.below((recheck / 2).max(1));
            self.cue_in(wait, Cue::DialBack(node, self.life(node)));
        }
    }

    pub(super) fn dial_back(&mut self, node: u32) {
        if self.world.dial_back(node) {
            self.cue_in(self.recheck() / 2, Cue::DialBack(node, self.life(node)));
        }
    }
}
