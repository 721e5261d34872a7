//! When the table looks after itself without being asked: the periodic refresh, and the repair of a table that ran low.
//! Repairs come sooner and back off, so that a network which simply is that small is not bothered for ever. An empty table
//! bothers nobody, and its node is of no use: it keeps trying at the first delay, so that it is back as soon as the others are.

use std::time::Duration;

use dht_core::Mono;

use crate::Config;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The periodic refresh.
    Refresh,
    /// The table is below its low-water mark.
    Repair,
}

/// The appointments.
#[derive(Default)]
pub(crate) struct Calendar {
    refresh: Option<Mono>,
    repair: Option<(Mono, Duration)>,
}

impl Calendar {
    /// Adjusts the appointments to the table. `lonely`: nobody is known and nobody is remembered, so that there is
    /// nothing to repair with.
    pub(crate) fn watch(&mut self, now: Mono, config: &Config, peers: usize, lonely: bool) {
        if !config.auto_refresh {
            *self = Self::default();
            return;
        }
        self.refresh.get_or_insert(now + config.refresh_interval);
        if lonely || (peers > 0 && peers >= config.low_water) {
            self.repair = None;
            return;
        }
        let soon = (now + config.repair_delay, config.repair_delay);
        let appointment = self.repair.get_or_insert(soon);
        if peers == 0 {
            *appointment = (appointment.0.min(soon.0), soon.1);
        }
    }

    /// The interval begins anew: a refresh ended, or the option changed.
    pub(crate) fn refreshed(&mut self, now: Mono, config: &Config) {
        self.refresh = config.auto_refresh.then(|| now + config.refresh_interval);
    }

    /// A refresh or bootstrap ended: a table that is low even so rests for its back-off first, of which so much is over.
    pub(crate) fn rest(&mut self, now: Mono, over: Duration) {
        self.repair = self.repair.map(|(_, wait)| (now + wait.saturating_sub(over), wait));
    }

    /// What is due, with the next appointment made. While the table is `busy` with a refresh or bootstrap that is as
    /// good as anything due, appointments are put off.
    pub(crate) fn due(&mut self, now: Mono, config: &Config, busy: bool) -> Option<Due> {
        if let Some((_, wait)) = self.repair.filter(|(at, _)| *at <= now) {
            if busy {
                self.rest(now, Duration::ZERO);
            } else {
                let wait = (wait * 2).min(config.refresh_interval.max(config.repair_delay));
                self.repair = Some((now + wait, wait));
                return Some(Due::Repair);
            }
        }
        self.refresh.filter(|at| *at <= now)?;
        self.refreshed(now, config);
        (!busy).then_some(Due::Refresh)
    }

    pub(crate) fn alarm(&self) -> Option<Mono> {
        self.refresh.into_iter().chain(self.repair.map(|(at, _)| at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    #[test]
    fn repairs_back_off_to_the_interval_and_start_over_when_the_table_empties() {
        let config = Config::default();
        let mut calendar = Calendar::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        calendar.watch(now, &config, 3, false);
        while waits.len() < 10 {
            let next = calendar.alarm().unwrap();
            let due = calendar.due(next, &config, false);
            if due == Some(Due::Repair) {
                waits.push(next.since(now).as_secs());
                now = next;
            }
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        for _ in 0..10 {
            calendar.watch(now, &config, 0, false);
            let next = calendar.alarm().unwrap();
            assert_eq!(next, now + config.repair_delay, "whatever the back-off had grown to");
            assert_eq!(calendar.due(next, &config, false), Some(Due::Repair));
            now = next;
        }
        calendar.watch(now, &config, 10, false);
        assert_eq!(calendar.alarm(), calendar.refresh, "ten peers are enough");
        calendar.watch(now, &config, 0, true);
        assert_eq!(calendar.alarm(), calendar.refresh, "nobody to ask");
    }

    #[test]
    fn a_busy_table_puts_repairs_off_and_rests_afterwards() {
        let config = Config::default();
        let mut calendar = Calendar::default();
        calendar.watch(at(0), &config, 1, false);
        assert_eq!(calendar.due(at(5), &config, true), None);
        assert_eq!(calendar.alarm(), Some(at(10)));
        assert_eq!(calendar.due(at(10), &config, false), Some(Due::Repair));
        calendar.rest(at(17), Duration::ZERO);
        assert_eq!(calendar.alarm(), Some(at(27)));
        assert_eq!(calendar.due(at(600), &config, true), None);
        assert_eq!(calendar.alarm(), Some(at(610)));
    }

    #[test]
    fn nothing_is_due_when_automatic_refreshes_are_off() {
        let config = Config { auto_refresh: false, ..Config::default() };
        let mut calendar = Calendar::default();
        calendar.watch(at(0), &config, 1, false);
        calendar.refreshed(at(0), &config);
        assert_eq!((calendar.alarm(), calendar.due(at(1_000_000), &config, false)), (None, None));
    }
}
