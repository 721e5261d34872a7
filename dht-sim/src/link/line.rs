//! A node's access line: when it is bad and when it is not (Gilbert-Elliott), as far ahead as anybody has asked.
//!
//! Streams ask ahead, for packets that they will send again, while others ask about now. So bad times are kept until they
//! are over. They come from a generator of the line's own: who asks, and how often, changes nothing.

use std::collections::VecDeque;

use super::Burst;
use crate::{clock::nanos, dice::Dice, network::seconds_of};

#[derive(Debug)]
pub(super) struct Line {
    dice: Dice,
    /// Up to when its times are drawn; the last of them is good.
    drawn: u64,
    /// Bad times, from and until, that were not over when somebody asked last. As many as fall into the time that a stream
    /// waits.
    bad: VecDeque<(u64, u64)>,
    /// When the last one ended that was.
    ended: u64,
}

impl Line {
    /// One that is good at first.
    pub(super) fn new(since: u64, seed: u64, burst: &Burst) -> Self {
        let mut dice = Dice::new(seed, 13);
        let drawn = after(since, burst.every, &mut dice);
        Self { dice, drawn, bad: VecDeque::new(), ended: 0 }
    }

    /// Whether it is bad at a time, now or later.
    pub(super) fn is_bad(&mut self, now: u64, at: u64, burst: &Burst) -> bool {
        while let Some((_, until)) = self.bad.front().copied().filter(|(_, until)| *until <= now) {
            self.ended = until;
            self.bad.pop_front();
        }
        while self.drawn <= at && self.drawn < u64::MAX {
            let from = self.drawn;
            let until = after(from, burst.lasts, &mut self.dice);
            self.drawn = after(until, burst.every, &mut self.dice);
            if until <= now {
                self.ended = until;
            } else {
                self.bad.push_back((from, until));
            }
        }
        self.bad.iter().any(|(from, until)| (*from..*until).contains(&at))
    }

    /// Whether it was bad at some time between these, as far as its times are drawn.
    pub(super) fn was_bad(&self, since: u64, now: u64) -> bool {
        self.ended > since || self.bad.iter().any(|(from, until)| *from <= now && *until > since)
    }
}

/// A memoryless wait later.
fn after(at: u64, mean: f64, dice: &mut Dice) -> u64 {
    at.saturating_add(nanos(dice.wait(seconds_of(mean))).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: Burst = Burst { every: 9.0, lasts: 3.0, loss: 1.0 };
    const MS: u64 = 1_000_000;

    #[test]
    fn who_asks_ahead_changes_nothing_for_those_who_ask_about_now() {
        let times: Vec<u64> = (0..20_000).map(|i| i * 20 * MS).collect();
        let mut plain = Line::new(0, 5, &BURST);
        let told: Vec<bool> = times.iter().map(|at| plain.is_bad(*at, *at, &BURST)).collect();
        assert!((0.2..0.3).contains(&(told.iter().filter(|bad| **bad).count() as f64 / told.len() as f64)));
        let mut asked = Line::new(0, 5, &BURST);
        for (i, now) in times.iter().enumerate().step_by(3) {
            assert_eq!(asked.is_bad(*now, *now, &BURST), told[i]);
            for ahead in [1, 1500, 100, 37] {
                if let Some(bad) = told.get(i + ahead) {
                    assert_eq!(asked.is_bad(*now, times[i + ahead], &BURST), *bad, "{i} and {ahead}");
                }
            }
            assert!(asked.bad.len() < 20);
        }
    }

    #[test]
    fn what_has_not_begun_was_not() {
        let mut line = Line::new(0, 5, &BURST);
        let from = (0..).map(|i| i * MS).find(|at| line.is_bad(0, *at, &BURST)).unwrap();
        assert!(!line.was_bad(0, from - MS) && line.was_bad(0, from));
        let until = (0..).map(|i| from + i * MS).find(|at| !line.is_bad(0, *at, &BURST)).unwrap();
        assert!(line.was_bad(until - MS, until) && !line.was_bad(until, until));
        assert!(!line.is_bad(until, until, &BURST));
        assert!(
            line.was_bad(until - MS, until) && !line.was_bad(until, until),
            "the same when it is over for good"
        );
        assert!(!line.is_bad(u64::MAX, u64::MAX, &Burst { every: 1e9, ..BURST }), "and there is an end");
    }
}
