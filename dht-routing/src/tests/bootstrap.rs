use super::*;
use crate::{BootstrapFailed, BootstrapId, BootstrapReport, Tried};

type Outcome = Result<BootstrapReport<Tiny>, BootstrapFailed<Tiny>>;

impl World {
    /// The only bootstrap that ended, and when.
    fn bootstrapped(&mut self) -> (u64, BootstrapId, Outcome) {
        let mut ended = self.events.iter().filter_map(|(at, event)| match event {
            Event::Bootstrapped { id, result } => {
                Some((at.since(Mono(secs(1000))).as_secs(), *id, result.clone()))
            }
            _ => None,
        });
        let first = ended.next().expect("no bootstrap ended");
        assert_eq!(ended.next(), None);
        first
    }
}

#[test]
fn the_first_node_of_a_network_succeeds_at_once() {
    let mut world = World::new(quiet());
    let id = world.bootstrap([LOCAL]);
    world.drain();
    let (after, told, result) = world.bootstrapped();
    assert_eq!((after, told), (0, id));
    assert!(result.unwrap().alone);
}

#[test]
fn the_second_node_joins_through_the_only_other_one() {
    let mut world = World::new(quiet());
    world.populate([200]);
    world.bootstrap([200, 200, LOCAL]);
    world.run(secs(30));
    let (after, _, result) = world.bootstrapped();
    let report = result.unwrap();
    assert!(after <= 3, "{after}");
    assert_eq!((report.alone, report.peers, report.recovered), (false, 1, false));
    assert_eq!(report.tried, [Tried { peer: 200, outcome: Ok(Duration::from_millis(100)) }]);
}

#[test]
fn a_seed_that_answers_and_may_not_enter_is_a_success_too() {
    struct Nobody;
    impl Admit<Tiny> for Nobody {
        fn admit(&self, _: &Contact<Tiny>) -> bool {
            false
        }
    }
    let mut world = World::filtered(quiet(), Nobody);
    world.populate([200]);
    world.bootstrap([200]);
    world.run(secs(30));
    let report = world.bootstrapped().2.unwrap();
    assert_eq!((report.peers, report.alone), (0, false));
}

#[test]
fn seeds_are_asked_in_parallel_and_the_mute_are_not_waited_for() {
    let mut world = World::new(quiet());
    world.populate([200, 100]);
    let options = BootstrapOptions { parallel: 3, quick_connect_only: true, ..Default::default() };
    world.routing.bootstrap(world.now, contacts([1, 2, 200, 100]), Vec::new(), options);
    world.drain();
    assert_eq!(world.checked(), [1, 2, 200]);
    assert!(world.checks.iter().all(|(.., timeout)| *timeout == secs(10)));
    world.run(secs(30));
    let (after, _, result) = world.bootstrapped();
    assert_eq!(after, 1, "one second after the first answer");
    let report = result.unwrap();
    assert_eq!((report.peers, report.lookups), (2, 0), "nothing follows a quick connect");
    assert_eq!(report.tried[0], Tried { peer: 1, outcome: Err(Failure::Timeout) });
}

#[test]
fn mute_seeds_do_not_hold_up_the_others() {
    let mut world = World::new(quiet());
    world.populate([200, 100, 50]);
    let options = BootstrapOptions { quick_connect_only: true, ..Default::default() };
    world.routing.bootstrap(world.now, contacts((1..=20).chain([200, 100, 50])), Vec::new(), options);
    world.run(secs(30));
    let asked: Vec<u64> =
        world.checks.iter().map(|(_, at, _)| at.since(Mono(secs(1000))).as_secs()).collect();
    assert_eq!(asked, [[0; 8], [1; 8]].concat().into_iter().chain([2; 7]).collect::<Vec<_>>());
    assert_eq!(world.bootstrapped().2.unwrap().took, Duration::from_millis(2100));
}

#[test]
fn as_many_answers_as_the_resiliency_asks_for_end_the_connecting() {
    let mut world = World::new(quiet());
    world.populate([200, 100, 50]);
    let options = BootstrapOptions { quick_connect_only: true, ..Default::default() };
    world.routing.bootstrap(world.now, contacts([1, 200, 100, 50]), Vec::new(), options);
    world.run(secs(30));
    assert_eq!(world.bootstrapped().2.unwrap().took, Duration::from_millis(100));
}

#[test]
fn table_peers_are_verified_in_three_seconds_and_the_mute_leave() {
    let mut world = World::new(quiet());
    world.insert([64, 65, 66]);
    world.populate([200, 64]);
    world.now = world.now.after(secs(10));
    world.bootstrap([200]);
    world.run(secs(30));
    let verified: Vec<_> =
        world.checks.iter().filter(|(.., timeout)| *timeout == secs(3)).map(|(peer, ..)| *peer).collect();
    assert_eq!(verified, [64, 65, 66], "the seed was verified by answering");
    let report = world.bootstrapped().2.unwrap();
    assert_eq!((report.verified, report.evicted), (1, 2));
    assert!(!world.table().contains(&65) && !world.table().contains(&66));
}

#[test]
fn the_verification_ends_at_its_limit() {
    let mut world = World::new(Config { max_checks: 1, ..quiet() });
    world.insert(64..84);
    world.populate([200]);
    world.now = world.now.after(secs(10));
    world.bootstrap([200]);
    world.run(secs(60));
    let (after, _, result) = world.bootstrapped();
    assert!((25..=40).contains(&after), "{after}");
    let report = result.unwrap();
    assert!((4..=6).contains(&report.evicted), "one at a time, fifteen seconds, {} left", report.evicted);
}

#[test]
fn discovery_looks_up_the_own_key_then_others_until_enough_are_known() {
    let mut world = World::new(quiet());
    world.populate([200, 1, 2, 3, 130, 131, 132]);
    world.bootstrap([200]);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0], "1, 2, 3 with the first, the other half with the second");
    let report = world.bootstrapped().2.unwrap();
    assert!(report.peers >= 6, "{}", report.peers);
    assert_eq!(report.lookups, 2);
}

#[test]
fn discovery_gives_up_after_three_rounds() {
    let mut world = World::new(quiet());
    world.populate([200]);
    world.bootstrap([200]);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1]);
}

#[test]
fn a_lookup_that_takes_long_is_not_waited_for_when_enough_peers_are_known() {
    let many = [200, 1, 2, 3, 130, 131];
    for (seeds, ended) in [(&many[..], 3), (&many[..5], 15)] {
        let mut world = World::new(quiet());
        world.populate(seeds.iter().copied());
        world.lookup_time = secs(40);
        world.bootstrap(seeds.iter().copied());
        world.run(secs(30));
        let (after, _, result) = world.bootstrapped();
        assert_eq!(after, ended, "{seeds:?}");
        assert_eq!((result.unwrap().peers, world.prefixes()), (seeds.len(), vec![8]));
    }
}

#[test]
fn the_fallback_is_asked_when_too_few_were_found() {
    let mut world = World::new(quiet());
    world.populate([200, 100, 101]);
    world.routing.bootstrap(world.now, contacts([1]), contacts([1, 2, 200]), BootstrapOptions::default());
    world.run(secs(40));
    let (after, _, result) = world.bootstrapped();
    let report = result.unwrap();
    assert!(after <= 20, "{after}");
    assert!(report.recovered && report.peers == 3, "{report:?}");
    let tried: Vec<_> = report.tried.iter().map(|tried| (tried.peer, tried.outcome.is_ok())).collect();
    assert_eq!(tried, [(1, false), (2, false), (200, true)]);
}

#[test]
fn without_seeds_the_fallback_is_asked_at_once() {
    let mut world = World::new(quiet());
    world.populate([200]);
    let options = BootstrapOptions { quick_connect_only: true, ..Default::default() };
    world.routing.bootstrap(world.now, Vec::new(), contacts([200]), options);
    world.run(secs(40));
    let report = world.bootstrapped().2.unwrap();
    assert_eq!((report.alone, report.peers), (false, 1));
}

#[test]
fn when_nobody_answers_the_error_says_who_was_tried() {
    let mut world = World::new(quiet());
    let seeds = 1..=40;
    let id = world.bootstrap(seeds.clone());
    world.run(secs(60));
    let (after, told, result) = world.bootstrapped();
    assert_eq!((after, told), (14, id), "eight a second, the last wait ten");
    let failed = result.unwrap_err();
    assert_eq!(failed.tried.len(), 40);
    assert!(failed.tried.iter().zip(seeds).all(|(tried, seed)| tried.peer == seed && tried.outcome.is_err()));
    assert_eq!(failed.kind(), dht_core::ErrorKind::Bootstrap);
    let text = failed.to_string();
    assert!(
        text.starts_with("none of 40 bootstrap peers answered within 14s: 1: no answer in time; 2:"),
        "{text}"
    );
}

#[test]
fn a_table_whose_peers_are_all_mute_is_a_failure_that_names_them() {
    let mut world = World::new(quiet());
    world.insert([64]);
    world.now = world.now.after(secs(10));
    world.bootstrap([]);
    world.run(secs(40));
    let failed = world.bootstrapped().2.unwrap_err();
    assert_eq!(failed.tried, [Tried { peer: 64, outcome: Err(Failure::Timeout) }]);
}

#[test]
fn bootstraps_end_within_their_limit_although_nothing_is_reported() {
    let mut world = World::new(quiet());
    world.insert([64]);
    world.now = world.now.after(secs(10));
    world.silent = true;
    world.bootstrap([200]);
    world.run(secs(40));
    assert!(world.bootstrapped().0 <= 40);
    assert!(!world.routing.health().bootstrapping);
}

#[test]
fn a_refresh_of_all_buckets_follows_and_then_the_periodic_one() {
    let mut world = World::new(Config { low_water: 0, ..Config::default() });
    world.populate([200]);
    let options = BootstrapOptions { periodic_refresh_interval: Some(secs(60)), ..Default::default() };
    world.routing.bootstrap(world.now, contacts([200]), Vec::new(), options);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1, 8, 0]);
    world.run(secs(60));
    assert_eq!(world.prefixes(), [8, 0, 1, 8, 0, 8], "the only peer was met by the lookup of the own key");
    assert_eq!(world.routing.config().refresh_interval, secs(60));
}

#[test]
fn two_bootstraps_at_a_time_are_both_told() {
    let mut world = World::new(quiet());
    world.populate([200]);
    let ids = [world.bootstrap([200]), world.bootstrap([200, 1])];
    world.run(secs(60));
    let told: BTreeSet<_> = world
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Bootstrapped { id, result: Ok(_) } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(told, BTreeSet::from(ids));
    assert_eq!(
        world.checked().iter().filter(|peer| **peer == 200).count(),
        1,
        "one check at a time for both"
    );
}

#[test]
fn a_lookup_that_outlives_its_phase_does_not_count_for_a_later_one() {
    let mut world = World::new(Config { resiliency: 2, ..quiet() });
    world.populate([200, 201]);
    let ms = Duration::from_millis;
    let options = BootstrapOptions { settle: ms(0), discover_limit: ms(150), ..Default::default() };
    world.routing.bootstrap(world.now, contacts([200]), contacts([201]), options);
    world.run(secs(5));
    let times: Vec<_> = world.lookups.iter().map(|(_, at)| at.since(Mono(secs(1000)))).collect();
    assert_eq!(times, [ms(100), ms(350)], "the first answers at 400 and starts nothing");
}
