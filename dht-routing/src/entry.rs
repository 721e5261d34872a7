//! What the table remembers of a peer, in few bytes: a table holds hundreds of peers, and a simulation a million tables.

use std::{num::NonZeroU32, time::Duration};

use dht_core::{Contact, Mono, Overlay};

/// A time in whole seconds since the origin of the clock: nothing here is decided at a finer grain. 136 years fit.
///
/// One more than the seconds are kept, so that an option takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secs(NonZeroU32);

impl Secs {
    pub(crate) fn of(at: Mono) -> Self {
        let secs = u32::try_from(at.0.as_secs()).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(secs))
    }

    pub(crate) fn mono(self) -> Mono {
        Mono(Duration::from_secs((self.0.get() - 1).into()))
    }
}

/// A smoothed round trip: the twelve leading binary digits of its microseconds, and how many follow them. That is one part
/// in 2,048 at worst, and more than two minutes count as two minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt(u16);

impl Rtt {
    const UNKNOWN: Self = Self(u16::MAX);
    const DIGITS: u32 = 12;

    pub(crate) fn new(sample: Option<Duration>) -> Self {
        sample.map_or(Self::UNKNOWN, |sample| Self::of(micros(sample)))
    }

    fn of(micros: u32) -> Self {
        let follow = (u32::BITS - micros.leading_zeros()).saturating_sub(Self::DIGITS);
        Self((follow << Self::DIGITS | micros >> follow) as u16)
    }

    fn micros(self) -> Option<u32> {
        let (follow, digits) = (self.0 >> Self::DIGITS, self.0 & ((1 << Self::DIGITS) - 1));
        (self.0 != Self::UNKNOWN.0).then(|| u32::from(digits) << follow)
    }

    /// Moves an eighth of the way to the sample, as TCP does.
    fn observe(&mut self, sample: Duration) {
        let sample = micros(sample);
        *self = Self::of(match self.micros() {
            None => sample,
            Some(old) => (i64::from(old) + (i64::from(sample) - i64::from(old)) / 8) as u32,
        });
    }

    pub(crate) fn get(self) -> Option<Duration> {
        self.micros().map(|micros| Duration::from_micros(micros.into()))
    }
}

fn micros(rtt: Duration) -> u32 {
    rtt.as_micros().min(120_000_000) as u32
}

/// A peer of the table.
pub(crate) struct Entry<O: Overlay> {
    pub(crate) contact: Contact<O>,
    pub(crate) rtt: Rtt,
    pub(crate) seen: Secs,
    pub(crate) added: Secs,
    /// Failures since its last answer, in the seven low bits, and whether the filter prefers it, in the high one.
    flags: u8,
}

const PREFERRED: u8 = 0x80;
/// Of these a table never sees as many: sixteen are the most that it may be told to bear.
const FAILURES: u8 = 0x7f;

impl<O: Overlay> Entry<O> {
    /// A peer that answered just now.
    pub(crate) fn new(now: Mono, contact: Contact<O>, rtt: Option<Duration>, preferred: bool) -> Self {
        let seen = Secs::of(now);
        let mut entry = Self { contact, rtt: Rtt::new(rtt), seen, added: seen, flags: 0 };
        entry.prefer(preferred);
        entry
    }

    /// The peer answered.
    pub(crate) fn touch(&mut self, now: Mono, rtt: Option<Duration>) {
        self.heard(now);
        self.flags &= PREFERRED;
        if let Some(rtt) = rtt {
            self.rtt.observe(rtt);
        }
    }

    /// The peer made itself heard, which is less than an answer: whether it can be reached is another question.
    pub(crate) fn heard(&mut self, now: Mono) {
        self.seen = self.seen.max(Secs::of(now));
    }

    /// The peer failed to answer.
    pub(crate) fn miss(&mut self) {
        if self.flags & FAILURES < FAILURES {
            self.flags += 1;
        }
    }

    pub(crate) fn failures(&self) -> u32 {
        (self.flags & FAILURES).into()
    }

    pub(crate) fn preferred(&self) -> bool {
        self.flags & PREFERRED != 0
    }

    /// What the filter thinks of the peer from now on.
    pub(crate) fn prefer(&mut self, preferred: bool) {
        self.flags = self.flags & FAILURES | if preferred { PREFERRED } else { 0 };
    }

    /// The peer as a candidate in waiting that answered when the entry did.
    pub(crate) fn into_spare(self) -> Spare<O> {
        let preferred = self.preferred();
        Spare { contact: self.contact, verified: Some(self.seen), preferred }
    }
}

/// A candidate in waiting.
pub(crate) struct Spare<O: Overlay> {
    pub(crate) contact: Contact<O>,
    /// When it last answered us, `None` if it never did.
    pub(crate) verified: Option<Secs>,
    /// Whether the filter prefers it.
    pub(crate) preferred: bool,
}

impl<O: Overlay> Spare<O> {
    /// The higher, the sooner it has its turn.
    pub(crate) fn rank(&self) -> (bool, Option<Secs>) {
        (self.preferred, self.verified)
    }
}

#[cfg(test)]
mod tests {
    use dht_core::testing::Tiny;

    use super::*;

    #[test]
    fn round_trips_are_smoothed_and_bounded() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.get(), None);
        rtt.observe(Duration::from_millis(80));
        rtt.observe(Duration::from_millis(144));
        assert_eq!(rtt.get(), Some(Duration::from_millis(88)));
        rtt.observe(Duration::ZERO);
        assert!(rtt.get() < Some(Duration::from_millis(80)));
        assert_eq!(Rtt::new(Some(Duration::ZERO)).get(), Some(Duration::ZERO));
        let longest = Rtt::new(Some(Duration::MAX)).get().unwrap();
        assert!(longest > Duration::from_secs(119) && longest <= Duration::from_secs(120), "{longest:?}");
    }

    #[test]
    fn round_trips_are_kept_to_one_part_in_two_thousand() {
        for micros in (0..=2048).chain((0..32).map(|bits| (0xfedc_ba98u32 >> bits).min(120_000_000))) {
            let kept = Rtt::of(micros).micros().unwrap();
            assert!(kept <= micros && micros - kept <= micros / 2048, "{micros} became {kept}");
        }
    }

    #[test]
    fn an_option_of_a_time_is_no_larger_and_times_begin_at_zero() {
        assert_eq!(size_of::<Option<Secs>>(), 4);
        assert_eq!(Secs::of(Mono::default()).mono(), Mono::default());
        let late = Mono(Duration::from_secs(u64::MAX));
        assert_eq!(Secs::of(late).mono(), Mono(Duration::from_secs(u64::from(u32::MAX) - 1)));
    }

    #[test]
    fn failures_and_preference_do_not_disturb_each_other() {
        let mut entry: Entry<Tiny> = Entry::new(Mono::default(), Contact::unlocated(1), None, true);
        for _ in 0..300 {
            entry.miss();
        }
        assert_eq!((entry.failures(), entry.preferred()), (127, true));
        entry.prefer(false);
        assert_eq!((entry.failures(), entry.preferred()), (127, false));
        entry.prefer(true);
        entry.touch(Mono::default(), None);
        assert_eq!((entry.failures(), entry.preferred()), (0, true));
    }
}
