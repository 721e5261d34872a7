use super::*;
use crate::Removal;

#[test]
fn the_own_key_comes_first_then_each_bucket() {
    let mut world = World::new(quiet());
    world.populate([128, 64, 32]);
    world.insert([128, 64, 32]);
    let id = world.routing.refresh(world.now, true);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1, 2], "no deeper than somebody is known");
    let events = world.take_events();
    let refreshed = [0, 1, 2].map(|prefix| Event::BucketRefreshed { prefix });
    assert!(refreshed.iter().all(|event| events.contains(event)));
    let Some(Event::Refreshed { id: told, report }) = events.last() else { panic!("{events:?}") };
    assert_eq!(*told, id);
    assert_eq!((report.lookups, report.fruitless, report.checked, report.peers), (4, 0, 0, 3));
    assert_eq!(report.took, Duration::from_millis(1200));
}

#[test]
fn only_idle_buckets_are_refreshed_unless_forced() {
    let mut world = World::new(Config { k: 2, ..quiet() });
    world.populate([128, 64, 32, 16, 8]);
    world.insert([128, 64, 32, 16, 8]);
    world.routing.refresh(world.now, true);
    world.run(secs(300));
    world.routing.note_lookup(world.now, &dht_core::Key([0b0100_0001]));
    world.lookups.clear();
    world.routing.refresh(world.now, false);
    world.run(secs(1));
    assert_eq!(world.prefixes(), [8], "none was idle for ten minutes");
    world.run(secs(301));
    world.lookups.clear();
    world.routing.refresh(world.now, false);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0, 2, 3], "prefix 1 was looked up by somebody else");
    world.lookups.clear();
    world.routing.refresh(world.now, true);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0, 1, 2, 3, 4]);
}

#[test]
fn buckets_whose_peers_the_lookup_of_the_own_key_met_are_not_looked_up() {
    let mut world = World::new(Config { k: 3, stale_after: Some(secs(3600)), ..quiet() });
    let peers = [128, 129, 64, 32, 16];
    world.populate(peers);
    world.insert(peers);
    world.routing.refresh(world.now, false);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0, 1], "16 and 32 are fewer than three, 64 is the third");
    world.lookups.clear();
    world.routing.refresh(world.now, true);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0, 1, 2, 3], "all of them when forced");
    world.run(secs(600));
    world.lookups.clear();
    world.peers = [(128, secs(1)), (129, secs(1))].into();
    world.routing.refresh(world.now, false);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0, 1, 2, 3], "two answers tell nothing about three neighbours");
}

#[test]
fn full_buckets_are_not_looked_up_since_their_silent_peers_are_checked() {
    let mut world = World::new(Config { k: 2, ..quiet() });
    let peers = [128, 129, 64, 32, 33];
    world.populate(peers);
    world.insert(peers);
    world.now = world.now.after(secs(600));
    world.routing.refresh(world.now, false);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 1], "prefix 1 has room");
    assert!(world.checked().is_empty());
    world.now = world.now.after(secs(600));
    world.routing.refresh(world.now, false);
    world.run(secs(5));
    assert_eq!(
        world.checked(),
        [129, 128],
        "of them nothing was heard for two intervals, the others were met"
    );
}

#[test]
fn a_gap_bounds_the_prefixes_and_completion_is_told_nevertheless() {
    let mut world = World::new(quiet());
    world.populate([128, 1]);
    world.insert([128, 1]);
    let id = world.routing.refresh(world.now, true);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1, 2, 3, 4], "prefix 1 stayed empty: up to 2 (1 + 1)");
    assert_eq!(world.refreshed()[0].0, id);
}

#[test]
fn a_gap_at_once_leaves_three_prefixes() {
    let mut world = World::new(quiet());
    world.populate([1]);
    world.insert([1]);
    world.routing.refresh(world.now, true);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1, 2]);
}

#[test]
fn no_prefix_beyond_the_maximum_is_refreshed() {
    let mut world = World::new(Config { max_refresh_prefix: 1, ..quiet() });
    let peers = [128, 64, 32, 16, 8];
    world.populate(peers);
    world.insert(peers);
    world.routing.refresh(world.now, true);
    world.run(secs(30));
    assert_eq!(world.prefixes(), [8, 0, 1]);
}

#[test]
fn a_bucket_that_fills_during_the_refresh_is_no_gap() {
    let mut world = World::new(quiet());
    world.populate([128, 64, 32, 16, 1]);
    world.insert([1]);
    world.routing.refresh(world.now, true);
    world.run(secs(30));
    assert_eq!(world.prefixes()[..5], [8, 0, 1, 2, 3]);
    assert_eq!(world.routing.len(), 5);
}

#[test]
fn an_empty_table_is_refreshed_at_once() {
    let mut world = World::new(quiet());
    let id = world.routing.refresh(world.now, false);
    world.drain();
    assert_eq!(world.refreshed(), [(id, RefreshReport::default())]);
}

#[test]
fn silent_peers_are_checked_first_and_the_mute_leave() {
    let mut world = World::new(Config { stale_after: Some(secs(43 * 60)), ..quiet() });
    world.insert([128, 129, 64]);
    world.populate([64]);
    world.now = world.now.after(secs(40 * 60));
    world.routing.alive(world.now, &64, secs(1));
    world.routing.refresh(world.now, true);
    world.run(secs(1));
    assert_eq!(world.checked(), [] as [u8; 0], "not silent for long enough");
    world.populate([128]);
    world.now = world.now.after(secs(4 * 60));
    world.lookups.clear();
    world.take_events();
    world.routing.refresh(world.now, true);
    world.run(secs(9));
    assert_eq!(world.checked(), [129, 128]);
    assert!(world.lookups.is_empty(), "lookups wait for the checks");
    world.run(secs(10));
    let events = world.take_events();
    assert_eq!(events[0], Event::Removed { peer: 129, cause: Removal::Failed(Failure::Timeout) });
    let Some(Event::Refreshed { report, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((report.checked, report.evicted, report.peers), (2, 1, 2));
}

#[test]
fn silent_peers_are_checked_no_more_than_the_bound_at_a_time() {
    let mut world = World::new(Config { max_checks: 2, stale_after: Some(secs(60)), ..quiet() });
    world.insert(128..140);
    world.populate(128..140);
    world.now = world.now.after(secs(60));
    world.routing.refresh(world.now, false);
    world.drain();
    assert_eq!(world.checks.len(), 2);
    world.run(secs(30));
    assert_eq!(world.checks.len(), 12);
    assert_eq!(world.refreshed()[0].1.checked, 12);
}

#[test]
fn a_forced_refresh_runs_after_a_periodic_one_and_everybody_is_told_once() {
    let mut world = World::new(quiet());
    world.populate([128]);
    world.insert([128]);
    world.routing.refresh(world.now, true);
    world.run(secs(5));
    world.refreshed();
    world.lookups.clear();
    let periodic = world.routing.refresh(world.now, false);
    let joined = world.routing.refresh(world.now, false);
    let forced = [world.routing.refresh(world.now, true), world.routing.refresh(world.now, true)];
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 8, 0]);
    let told: Vec<_> = world.refreshed().into_iter().map(|(id, _)| id).collect();
    assert_eq!(told, [periodic, joined, forced[0], forced[1]]);
}

#[test]
fn a_seed_that_came_back_empty_is_told_of_us() {
    let mut world = World::new(quiet());
    world.populate([1, 2, 250]);
    world.bootstrap([250]);
    world.run(secs(60));
    world.insert([1, 2]);
    world.peers.remove(&250);
    world.routing.failed(world.now, &250, Failure::Timeout);
    world.populate([250]);
    world.checks.clear();
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert!(world.checks.iter().any(|(peer, ..)| *peer == 250));
    assert!(world.routing.get(&250).is_some());
}

#[test]
fn a_refresh_ends_although_its_outcomes_are_never_reported() {
    let mut world = World::new(Config { stale_after: Some(secs(1)), ..quiet() });
    world.insert([128]);
    world.now = world.now.after(secs(10));
    world.silent = true;
    let id = world.routing.refresh(world.now, true);
    world.run(secs(16));
    assert_eq!(world.refreshed()[0].0, id, "the only peer counts as mute");
    world.insert([128]);
    let id = world.routing.refresh(world.now, true);
    world.run(secs(31));
    let (told, report) = world.refreshed()[0];
    assert_eq!((told, report.lookups, report.fruitless), (id, 2, 2));
}

#[test]
fn peers_the_filter_no_longer_admits_leave_at_the_refresh() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    struct Moody(Arc<AtomicBool>);
    impl Admit<Tiny> for Moody {
        fn admit(&self, contact: &Contact<Tiny>) -> bool {
            self.0.load(Ordering::Relaxed) || contact.peer != 128
        }
    }
    let mood = Arc::new(AtomicBool::new(true));
    let mut world = World::filtered(quiet(), Moody(mood.clone()));
    world.populate([128, 64]);
    world.insert([128, 64]);
    mood.store(false, Ordering::Relaxed);
    world.routing.refresh(world.now, true);
    world.run(secs(10));
    let events = world.take_events();
    assert!(events.contains(&Event::Removed { peer: 128, cause: Removal::Filtered }));
    assert_eq!(world.table(), BTreeSet::from([64]));
}

#[test]
fn the_table_refreshes_itself_at_the_interval_and_can_be_told_not_to() {
    let mut world = World::new(Config { low_water: 0, k: 2, ..Config::default() });
    world.populate([128, 64]);
    world.insert([128, 64]);
    assert_eq!(world.drain(), Some(Mono(secs(1600))));
    world.run(secs(605));
    assert_eq!(world.prefixes(), [8, 0]);
    world.run(secs(605));
    assert_eq!(world.prefixes(), [8, 0, 8, 0], "every bucket is idle again by then");
    assert!(world.routing.health().last_refresh.is_some());
    world.routing.set_auto_refresh(world.now, false);
    world.run(secs(3600));
    assert_eq!(world.prefixes().len(), 4);
    assert_eq!(world.drain(), None);
    world.routing.set_auto_refresh(world.now, true);
    world.run(secs(605));
    assert_eq!(world.prefixes().len(), 6);
}

#[test]
fn a_low_table_is_refreshed_sooner_and_ever_less_often() {
    let mut world = World::new(Config::default());
    world.populate([128]);
    world.heard([128]);
    world.run(secs(590));
    let own: Vec<_> = world.lookups.iter().filter(|(target, _)| *target == LOCAL).collect();
    let times: Vec<_> = own.iter().map(|(_, at)| at.since(Mono(secs(1000))).as_secs()).collect();
    assert_eq!(times, [5, 15, 36, 76, 157, 318]);
    world.populate(129..150);
    world.run(secs(600));
    assert!(world.routing.len() < 10, "lookups for other halves are not enough");
    world.heard(129..150);
    world.run(secs(20));
    world.lookups.clear();
    world.run(secs(590));
    assert!(world.lookups.len() <= 2, "a table that is full enough keeps to the interval");
}

#[test]
fn an_emptied_table_asks_for_help_and_recovers_from_the_peers_it_lost() {
    let mut world = World::new(Config::default());
    world.populate([128, 64]);
    world.insert([128, 64]);
    world.run(secs(60));
    let all = std::mem::take(&mut world.peers);
    world.routing.failed(world.now, &128, Failure::Unreachable);
    world.routing.failed(world.now, &64, Failure::Unreachable);
    world.drain();
    assert_eq!(world.take_events().last(), Some(&Event::BootstrapNeeded));
    world.checks.clear();
    world.run(secs(120));
    let times: Vec<_> = world.checks.iter().map(|(_, at, _)| at.since(Mono(secs(1060))).as_secs()).collect();
    let expected: Vec<u64> = (1..24).flat_map(|attempt| [attempt * 5; 2]).collect();
    assert_eq!(times[..expected.len()], expected, "every five seconds, however long it takes");
    assert!(world.take_events().contains(&Event::BootstrapNeeded), "each attempt that failed is told");
    world.peers = all;
    world.run(secs(120));
    assert_eq!(world.table(), BTreeSet::from([64, 128]));
}

#[test]
fn an_emptied_table_recovers_from_its_seeds() {
    let mut world = World::new(Config { max_remembered: 1, ..Config::default() });
    world.populate([128]);
    world.bootstrap([128]);
    world.run(secs(60));
    world.routing.remove(world.now, &128);
    world.run(secs(10));
    assert_eq!(world.table(), BTreeSet::from([128]));
}

#[test]
fn no_more_lost_peers_are_remembered_than_the_bound_says() {
    let mut world = World::new(Config { max_remembered: 2, ..Config::default() });
    world.insert([128, 64, 32]);
    for peer in [128, 64, 32] {
        world.routing.failed(world.now, &peer, Failure::Timeout);
    }
    world.run(secs(6));
    assert_eq!(world.checked(), [32, 64], "those lost last");
}

#[test]
fn a_bucket_counts_as_refreshed_only_if_somebody_was_found() {
    let mut world = World::new(quiet());
    world.insert([128]);
    world.routing.refresh(world.now, true);
    world.run(secs(5));
    assert_eq!(world.prefixes(), [8, 0]);
    assert!(!world.take_events().contains(&Event::BucketRefreshed { prefix: 0 }));
    assert_eq!(world.routing.statistics().buckets[0].refreshed, None);
}

/// The lookup of the own key has found many, and their checks are under way: what it has met is more than the table.
#[test]
fn a_small_table_in_a_large_network_is_looked_around_in() {
    let mut world = World::new(Config { k: 3, ..quiet() });
    world.populate(1..=250);
    world.insert([128, 64]);
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert!(world.prefixes().starts_with(&[8, 0, 1]), "{:?}", world.prefixes());
}

#[test]
fn after_a_sleep_everybody_is_checked_and_looked_for() {
    let mut world = World::new(Config { low_water: 0, ..Config::default() });
    world.populate([128, 64, 32, 2, 1]);
    world.insert([128, 64, 32, 2, 1, 7]);
    world.run(secs(30));
    for (hours, checked) in [(8, 5), (8, 0)] {
        world.checks.clear();
        world.lookups.clear();
        world.now.wall = world.now.wall + secs(hours * 3600);
        world.run(secs(60));
        let silent: BTreeSet<u8> =
            world.checked().into_iter().filter(|peer| world.table().contains(peer)).collect();
        assert_eq!(silent.len(), checked, "and not again within the interval");
        assert_eq!(world.prefixes().contains(&8), checked > 0);
    }
    assert!(!world.table().contains(&7), "who left meanwhile is found out");
}
