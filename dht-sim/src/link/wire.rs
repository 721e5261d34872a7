//! What becomes of one message: the verdict of all that lies between two nodes at a moment.

use super::{
    Links,
    latency::{LONGEST, Latencies},
    line::Line,
};
use crate::{
    clock::nanos,
    dice::{Dice, Quantiles, hash, unit},
    network::{Manners, seconds_of},
};

/// The verdict about one message. Times are when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Lost,
    Once(u64),
    Twice(u64, u64),
    /// The stream gave up resending.
    Broken(u64),
}

/// Retransmissions of a stream wait at least this long.
const MIN_RESEND: u64 = 200_000_000;

/// All links.
#[derive(Debug)]
pub(crate) struct Wire {
    links: Links,
    latencies: Latencies,
    jitter: Quantiles,
    dice: Dice,
    seed: u64,
    patience: u64,
    streams: bool,
    /// Cumulative shares of the sides of a partition; empty when there is none.
    sides: Vec<f64>,
    /// Which nodes are on which side is drawn anew for each partition.
    partition: u64,
    /// Share of the ordered pairs that nothing gets through, and the draw.
    one_way: (f64, u64),
    /// Filled while lines have bad times.
    lines: Vec<Option<Line>>,
    /// When this weather began.
    since: u64,
    /// When a node's line is free again; filled while bandwidth is limited.
    free: Vec<u64>,
}

impl Wire {
    pub(crate) fn new(links: Links, manners: &Manners, seed: u64) -> Self {
        Self {
            latencies: Latencies::new(links.latency, seed),
            jitter: Quantiles::lognormal(links.jitter),
            links,
            dice: Dice::new(seed, 1),
            seed,
            patience: nanos(manners.patience),
            streams: manners.streams,
            sides: Vec::new(),
            partition: 0,
            one_way: (0.0, 0),
            lines: Vec::new(),
            since: 0,
            free: Vec::new(),
        }
    }

    /// Other weather from now on; who sits where stays.
    pub(crate) fn set_links(&mut self, links: Links, now: u64) {
        self.latencies = Latencies::new(links.latency, self.seed);
        self.jitter = Quantiles::lognormal(links.jitter);
        self.links = links;
        self.lines.clear();
        self.since = now;
        self.free.clear();
    }

    /// Splits the nodes into sides that do not hear of one another; no shares heal it.
    pub(crate) fn partition(&mut self, shares: &[f64], draw: u64) {
        let all: f64 = shares.iter().sum();
        let mut sum = 0.0;
        let cumulative = shares.iter().map(|share| {
            sum += share / all;
            sum
        });
        self.sides = cumulative.collect();
        self.partition = draw;
    }

    /// The side that a node is on; 0 without a partition.
    pub(crate) fn side(&self, node: u32) -> usize {
        if self.sides.is_empty() {
            return 0;
        }
        let point = unit(hash(self.partition, node.into(), 4));
        self.sides.partition_point(|sum| *sum <= point).min(self.sides.len() - 1)
    }

    /// Cuts a share of the ordered pairs of nodes.
    pub(crate) fn cut_one_way(&mut self, share: f64, draw: u64) {
        self.one_way = (share, draw);
    }

    pub(crate) fn is_cut(&self, from: u32, to: u32) -> bool {
        let pair = u64::from(from) << 32 | u64::from(to);
        !self.sides.is_empty() && self.side(from) != self.side(to)
            || self.one_way.0 > 0.0 && unit(hash(self.one_way.1, pair, 5)) < self.one_way.0
    }

    /// Whether a node's line was bad at some time after this, as far as what was sent over it has told.
    pub(crate) fn was_bad(&self, node: u32, since: u64, now: u64) -> bool {
        self.lines.get(node as usize).and_then(Option::as_ref).is_some_and(|line| line.was_bad(since, now))
    }

    /// One way, without jitter.
    pub(crate) fn latency(&self, from: u32, to: u32) -> u64 {
        self.latencies.between(from, to)
    }

    /// Sends `bytes`; `extra` is added to the way. What is lost takes its turn on the sender's line like all else; what a stream
    /// sends again does not, since nobody waits for a packet that is not sent yet.
    pub(crate) fn carry(&mut self, now: u64, from: u32, to: u32, bytes: usize, extra: u64) -> Carried {
        let sent = self.queue(now, from, bytes);
        if self.is_cut(from, to) {
            return Carried::Lost;
        }
        let latency = self.latencies.between(from, to);
        let mut leaves = sent;
        let mut resend = MIN_RESEND.max(latency * 4);
        while self.loses(now, leaves, from)
            || self.loses(now, leaves, to)
            || self.dice.chance(self.links.loss)
        {
            if !self.streams {
                return Carried::Lost;
            }
            leaves = leaves.saturating_add(resend);
            resend = resend.saturating_mul(2);
            if leaves - sent > self.patience {
                return Carried::Broken(sent.saturating_add(self.patience));
            }
        }
        let leaves = leaves.saturating_add(extra);
        let first = leaves.saturating_add(self.way(latency));
        if !self.streams && self.dice.chance(self.links.duplicate) {
            return Carried::Twice(first, leaves.saturating_add(self.way(latency)));
        }
        Carried::Once(first)
    }

    fn way(&mut self, latency: u64) -> u64 {
        let jitter = if self.links.jitter > 0.0 { self.jitter.at(self.dice.roll()) } else { 1.0 };
        let held = match self.links.reorder {
            Some(reorder) if self.dice.chance(reorder.share) => {
                self.dice.below(nanos(seconds_of(reorder.by)).max(1))
            }
            _ => 0,
        };
        ((latency as f64 * jitter) as u64).min(LONGEST).saturating_add(held)
    }

    /// Whether a node's line is bad at a time, now or later, and loses this packet.
    fn loses(&mut self, now: u64, at: u64, node: u32) -> bool {
        let Some(burst) = self.links.burst else { return false };
        let i = node as usize;
        if self.lines.len() <= i {
            self.lines.resize_with(i + 1, || None);
        }
        let seed = hash(self.seed, node.into(), self.since);
        let line = self.lines[i].get_or_insert_with(|| Line::new(self.since, seed, &burst));
        line.is_bad(now, at, &burst) && self.dice.chance(burst.loss)
    }

    /// When the last byte has left.
    fn queue(&mut self, at: u64, from: u32, bytes: usize) -> u64 {
        let Some(bandwidth) = self.links.bandwidth.filter(|rate| *rate > 0.0) else { return at };
        let i = from as usize;
        if self.free.len() <= i {
            self.free.resize(i + 1, 0);
        }
        let free = &mut self.free[i];
        *free = (*free).max(at).saturating_add((bytes as f64 / bandwidth * 1e9) as u64);
        *free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Burst, Reorder};

    const MS: u64 = 1_000_000;

    fn wire(links: Links, manners: &Manners) -> Wire {
        Wire::new(links, manners, 3)
    }

    #[test]
    fn a_clear_link_takes_its_latency_and_bandwidth_queues() {
        let mut clear = wire(Links::constant(20.0), &Manners::datagrams());
        assert_eq!(clear.carry(5, 1, 2, 100, 7), Carried::Once(5 + 20 * MS + 7));
        let slow = Links { bandwidth: Some(1000.0), ..Links::constant(0.0) };
        let mut slow = wire(slow, &Manners::datagrams());
        assert_eq!(slow.carry(0, 1, 2, 100, 0), Carried::Once(100 * MS));
        assert_eq!(slow.carry(0, 1, 3, 100, 0), Carried::Once(200 * MS));
        assert_eq!(slow.carry(0, 2, 3, 100, 0), Carried::Once(100 * MS));
    }

    #[test]
    fn what_is_lost_uses_the_line_and_what_is_sent_again_does_not_block_it() {
        let burst = Some(Burst { every: 9.0, lasts: 3.0, loss: 1.0 });
        let links = Links { bandwidth: Some(1000.0), burst, ..Links::constant(0.0) }.loss(0.3);
        for manners in [Manners::datagrams(), Manners::streams()] {
            let mut wire = wire(links.clone(), &manners);
            let mut late = 0;
            // As fast as the line is.
            for i in 0..1000u64 {
                match wire.carry(i * 100 * MS, 1, 2, 100, 0) {
                    Carried::Once(at) => late += u32::from(at > (i + 1) * 100 * MS),
                    Carried::Broken(_) => late += 1,
                    Carried::Lost | Carried::Twice(..) => {}
                }
                assert_eq!(wire.free[1], (i + 1) * 100 * MS);
            }
            assert_eq!(late > 300, manners.streams, "{late}");
            wire.partition(&[1.0, 1.0], 9);
            let other = (2..).find(|other| wire.is_cut(1, *other)).unwrap();
            assert_eq!(wire.carry(0, 1, other, 100, 0), Carried::Lost);
            assert_eq!(wire.free[1], 1001 * 100 * MS, "the cut is somewhere behind it");
        }
    }

    #[test]
    fn loss_is_silence_for_datagrams_and_delay_for_streams() {
        let links = Links::constant(20.0).loss(0.3);
        let mut datagrams = wire(links.clone(), &Manners::datagrams());
        let lost = (0..10_000).filter(|_| datagrams.carry(0, 1, 2, 1, 0) == Carried::Lost).count();
        assert!((2850..3150).contains(&lost), "{lost}");
        let mut streams = wire(links, &Manners::streams());
        let late = (0..10_000).filter(|_| streams.carry(0, 1, 2, 1, 0) != Carried::Once(20 * MS)).count();
        assert!((2850..3150).contains(&late), "{late}");
        let mut dead = wire(Links::constant(20.0).loss(1.0), &Manners::streams());
        assert_eq!(dead.carry(0, 1, 2, 1, 0), Carried::Broken(nanos(Manners::streams().patience)));
    }

    #[test]
    fn doubles_and_laggards_come_in_their_share() {
        let reorder = Some(Reorder { share: 0.2, by: 1.0 });
        let links = Links { duplicate: 0.25, reorder, ..Links::constant(1.0) };
        let mut wire = wire(links, &Manners::datagrams());
        let (mut doubles, mut late) = (0, 0);
        for _ in 0..10_000 {
            match wire.carry(0, 1, 2, 1, 0) {
                Carried::Twice(..) => doubles += 1,
                Carried::Once(at) => late += u32::from(at > MS),
                _ => unreachable!("nothing is lost"),
            }
        }
        assert!((2350..2650).contains(&doubles), "{doubles}");
        assert!((1350..1650).contains(&late), "{late}");
    }

    #[test]
    fn no_tail_is_longer_than_time() {
        let latency = crate::link::Latency::Lognormal { median_ms: 1e6, sigma: 5.0 };
        let links = Links { latency, jitter: 5.0, bandwidth: Some(1.0), loss: 0.5, ..Links::default() };
        for manners in [Manners::streams(), Manners::datagrams()] {
            let mut wire = wire(links.clone(), &manners);
            for to in 1..10_000 {
                assert!(wire.latency(0, to) <= LONGEST);
                let (now, extra) = (u64::MAX - u64::from(to % 7) * LONGEST, u64::from(to % 3) * LONGEST);
                if let Carried::Once(at) = wire.carry(now, 0, to, 1 << 20, extra) {
                    assert!(at >= now);
                }
            }
        }
    }

    #[test]
    fn bad_times_come_in_bursts() {
        let burst = Some(Burst { every: 90.0, lasts: 10.0, loss: 1.0 });
        let mut wire = wire(Links { burst, ..Links::constant(1.0) }, &Manners::datagrams());
        let lost: Vec<bool> =
            (0..200_000u64).map(|i| wire.carry(i * 100 * MS, 1, 2, 1, 0) == Carried::Lost).collect();
        let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let changes = lost.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((0.15..0.23).contains(&share), "two lines, each bad a tenth of the time: {share}");
        assert!(changes < 1000, "{changes}");
        let last = lost.iter().rposition(|lost| *lost).unwrap() as u64 * 100 * MS;
        let now = 200_000 * 100 * MS;
        assert!((wire.was_bad(1, last, now) || wire.was_bad(2, last, now)) && !wire.was_bad(3, 0, now));
        assert!(!wire.was_bad(1, now, now) && !wire.was_bad(2, now, now));
    }

    #[test]
    fn a_dark_line_is_dark_for_every_packet_of_a_stream() {
        let burst = Some(Burst { every: 90.0, lasts: 10.0, loss: 1.0 });
        let links = Links { burst, ..Links::constant(1.0) };
        let (mut datagrams, mut streams) =
            (wire(links.clone(), &Manners::datagrams()), wire(links, &Manners::streams()));
        let mut lost = 0;
        for now in (0..100_000u64).map(|i| i * 100 * MS) {
            // Whoever looks ahead does not end it for the others.
            for to in [2, 2, 3] {
                let dark = datagrams.carry(now, 1, to, 1, 0) == Carried::Lost;
                assert_eq!(streams.carry(now, 1, to, 1, 0) != Carried::Once(now + MS), dark, "{now}");
                assert!(!dark || streams.was_bad(1, now, now) || streams.was_bad(to, now, now));
                lost += u32::from(dark);
            }
        }
        assert!((45_000..69_000).contains(&lost), "{lost}");
    }

    #[test]
    fn other_weather_has_other_bad_times() {
        let burst = Some(Burst { every: 9.0, lasts: 9.0, loss: 1.0 });
        let links = Links { burst, ..Links::constant(1.0) };
        let mut wire = wire(links.clone(), &Manners::datagrams());
        let mut dark = |since: u64| -> Vec<bool> {
            wire.set_links(links.clone(), since);
            (0..100).map(|i| wire.carry(since + i * 1000 * MS, 1, 2, 1, 0) == Carried::Lost).collect()
        };
        assert_ne!(dark(0), dark(100_000 * MS));
    }

    #[test]
    fn sides_and_cuts_hold_until_they_are_lifted() {
        let mut wire = wire(Links::constant(1.0), &Manners::datagrams());
        wire.partition(&[1.0, 3.0], 9);
        let small = (0..10_000).filter(|node| wire.side(*node) == 0).count();
        assert!((2350..2650).contains(&small), "{small}");
        assert_eq!(wire.is_cut(1, 2), wire.side(1) != wire.side(2));
        wire.partition(&[], 9);
        assert!((0..100).all(|node| !wire.is_cut(0, node)));
        wire.cut_one_way(0.1, 5);
        let cut: Vec<_> = (1..1000).filter(|node| wire.is_cut(0, *node)).collect();
        assert!((60..140).contains(&cut.len()));
        assert!(cut.iter().any(|node| !wire.is_cut(*node, 0)), "the other way is another matter");
    }
}
