//! When own items are due: on time, after absences, across restarts and clock steps.

use std::time::Duration;

use dht_core::{
    Mono, Now, Overlay, Wall,
    testing::{Tiny, TinyItem, TinyQuery},
};
use proptest::prelude::*;

use super::{Republish, RepublishConfig, Republisher, TooMany};
use crate::Stored;

const HOUR: u64 = 3_600;
const INTERVAL: Duration = Duration::from_secs(22 * HOUR);

fn at(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(secs))
}

fn no_jitter() -> RepublishConfig {
    RepublishConfig { jitter: 0.0, ..RepublishConfig::default() }
}

fn republisher(config: RepublishConfig) -> Republisher<Tiny> {
    Republisher::new(config, 1).unwrap()
}

fn track(republisher: &mut Republisher<Tiny>, now: Now, key: u8, author: u8, announced: u64) {
    let item = TinyItem { author: Some(author), version: 1 };
    republisher.track(now, TinyQuery::Crowd(key), item, Wall::from_secs(announced), INTERVAL).unwrap();
}

/// Polls until it says `Wait`; what was due and the time to come back.
fn drain(republisher: &mut Republisher<Tiny>, now: Now) -> (Vec<(TinyQuery, TinyItem)>, Option<Mono>) {
    let mut due = Vec::new();
    loop {
        match republisher.poll(now) {
            Republish::Due { query, item } => due.push((query, item)),
            Republish::Wait(until) => return (due, until),
        }
    }
}

/// Sleeps exactly as told, for `span`; the times and names of what was due.
fn run(republisher: &mut Republisher<Tiny>, mut now: Now, span: Duration) -> Vec<(Duration, TinyQuery)> {
    let end = now.mono + span;
    let mut log = Vec::new();
    loop {
        let (due, until) = drain(republisher, now);
        log.extend(due.into_iter().map(|(query, _)| (now.wall.0, query)));
        let Some(until) = until.filter(|until| *until <= end) else { return log };
        assert!(until > now.mono, "a wait that is over already would spin");
        now = now.after(until.since(now.mono));
    }
}

#[test]
fn an_item_is_due_one_interval_after_its_last_announcement() {
    let mut republisher = republisher(no_jitter());
    assert_eq!(republisher.poll(at(0)), Republish::Wait(None));
    track(&mut republisher, at(100 * HOUR), 1, 1, 99 * HOUR);
    let due = Mono(Duration::from_secs(121 * HOUR));
    assert_eq!(republisher.poll(at(100 * HOUR)), Republish::Wait(Some(due)));
    let (items, until) = drain(&mut republisher, at(121 * HOUR));
    assert_eq!(items, [(TinyQuery::Crowd(1), TinyItem { author: Some(1), version: 1 })]);
    assert_eq!(until, Some(Mono(Duration::from_secs(143 * HOUR))));
}

#[test]
fn intervals_are_the_items_own_and_slots_stand_apart() {
    let mut republisher = republisher(no_jitter());
    track(&mut republisher, at(0), 1, 1, 0);
    track(&mut republisher, at(0), 1, 2, 0);
    let value = TinyItem::value(1);
    republisher.track(at(0), TinyQuery::Value(1), value, Wall::default(), Duration::from_secs(HOUR)).unwrap();
    assert_eq!(republisher.len(), 3);
    let log = run(&mut republisher, at(0), INTERVAL);
    assert_eq!(log.iter().filter(|(_, query)| *query == TinyQuery::Value(1)).count(), 22);
    assert_eq!(log.iter().filter(|(_, query)| *query == TinyQuery::Crowd(1)).count(), 2);
    // The same slot again replaces: a newer version is announced from then on.
    republisher
        .track(at(22 * HOUR), TinyQuery::Value(1), TinyItem::value(2), Wall::from_secs(22 * HOUR), INTERVAL)
        .unwrap();
    assert_eq!(republisher.len(), 3);
    let (due, _) = drain(&mut republisher, at(44 * HOUR));
    assert!(due.contains(&(TinyQuery::Value(1), TinyItem::value(2))));
    assert!(republisher.remove(&TinyQuery::Value(1), &None));
    assert!(!republisher.remove(&TinyQuery::Value(1), &None));
    assert_eq!(republisher.len(), 2);
    republisher.clear();
    assert!(republisher.is_empty());
    assert_eq!(republisher.poll(at(99 * HOUR)), Republish::Wait(None));
}

#[test]
fn jitter_spreads_what_was_published_together_and_never_delays() {
    let mut spread = republisher(RepublishConfig { burst: 1_000, ..RepublishConfig::default() });
    for key in 0..200 {
        track(&mut spread, at(0), key, 1, 0);
    }
    let log = run(&mut spread, at(0), INTERVAL);
    assert_eq!(log.len(), 200);
    let (first, last) = (log[0].0, log[199].0);
    assert!(first >= INTERVAL.mul_f64(0.9) && last <= INTERVAL, "{first:?} to {last:?}");
    assert!(last - first > INTERVAL.mul_f64(0.09), "{first:?} to {last:?}");
    let mut again =
        Republisher::new(RepublishConfig { burst: 1_000, ..RepublishConfig::default() }, 1).unwrap();
    for key in 0..200 {
        track(&mut again, at(0), key, 1, 0);
    }
    assert_eq!(run(&mut again, at(0), INTERVAL), log, "the same seed gives the same times");
}

#[test]
fn a_publisher_that_was_away_catches_up_oldest_first_without_a_storm() {
    let config = RepublishConfig::default();
    let mut late = republisher(config.clone());
    // 250 items, announced evenly over an interval, then 23 hours of absence.
    let now = at(45 * HOUR);
    for key in 0..250u64 {
        track(&mut late, now, (key * 7 % 250) as u8, 1, key * 7 % 250 * 22 * HOUR / 250);
    }
    let log = run(&mut late, now, INTERVAL);
    let keys: Vec<TinyQuery> = log.iter().map(|(_, query)| *query).take(250).collect();
    let mut once = keys.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 250, "each one once before any comes again");
    // Oldest first: nobody overtakes somebody older by more than the jitter.
    for pair in keys.windows(2) {
        let [TinyQuery::Crowd(a), TinyQuery::Crowd(b)] = pair else { panic!("only crowds were tracked") };
        assert!(*a <= b.saturating_add(26), "{a} before {b}");
    }
    // No hour sees more than twice the mean rate and one burst.
    let mean_per_hour = 250.0 / 22.0;
    for (start, _) in &log {
        let within = log
            .iter()
            .filter(|(time, _)| (*start..*start + Duration::from_secs(HOUR)).contains(time))
            .count();
        assert!(within as f64 <= 2.0 * mean_per_hour + f64::from(config.burst) + 1.0, "{within} in one hour");
    }
    let caught_up = log[249].0 - now.wall.0;
    assert!(caught_up <= INTERVAL / 2, "{caught_up:?}: before those of 48 hours expire");
}

#[test]
fn a_failed_announcement_comes_again_soon_and_others_are_not_held_up() {
    let mut republisher = republisher(no_jitter());
    for key in 0..3 {
        track(&mut republisher, at(0), key, 1, 0);
    }
    let (due, _) = drain(&mut republisher, at(22 * HOUR));
    assert_eq!(due.len(), 3);
    republisher.retry(at(22 * HOUR), &TinyQuery::Crowd(1), &Some(1));
    republisher.retry(at(22 * HOUR), &TinyQuery::Crowd(9), &Some(1));
    let (due, until) = drain(&mut republisher, at(22 * HOUR));
    assert_eq!((due.len(), until), (0, Some(Mono(Duration::from_secs(22 * HOUR + 600)))));
    let (due, _) = drain(&mut republisher, at(22 * HOUR + 600));
    assert_eq!(due[0].0, TinyQuery::Crowd(1));
}

#[test]
fn a_restart_continues_with_the_age_that_the_store_tells() {
    let records = (0..4u8).map(|key| {
        let item = TinyItem { author: Some(key), version: 1 };
        let received = Wall::from_secs(u64::from(key) * HOUR);
        (TinyQuery::Crowd(key), Stored { item, received, expires: received + Duration::from_secs(48 * HOUR) })
    });
    // The monotonic clock starts anew, the wall clock goes on.
    let now = Now { mono: Mono::default(), wall: Wall::from_secs(24 * HOUR) };
    let mut republisher = republisher(no_jitter());
    let interval = |query: &TinyQuery, _: &TinyItem| (*query != TinyQuery::Crowd(3)).then_some(INTERVAL);
    assert_eq!(republisher.restore(now, records, interval), Ok(3));
    let (due, until) = drain(&mut republisher, now);
    assert_eq!(due.iter().map(|(query, _)| *query).collect::<Vec<_>>(), [0, 1, 2].map(TinyQuery::Crowd));
    assert_eq!(until, Some(Mono(INTERVAL)));
}

#[test]
fn a_clock_set_back_postpones_nothing() {
    let mut republisher = republisher(no_jitter());
    track(&mut republisher, at(100 * HOUR), 1, 1, 90 * HOUR);
    assert!(matches!(republisher.poll(at(100 * HOUR)), Republish::Wait(Some(_))));
    let back = Now { mono: at(100 * HOUR).mono, wall: Wall::from_secs(HOUR) };
    assert_eq!(
        republisher.poll(back),
        Republish::Wait(Some(at(112 * HOUR).mono)),
        "twelve hours are left, as before"
    );
    // An announcement dated in the future counts as made now.
    track(&mut republisher, back, 2, 1, 1_000_000 * HOUR);
    let log = run(&mut republisher, back, INTERVAL);
    assert_eq!(log.len(), 2);
}

#[test]
fn bounds_hold_and_bad_options_are_named() {
    let mut republisher = republisher(RepublishConfig { max_items: 1, ..no_jitter() });
    track(&mut republisher, at(0), 1, 1, 0);
    track(&mut republisher, at(0), 1, 1, 0);
    let (query, item) = (TinyQuery::Crowd(2), TinyItem { author: Some(1), version: 1 });
    let refused = republisher.track(at(0), query, item, Wall::default(), INTERVAL);
    assert_eq!(refused, Err(TooMany { limit: 1 }));
    let bad = |config: RepublishConfig| config.validate().unwrap_err().field;
    let good = RepublishConfig::default();
    good.validate().unwrap();
    assert_eq!(bad(RepublishConfig { max_items: 0, ..good.clone() }), "max_items");
    assert_eq!(bad(RepublishConfig { jitter: f64::NAN, ..good.clone() }), "jitter");
    assert_eq!(bad(RepublishConfig { catch_up: 1.0, ..good.clone() }), "catch_up");
    assert_eq!(bad(RepublishConfig { burst: 0, ..good.clone() }), "burst");
    assert_eq!(bad(RepublishConfig { retry: Duration::ZERO, ..good }), "retry");
}

proptest! {
    /// Whatever is tracked, and whenever somebody polls, everything stays tracked and is announced about once an interval.
    #[test]
    fn nothing_starves(
        items in prop::collection::btree_map(any::<u8>(), (1..100u64, 0..200u64), 1..60),
        seed in any::<u64>(),
    ) {
        let mut republisher = Republisher::<Tiny>::new(RepublishConfig::default(), seed).unwrap();
        let now = at(200 * HOUR);
        for (key, (interval, announced)) in &items {
            let interval = Duration::from_secs(interval * HOUR);
            let item = TinyItem::value(1);
            let announced = Wall::from_secs(announced * HOUR);
            republisher.track(now, TinyQuery::Value(*key), item, announced, interval).unwrap();
        }
        let log = run(&mut republisher, now, Duration::from_secs(1_000 * HOUR));
        prop_assert_eq!(republisher.len(), items.len());
        for (key, (interval, _)) in &items {
            let times: Vec<f64> = log
                .iter()
                .filter(|(_, query)| *query == TinyQuery::Value(*key))
                .map(|(time, _)| time.as_secs_f64() / HOUR as f64)
                .collect();
            let steady = 1_000 / interval;
            prop_assert!(times.len() as u64 >= steady.saturating_sub(1 + steady / 10), "{} of {steady}", times.len());
            prop_assert!(times.len() as u64 <= steady * 10 / 9 + 3, "{} of {steady}", times.len());
        }
        let slot = Tiny::slot(&TinyItem::value(1));
        for key in items.keys() {
            prop_assert!(republisher.remove(&TinyQuery::Value(*key), &slot));
        }
        prop_assert_eq!(republisher.pace, 0);
    }
}
