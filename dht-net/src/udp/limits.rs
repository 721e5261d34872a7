//! How much is let through: questions of strangers before they are read, questions of ours before they are sent.
//!
//! Pure: time and rates are arguments. What is remembered of strangers is in tables of fixed size.

use std::time::Duration;

use dht_core::Mono;

use super::{
    Config, Limits,
    bucket::{Bucket, Rate},
    sources::{Origin, Table},
};

/// Which limit a question broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Source,
    Network,
    All,
}

/// The limits on questions of strangers.
pub(super) struct Inbound {
    sources: Table<Bucket>,
    networks: Table<Bucket>,
    /// Everybody, and those who proved nothing: a flood from made-up addresses leaves room for the others.
    all: Bucket,
    unproven: Bucket,
    bytes: Bucket,
}

impl Inbound {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            sources: Table::new(config.tracked_sources),
            // Where there are many sources there are fewer networks.
            networks: Table::new(config.tracked_sources / 4),
            all: Bucket::default(),
            unproven: Bucket::default(),
            bytes: Bucket::default(),
        }
    }

    /// Whether a question of this origin is read. One that is not read spends nothing.
    pub(super) fn admit(
        &mut self,
        now: Mono,
        limits: &Limits,
        origin: Origin,
        proven: bool,
    ) -> Result<(), Over> {
        let of_source = Rate::new(limits.source_qps, limits.source_burst);
        let of_network = Rate::new(limits.network_qps, limits.network_qps);
        let of_all = per_second(limits.max_answers);
        let of_unproven = per_second(limits.max_answers - limits.max_answers / 4);

        let source = self.sources.entry(origin.source, now);
        if !source.has(now, of_source, 1) {
            return Err(Over::Source);
        }
        let network = origin.network.map(|network| self.networks.entry(network, now));
        if network.as_ref().is_some_and(|network| !network.has(now, of_network, 1)) {
            return Err(Over::Network);
        }
        let room = self.all.has(now, of_all, 1)
            && (proven || self.unproven.has(now, of_unproven, 1))
            && self.bytes.has(now, Rate::new(limits.max_answer_bytes, limits.max_answer_bytes), 1);
        if !room {
            return Err(Over::All);
        }
        source.spend(now, of_source, 1);
        if let Some(network) = network {
            network.spend(now, of_network, 1);
        }
        self.all.spend(now, of_all, 1);
        if !proven {
            self.unproven.spend(now, of_unproven, 1);
        }
        Ok(())
    }

    /// Whether an answer of so many bytes may go out.
    pub(super) fn answer(&mut self, now: Mono, limits: &Limits, bytes: usize) -> bool {
        self.bytes.take(now, Rate::new(limits.max_answer_bytes, limits.max_answer_bytes), bytes as u64)
    }
}

/// A tenth of a second at once: what is granted to nobody in particular need not wait for a silence.
fn per_second(rate: u32) -> Rate {
    Rate::new(rate, (rate / 10).max(50))
}

/// The limits on questions of ours.
pub(super) struct Outbound {
    questions: Bucket,
    new: Bucket,
    destinations: Table<()>,
    memory: u32,
}

impl Outbound {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            questions: Bucket::default(),
            new: Bucket::default(),
            destinations: Table::new(config.tracked_destinations),
            memory: u32::try_from(config.destination_memory.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// Whether a question may go to this endpoint now, or when to ask again.
    pub(super) fn admit(&mut self, now: Mono, limits: &Limits, endpoint: u64) -> Result<(), Mono> {
        let of_questions = Rate::new(limits.max_qps, limits.burst);
        let of_new = Rate::new(limits.max_new_destinations, limits.burst);
        let known = self.destinations.idle(endpoint, now).is_some_and(|idle| idle < self.memory);
        if !self.questions.has(now, of_questions, 1) {
            return Err(later(now, self.questions.ready_at(now, of_questions)));
        }
        if !known && !self.new.has(now, of_new, 1) {
            return Err(later(now, self.new.ready_at(now, of_new)));
        }
        self.questions.spend(now, of_questions, 1);
        if !known {
            self.new.spend(now, of_new, 1);
        }
        self.destinations.entry(endpoint, now);
        Ok(())
    }
}

/// Timers fire on whole milliseconds; asking before that would spin.
fn later(now: Mono, ready: Mono) -> Mono {
    ready.max(now + Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;
    use crate::udp::sources::Keyer;

    fn at(micros: u64) -> Mono {
        Mono(Duration::from_micros(micros))
    }

    fn origin(ip: u32) -> Origin {
        Keyer::new([3; 16], false).origin(SocketAddr::new(IpAddr::V4(ip.into()), 7))
    }

    #[test]
    fn an_address_gets_its_burst_and_then_its_rate_and_a_network_no_more_than_its_own() {
        let (limits, mut inbound) = (Limits::default(), Inbound::new(&Config::default()));
        let one =
            (0..1000).filter(|&ms| inbound.admit(at(ms * 1000), &limits, origin(9), false).is_ok()).count();
        assert_eq!(one, 50 + 9);
        assert_eq!(inbound.admit(at(999_999), &limits, origin(9), true), Err(Over::Source));

        let mut inbound = Inbound::new(&Config::default());
        let ask = |n: u32| inbound.admit(at(u64::from(n) * 100), &limits, origin(n % 200), false);
        let results: Vec<_> = (0..10_000).map(ask).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100 + 99);
        assert!(results.contains(&Err(Over::Network)));
    }

    /// 100,000 made-up sources, four times what is answered at all, beside an honest asker that echoed once.
    #[test]
    fn a_flood_from_made_up_sources_leaves_the_honest_their_answers() {
        let (limits, mut inbound) = (Limits::default(), Inbound::new(&Config::default()));
        let honest = origin(0x0a00_0001);
        let (mut ok, mut asked, mut refused) = (0, 0, 0);
        for n in 0..400_000u32 {
            let now = at(u64::from(n) * 12);
            let spoofed = origin(0x4000_0000 + (n % 100_000) * 977);
            refused += u32::from(inbound.admit(now, &limits, spoofed, false).is_err());
            if n % 8_400 == 0 {
                asked += 1;
                ok += u32::from(inbound.admit(now, &limits, honest, true).is_ok());
            }
        }
        assert!(refused > 300_000, "{refused}");
        assert!(ok * 100 >= asked * 99, "{ok} of {asked}");
    }

    #[test]
    fn questions_of_ours_keep_to_the_rate_and_new_places_to_a_lower_one() {
        let limits = Limits { max_qps: 100, max_new_destinations: 20, burst: 10, ..Limits::default() };
        let mut outbound = Outbound::new(&Config::default());
        let sent = |outbound: &mut Outbound, from: u64, to: &dyn Fn(u64) -> u64| {
            (0..1000).filter(|ms| outbound.admit(at((from + ms) * 1000), &limits, to(*ms)).is_ok()).count()
        };
        assert_eq!(sent(&mut outbound, 0, &|_| 1), 10 + 99);
        assert_eq!(sent(&mut outbound, 2000, &|ms| 10 + ms), 10 + 19);
        // Forgotten after five minutes.
        let (known, forgotten) = (at(300_000_000), at(310_000_000));
        assert_eq!(outbound.destinations.idle(1, known).map(|idle| idle < outbound.memory), Some(true));
        assert_eq!(outbound.destinations.idle(1, forgotten).map(|idle| idle < outbound.memory), Some(false));
    }

    #[test]
    fn whoever_must_wait_learns_for_how_long() {
        let limits = Limits { max_qps: 10, burst: 1, ..Limits::default() };
        let mut outbound = Outbound::new(&Config::default());
        assert_eq!(outbound.admit(at(0), &limits, 1), Ok(()));
        assert_eq!(outbound.admit(at(0), &limits, 1), Err(at(100_000)));
        assert_eq!(outbound.admit(at(100_000), &limits, 1), Ok(()));
    }
}
