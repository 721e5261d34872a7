//! Nodes that can no longer be dialled, and when their hosts look: a proof is good for a while, and twice in that time a host
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
        self.world.hide(node);
        let recheck = self.recheck();
        if recheck > 0 {
            // Hosts look at times of their own.
            let wait = recheck + self.choices.below((recheck / 2).max(1));
            self.world.cue(self.world.now() + wait, Cue::DialBack(node).write());
        }
    }

    pub(super) fn dial_back(&mut self, node: u32) {
        if self.world.dial_back(node) {
            self.world.cue(self.world.now() + self.recheck() / 2, Cue::DialBack(node).write());
        }
    }
}
