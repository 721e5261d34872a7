//! A source address can be made up. Whoever answers large to small questions throws what it says at whoever owns the address.
//!
//! So an address that proved nothing gets small answers without what others stored: never more than a few times the bytes of
//! its question, and in all what came from it and one small allowance. Once that is used up it gets less than it sends until
//! it has sent as much as it got, and no more than that from then on. It proves itself by an echo: an answer to a question of
//! ours, which only went there, or a ticket of ours. Whoever says that it serves is asked for an echo at once, on the same
//! account, and an answer that it may not have yet is held until it comes.
//!
//! Pure: time is an argument, the transport sends.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use dht_core::Mono;
use dht_protocol::TransactionId;

use super::{
    Config, Limits,
    bucket::{Bucket, Rate},
    sources::{Origin, Table},
};

/// Credit that is remembered at most: what it sent without an answer does not become a burst.
const MAX_CREDIT: i32 = 16 << 10;

/// What may go out for one question, as a part of its bytes: 3.2 times, of the smallest question with a target 300 bytes.
const MOST: (usize, usize) = (16, 5);
/// The same where more went there than came: enough for the answer to a ping, and what is left over pays the debt.
const REPAYING: (usize, usize) = (7, 8);

#[derive(Clone, Copy, Default)]
struct Account {
    /// Bytes that came from there less those that went there.
    balance: i32,
    /// Whether what is left of the allowance was too little for an answer: there is no other.
    used_up: bool,
    rate: Bucket,
}

fn times(bytes: usize, (numerator, denominator): (usize, usize)) -> usize {
    bytes.saturating_mul(numerator) / denominator
}

/// An answer that waits for an echo of its asker.
pub(super) struct Held {
    pub(super) origin: Origin,
    pub(super) to: SocketAddr,
    /// What goes out when the echo comes.
    pub(super) full: Vec<u8>,
    /// What goes out when it does not.
    pub(super) small: Vec<u8>,
    /// The question of ours that asks for it; another answer to the same address may have asked already.
    pub(super) challenge: Option<TransactionId>,
    deadline: Mono,
}

/// What is known of addresses, and the answers that wait.
pub(super) struct Reflection {
    proven: Table<()>,
    lifetime: u32,
    accounts: Table<Account>,
    networks: Table<Bucket>,
    allowance: i32,
    max_answer: usize,
    /// By deadline, which is by arrival.
    held: VecDeque<Held>,
    max_held: usize,
    hold: Duration,
    spare: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Reflection {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            proven: Table::new(config.tracked_proven),
            lifetime: u32::try_from(config.proven_lifetime.as_millis()).unwrap_or(u32::MAX),
            accounts: Table::new(config.tracked_sources),
            networks: Table::new(config.tracked_sources / 4),
            allowance: i32::try_from(config.unproven_allowance).unwrap_or(i32::MAX / 2),
            max_answer: config.max_unproven_answer,
            held: VecDeque::new(),
            max_held: config.max_held,
            hold: config.hold,
            spare: Vec::new(),
        }
    }

    /// The address echoed.
    pub(super) fn prove(&mut self, now: Mono, origin: Origin) {
        self.proven.entry(origin.address, now);
    }

    /// Whether it did lately.
    pub(super) fn is_proven(&self, now: Mono, origin: Origin) -> bool {
        self.proven.idle(origin.address, now).is_some_and(|idle| idle < self.lifetime)
    }

    /// So much came from an address that proved nothing. One that was silent for long begins anew.
    pub(super) fn received(&mut self, now: Mono, origin: Origin, bytes: usize) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        let idle = self.accounts.idle(origin.address, now);
        let account = self.accounts.entry(origin.address, now);
        if idle.is_some_and(|idle| idle >= self.lifetime) {
            *account = Account::default();
        }
        account.balance = account.balance.saturating_add(bytes).min(MAX_CREDIT);
    }

    /// Bytes that go out at most for a question of `length` bytes that came in.
    pub(super) fn most(&self, length: usize) -> usize {
        times(length, MOST).min(self.max_answer)
    }

    /// The same, at this moment to this address.
    pub(super) fn room(&self, origin: Origin, length: usize) -> usize {
        let (most, account) = (self.most(length), self.accounts.get(origin.address).unwrap_or_default());
        if !account.used_up && self.covers(account.balance, most) {
            return most;
        }
        let surplus = usize::try_from(account.balance).unwrap_or(0);
        times(length, REPAYING).max(surplus).min(most)
    }

    /// Whether so many bytes may go out at this balance.
    fn covers(&self, balance: i32, bytes: usize) -> bool {
        let left = i64::from(balance) + i64::from(self.allowance);
        usize::try_from(left).is_ok_and(|left| bytes <= left)
    }

    /// Whether the rates let so many bytes go to an address that proved nothing; then they count as sent. No more than
    /// [`Reflection::room`] said.
    pub(super) fn spend(&mut self, now: Mono, limits: &Limits, origin: Origin, bytes: usize) -> bool {
        let of_address = Rate::new(limits.unproven_bytes, limits.unproven_bytes);
        let of_network = Rate::new(limits.unproven_network_bytes, limits.unproven_network_bytes);
        let n = bytes as u64;
        // At most `max_answer`, which fits.
        let sent = i32::try_from(bytes).unwrap_or(i32::MAX);
        let before = self.accounts.entry(origin.address, now).balance;
        let used_up = !self.covers(before.saturating_sub(sent), self.max_answer);
        let account = self.accounts.entry(origin.address, now);
        let network = origin.network.map(|network| self.networks.entry(network, now));
        let fits = account.rate.has(now, of_address, n)
            && network.as_ref().is_none_or(|network| network.has(now, of_network, n));
        if fits {
            account.rate.spend(now, of_address, n);
            account.used_up |= used_up;
            account.balance = before.saturating_sub(sent);
            if let Some(network) = network {
                network.spend(now, of_network, n);
            }
        }
        fits
    }

    /// Whether one more answer can wait.
    pub(super) fn can_hold(&self) -> bool {
        self.held.len() < self.max_held
    }

    /// Whether it was asked for an echo that still may come.
    pub(super) fn is_challenged(&self, origin: Origin) -> bool {
        self.held.iter().any(|held| held.origin.address == origin.address)
    }

    /// Two empty buffers for [`Reflection::hold`].
    pub(super) fn buffers(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps an answer until its asker echoes, or the time is up.
    pub(super) fn hold(
        &mut self,
        now: Mono,
        origin: Origin,
        to: SocketAddr,
        challenge: Option<TransactionId>,
        (full, small): (Vec<u8>, Vec<u8>),
    ) {
        self.held.push_back(Held { origin, to, full, small, challenge, deadline: now + self.hold });
    }

    /// An answer that waited for the echo that just came.
    pub(super) fn released(&mut self, origin: Origin) -> Option<Held> {
        let at = self.held.iter().position(|held| held.origin.address == origin.address)?;
        self.held.remove(at)
    }

    /// An answer that waited in vain.
    pub(super) fn expired(&mut self, now: Mono) -> Option<Held> {
        if self.deadline()? > now {
            return None;
        }
        self.held.pop_front()
    }

    /// When the next one will have.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.held.front().map(|held| held.deadline)
    }

    /// Keeps the buffers for later.
    pub(super) fn recycle(&mut self, held: Held) {
        self.give_back((held.full, held.small));
    }

    /// The same with buffers that hold no answer.
    pub(super) fn give_back(&mut self, (mut full, mut small): (Vec<u8>, Vec<u8>)) {
        full.clear();
        small.clear();
        self.spare.push((full, small));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::udp::sources::Keyer;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn origin(ip: u32) -> Origin {
        Keyer::new([3; 16], false).origin(SocketAddr::new(IpAddr::V4(ip.into()), 7))
    }

    fn reflection(config: Config) -> Reflection {
        Reflection::new(&config)
    }

    #[test]
    fn a_proof_holds_for_its_address_and_its_time() {
        let mut reflection = reflection(Config::default());
        reflection.prove(at(0), origin(1));
        assert!(reflection.is_proven(at(899_999), origin(1)));
        assert!(!reflection.is_proven(at(900_000), origin(1)));
        assert!(!reflection.is_proven(at(0), origin(2)));
        // Being believed does not make it longer; only another proof does.
        reflection.prove(at(800_000), origin(1));
        assert!(reflection.is_proven(at(1_600_000), origin(1)));
    }

    #[test]
    fn answers_come_out_when_the_echo_does_and_otherwise_in_time() {
        let mut reflection = reflection(Config { max_held: 3, ..Config::default() });
        for (n, ip) in [1, 2, 1].into_iter().enumerate() {
            assert!(reflection.can_hold());
            let (mut full, small) = reflection.buffers();
            full.push(n as u8);
            let to = SocketAddr::new([127, 0, 0, 1].into(), 1);
            reflection.hold(at(n as u64), origin(ip), to, None, (full, small));
        }
        assert!(!reflection.can_hold());
        assert!(reflection.is_challenged(origin(2)));
        let mut released = || reflection.released(origin(1)).map(|held| held.full[0]);
        assert_eq!([released(), released(), released()], [Some(0), Some(2), None]);
        assert_eq!(reflection.deadline(), Some(at(1501)));
        assert!(reflection.expired(at(1500)).is_none());
        let held = reflection.expired(at(1501)).unwrap();
        assert_eq!(held.full, [1]);
        reflection.recycle(held);
        assert!(reflection.buffers().0.is_empty());
        assert_eq!(reflection.deadline(), None);
    }

    /// Asks `count` questions of `length` bytes with so many milliseconds between them, each answered with as much as may
    /// be; bytes that came and went.
    fn flood(length: usize, count: usize, pause: u64) -> (usize, usize) {
        let (limits, mut reflection) = (Limits::default(), reflection(Config::default()));
        let (mut came, mut went) = (0, 0);
        for n in 0..count as u64 {
            reflection.received(at(n * pause), origin(1), length);
            came += length;
            let bytes = reflection.room(origin(1), length);
            if reflection.spend(at(n * pause), &limits, origin(1), bytes) {
                went += bytes;
            }
            assert!(5 * went <= 16 * came, "{went} for {came}");
        }
        (came, went)
    }

    /// A victim is flooded with made-up questions in its name for a minute.
    #[test]
    fn a_victim_gets_no_more_than_was_sent_in_its_name() {
        for length in [54, 58, 90, 94, 120, 300] {
            for pause in [1, 10, 100, 1_000] {
                let (came, went) = flood(length, (60_000 / pause) as usize, pause);
                assert!(went <= came, "{went} for {came}: {length} bytes every {pause} ms");
                assert!(went <= 61_000, "{went}");
            }
        }
    }

    #[test]
    fn what_went_beyond_the_allowance_is_earned_back_and_silence_begins_anew() {
        let mut reflection = reflection(Config::default());
        let mut room = |ms| {
            reflection.received(at(ms), origin(1), 94);
            let room = reflection.room(origin(1), 94);
            assert!(reflection.spend(at(ms), &Limits::unlimited(), origin(1), room));
            room
        };
        assert_eq!([room(0), room(1), room(2)], [300, 300, 82]);
        let later: Vec<usize> = (3..100).map(&mut room).collect();
        let earned = later.iter().position(|bytes| *bytes > 82).unwrap();
        assert!((30..40).contains(&earned), "{earned}");
        assert!(later[earned..].iter().all(|bytes| (82..=94).contains(bytes)));
        assert_eq!([room(900_098), room(1_800_098)], [94, 300]);
    }

    #[test]
    fn a_network_gets_no_more_than_its_own_rate() {
        let (limits, mut reflection) = (Limits::default(), reflection(Config::default()));
        let mut went = 0;
        for ms in 0..10_000u32 {
            let origin = origin(0x0102_0300 + ms % 256);
            reflection.received(at(u64::from(ms)), origin, 300);
            if reflection.spend(at(u64::from(ms)), &limits, origin, 300) {
                went += 300;
            }
        }
        assert!((30_000..=44_000).contains(&went), "{went}");
    }

    proptest! {
        #[test]
        fn the_balance_is_never_overdrawn(
            steps in prop::collection::vec((0u64..2_000, 0usize..200, 0usize..400), 1..200),
        ) {
            let (limits, mut reflection) = (Limits::default(), reflection(Config::default()));
            let (mut now, mut came, mut went) = (0, 0, 0);
            for (step, bytes, answer) in steps {
                now += step;
                reflection.received(at(now), origin(1), bytes);
                came += bytes;
                let answer = answer.min(reflection.room(origin(1), bytes));
                if reflection.spend(at(now), &limits, origin(1), answer) {
                    went += answer;
                    prop_assert!(answer <= 300);
                }
                prop_assert!(went <= came + 600 && 5 * went <= 16 * came);
            }
        }
    }
}
