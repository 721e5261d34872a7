use super::*;

#[test]
fn a_network_that_fell_apart_is_found_again() {
    let far: [u8; 6] = [200, 201, 202, 203, 204, 205];
    let mut world = World::new(quiet());
    world.populate([1, 2, 3]);
    world.insert([1, 2, 3]);
    world.insert(far);
    for peer in far {
        world.routing.failed(world.now, &peer, Failure::Timeout);
    }
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert_eq!(world.routing.len(), 3, "they are still away, and few of them were asked");
    assert_eq!(world.checks.iter().filter(|(peer, ..)| *peer >= 200).count(), 3);
    world.populate(far);
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert_eq!(world.routing.len(), 9, "some answered, so all were asked");
    assert_eq!(world.refreshed().len(), 2 + 1, "what is found again is looked around in at once");
}

#[test]
fn one_lost_peer_that_is_back_is_no_network() {
    let mut world = World::new(quiet());
    world.populate([1, 2, 200]);
    world.insert([1, 2, 200, 201, 202]);
    for peer in [200, 201, 202] {
        world.routing.failed(world.now, &peer, Failure::Timeout);
    }
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert!(world.routing.get(&200).is_some());
    assert_eq!(world.refreshed().len(), 1);
}

#[test]
fn the_only_lost_peer_that_is_back_is_no_network_either() {
    let mut world = World::new(quiet());
    world.populate([1, 2, 200]);
    world.insert([1, 2, 200]);
    world.routing.failed(world.now, &200, Failure::Timeout);
    world.routing.refresh(world.now, false);
    world.run(secs(60));
    assert!(world.routing.get(&200).is_some());
    assert_eq!(world.refreshed().len(), 1);
}

#[test]
fn peers_that_come_and_go_make_one_refresh_in_an_interval() {
    let mut world = World::new(quiet());
    world.populate([1, 2, 200, 201, 202]);
    for round in 0..3 {
        world.insert([1, 2, 200, 201, 202]);
        for peer in [200, 201, 202] {
            world.routing.failed(world.now, &peer, Failure::Reset);
        }
        world.routing.refresh(world.now, false);
        world.run(secs(60));
        assert_eq!(world.refreshed().len(), if round == 0 { 2 } else { 1 }, "{round}");
    }
}

#[test]
fn a_refresh_looks_for_us_through_a_bootstrap_contact_that_is_not_in_the_table() {
    let mut world = World::new(quiet());
    world.populate([128, 64]);
    world.insert([128, 64]);
    world.routing.remember(contacts([LOCAL, 128]));
    world.routing.refresh(world.now, true);
    world.run(secs(60));
    assert!(world.outside.is_empty(), "neither through us nor through who is in the table");
    world.routing.remember(contacts([32]));
    world.routing.refresh(world.now, true);
    world.run(secs(60));
    assert_eq!(world.outside, [32]);
    assert!(world.checked().is_empty(), "that is all");
    assert_eq!(world.refreshed().len(), 2);
}

#[test]
fn one_bootstrap_contact_is_looked_through_at_a_time_and_each_has_its_turn() {
    let mut world = World::new(quiet());
    world.populate([128]);
    world.insert([128]);
    world.routing.remember(contacts([32, 33, 34]));
    world.lookup_time = secs(1);
    for before in 0..30 {
        world.routing.refresh(world.now, true);
        world.run(secs(3));
        assert_eq!(world.refreshed().len(), 1);
        world.routing.refresh(world.now, true);
        world.run(secs(60));
        assert_eq!(world.refreshed().len(), 1);
        assert_eq!(world.outside.len(), before + 1, "the first was still under way");
    }
    assert_eq!(world.outside.iter().collect::<BTreeSet<_>>().len(), 3);
}
