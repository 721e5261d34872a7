//! What can be done to nodes and links while they run.

use dht_core::Overlay;

use super::{World, member::Extra};
use crate::{clock::Clock, link::Links};

impl<O: Overlay> World<O> {
    pub(crate) fn silence(&mut self, i: u32, silent: bool) {
        self.members[i as usize].silent = silent;
    }

    /// Its answers come so many nanoseconds late.
    pub(crate) fn slow(&mut self, i: u32, by: u64) {
        self.members[i as usize].extra().slow = by;
    }

    pub(crate) fn step_clock(&mut self, i: u32, seconds: f64) {
        self.change_clock(i, |clock, now| clock.step(now, seconds));
    }

    pub(crate) fn drift_clock(&mut self, i: u32, ppm: i64) {
        self.change_clock(i, |clock, now| clock.drift(now, ppm));
    }

    pub(crate) fn freeze_clock(&mut self, i: u32, frozen: bool) {
        self.change_clock(i, |clock, now| clock.freeze(now, frozen));
    }

    /// Changes a clock, and wakes the node when its deadline now is.
    fn change_clock(&mut self, i: u32, change: impl FnOnce(&mut Clock, u64)) {
        let now = self.now;
        self.count_sleep(i);
        let member = &mut self.members[i as usize];
        change(member.extra().clock.get_or_insert_with(|| Clock::at(now)), now);
        if !member.asleep
            && let Some(node) = member.node.take()
        {
            self.settle(i, node);
        }
    }

    /// Of a machine that sleeps, takes what it has slept so far from its monotonic clock: whatever changes the clock begins
    /// from there.
    fn count_sleep(&mut self, i: u32) {
        let now = self.now;
        let member = &mut self.members[i as usize];
        if !member.asleep {
            return;
        }
        let extra = member.extra();
        let since = std::mem::replace(&mut extra.asleep_since, now);
        // It was right until then, and only what it shows since then is not.
        extra.clock.get_or_insert_with(|| Clock::at(since)).slept(since, now);
    }

    /// The machine falls asleep: nothing runs, messages are lost, the monotonic clock stands still.
    pub(crate) fn put_to_sleep(&mut self, i: u32) {
        let now = self.now;
        let member = &mut self.members[i as usize];
        member.asleep = true;
        member.extra().asleep_since = now;
    }

    pub(crate) fn wake_up(&mut self, i: u32) {
        if self.end_sleep(i)
            && let Some(node) = self.members[i as usize].node.take()
        {
            self.settle(i, node);
        }
    }

    /// The machine sleeps no longer, whatever becomes of the process; whether it did.
    pub(super) fn end_sleep(&mut self, i: u32) -> bool {
        self.count_sleep(i);
        let slept = std::mem::replace(&mut self.members[i as usize].asleep, false);
        if slept {
            self.rouse(i);
        }
        slept
    }

    pub(crate) fn fail_store(&mut self, i: u32, share: f64) {
        let member = &mut self.members[i as usize];
        member.extra().store_fails = share;
        if let Some(store) = &member.store {
            store.set_failing(share);
        }
    }

    pub(crate) fn fill_store(&mut self, i: u32, full: bool) {
        let member = &mut self.members[i as usize];
        member.extra().store_full = full;
        if let Some(store) = &member.store {
            store.set_full(full);
        }
    }

    pub(crate) fn set_links(&mut self, links: Links) {
        self.rough_until = match (links.is_rough(), self.rough_until) {
            (true, _) => u64::MAX,
            (false, u64::MAX) => self.now,
            (false, before) => before,
        };
        self.wire.set_links(links, self.now);
    }

    /// Whether the links were rough at some time after this.
    pub(crate) fn was_rough(&self, since: u64) -> bool {
        self.rough_until > since
    }

    /// Whether a node runs and need not be heard all the same: it is mute, slow or a liar, or its store fails.
    pub(crate) fn is_hampered(&self, node: u32) -> bool {
        let member = &self.members[node as usize];
        let odd = |extra: &Extra<O>| extra.conduct.is_some() || extra.slow > 0 || extra.store_fails > 0.0;
        member.silent || member.extra.as_deref().is_some_and(odd)
    }

    /// Splits the network; no shares heal it.
    pub(crate) fn partition(&mut self, shares: &[f64]) {
        let draw = self.dice.roll();
        self.wire.partition(shares, draw);
    }

    pub(crate) fn cut_one_way(&mut self, share: f64) {
        let draw = self.dice.roll();
        self.wire.cut_one_way(share, draw);
    }

    /// Whether nothing gets from one node to another.
    pub(crate) fn is_cut(&self, from: u32, to: u32) -> bool {
        self.wire.is_cut(from, to)
    }

    /// Whether packets get through both ways: what a connection needs to be made, used, refused or closed.
    pub(crate) fn is_joined(&self, one: u32, other: u32) -> bool {
        !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    /// Whether a node's own line let nothing through at some time after this.
    pub(crate) fn was_dark(&self, node: u32, since: u64) -> bool {
        self.wire.was_bad(node, since, self.now)
    }

    /// The node refreshes its table now, and by itself from now on.
    pub(crate) fn refresh(&mut self, i: u32) {
        let now = self.clock(i);
        let member = &mut self.members[i as usize];
        if !member.asleep
            && let Some(mut node) = member.node.take()
        {
            node.refresh(now, false);
            self.settle(i, node);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::right,
        network::CompactNetwork,
        world::{Role, Settings, Step},
    };

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_machine_that_never_slept_before_stops_its_clock_too() {
        let mut world = World::new(Arc::new(CompactNetwork::default()), Settings::default());
        let node = world.place(Role { serves: true, nat: false });
        world.start_node(node).unwrap();
        while world.step(10 * SECOND) != Step::Nothing {}
        world.put_to_sleep(node);
        while world.step(30 * SECOND) != Step::Nothing {}
        world.wake_up(node);
        let now = world.clock(node);
        assert_eq!((now.mono, now.wall), (right(10 * SECOND).mono, right(30 * SECOND).wall));
    }
    #[test]
    fn a_clock_that_changes_during_sleep_does_not_run_meanwhile() {
        let changes: [fn(&mut World<_>); 3] = [
            |world| world.drift_clock(0, 0),
            |world| world.freeze_clock(0, false),
            |world| world.step_clock(0, 100.0),
        ];
        for change in changes {
            let mut world = World::new(Arc::new(CompactNetwork::default()), Settings::default());
            let node = world.place(Role { serves: true, nat: false });
            world.start_node(node).unwrap();
            let mut play = |until: u64, then: &dyn Fn(&mut World<_>)| {
                while world.step(until * SECOND) != Step::Nothing {}
                then(&mut world);
                world.clock(node).mono.0.as_secs_f64()
            };
            play(100, &|world| world.drift_clock(node, 100_000));
            assert_eq!(play(200, &|world| world.put_to_sleep(node)), 210.0);
            play(1100, &change);
            assert_eq!(play(2200, &|world| world.wake_up(node)), 210.0);
        }
    }
}
