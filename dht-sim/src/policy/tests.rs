//! The rules in a key space of eight bits: distances are bytes, and whom a peer names is written down.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    dice::hash,
    policy::{Disjoint, Go, Next, Rust, Walk},
};

/// Asks until it waits or is over; whom, and what it said then.
fn asks(walk: &mut dyn Walk<u8>) -> (Vec<u8>, Next<u8>) {
    let mut asked = Vec::new();
    loop {
        match walk.next() {
            Next::Ask(peer) => asked.push(peer),
            next => return (asked, next),
        }
    }
}

fn seeds() -> Vec<u8> {
    (1..=20).map(|i| i * 10).collect()
}

#[test]
fn go_walks_until_three_have_answered_then_asks_the_rest_of_its_twenty() {
    let mut go = Go::new(20, &seeds());
    assert_eq!(asks(&mut go), ((1..=10).map(|i| i * 10).collect(), Next::Wait));
    go.answered(10, &[5, 10]);
    assert_eq!(asks(&mut go), (vec![5], Next::Wait), "the nearest heard of takes the free place");
    go.failed(20);
    assert_eq!(asks(&mut go).0, [110]);
    go.answered(5, &[]);
    assert_eq!(asks(&mut go).0, [120]);
    go.answered(30, &[]);
    assert_eq!(asks(&mut go), (vec![], Next::Wait), "5, 10 and 30 have: what is under way is waited for");
    for peer in [40, 50, 60, 70, 80, 90, 100, 110] {
        go.answered(peer, &[1]);
    }
    assert_eq!(asks(&mut go), (vec![], Next::Wait));
    go.failed(120);
    let rest: Vec<u8> = (4..=20).map(|i| i * 10).collect();
    assert_eq!(asks(&mut go), (rest.clone(), Next::Wait), "all of them again, and 120 although it failed");
    rest.iter().for_each(|peer| go.answered(*peer, &[2]));
    assert_eq!(go.next(), Next::Done);
    let known: Vec<u8> = [5, 10].into_iter().chain((3..=20).map(|i| i * 10)).collect();
    assert_eq!(go.closest(), known, "without 20, which failed, and without whom the follow-up named");
}

#[test]
fn go_looks_at_forty_entries_of_an_answer() {
    let mut go = Go::new(20, &[200]);
    assert_eq!(asks(&mut go).0, [200]);
    go.answered(200, &(100..=150).rev().collect::<Vec<_>>());
    assert_eq!(asks(&mut go).0, (111..=120).collect::<Vec<_>>(), "110 and nearer were too far down the list");
}

#[test]
fn rust_keeps_three_in_flight_and_twenty_when_nobody_brings_it_nearer() {
    let mut rust = Rust::new(20, &seeds());
    assert_eq!(asks(&mut rust), (vec![10, 20, 30], Next::Wait));
    rust.answered(20, &[15]);
    assert_eq!(asks(&mut rust).0, [15]);
    rust.answered(10, &[]);
    rust.answered(15, &[220]);
    rust.failed(30);
    assert_eq!(asks(&mut rust).0, [40, 50, 60], "220 is not among the twenty nearest");
    rust.answered(40, &[]);
    let burst: Vec<u8> = (7..=20).map(|i| i * 10).chain([220]).collect();
    assert_eq!(asks(&mut rust).0, burst, "three answers in a row brought nobody");
    for peer in [50, 60].into_iter().chain(burst) {
        rust.answered(peer, &[]);
    }
    assert_eq!(rust.next(), Next::Done);
    let known: Vec<u8> = [10, 15, 20].into_iter().chain((4..=20).map(|i| i * 10)).collect();
    assert_eq!(rust.closest(), known, "the twenty nearest that answered");
}

#[test]
fn rust_is_over_when_the_k_nearest_have_answered_and_waits_for_nobody_behind_them() {
    let mut rust = Rust::new(2, &[1, 2]);
    assert_eq!(asks(&mut rust).0, [1, 2]);
    rust.answered(2, &[3]);
    assert_eq!(asks(&mut rust), (vec![3], Next::Wait), "1 is awaited");
    rust.answered(1, &[]);
    assert_eq!(rust.next(), Next::Done);
    rust.answered(3, &[0]);
    assert_eq!((rust.next(), rust.closest()), (Next::Done, vec![1, 2]));
}

#[test]
fn a_liar_leads_one_path_astray() {
    let lies = [1, 2, 3];
    let mut plain = Rust::new(3, &[60, 70, 80]);
    let mut paths = Disjoint::new(3, &[60, 70, 80]);
    // Peer 60 names its friends, who name nobody else; the honest name the honest.
    let answer = |peer: u8| match peer {
        60 => lies.to_vec(),
        1..=3 => vec![],
        _ => vec![10, 11, 12],
    };
    for walk in [&mut plain as &mut dyn Walk<u8>, &mut paths] {
        let mut asked = Vec::new();
        loop {
            let (now, next) = asks(walk);
            if next == Next::Done {
                break;
            }
            now.iter().for_each(|peer| walk.answered(*peer, &answer(*peer)));
            asked.extend(now);
        }
        let once: BTreeSet<u8> = asked.iter().copied().collect();
        assert_eq!(once.len(), asked.len(), "nobody is asked twice");
    }
    assert_eq!(plain.closest(), lies);
    assert_eq!(paths.closest(), [1, 2, 3, 10, 11, 12]);
}

fn run(walk: &mut dyn Walk<u8>, nodes: &[u8], seed: u64, mute: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut flying) = (Vec::new(), Vec::new());
    for turn in 0..10_000 {
        match walk.next() {
            Next::Ask(peer) => {
                asked.push(peer);
                flying.push(peer);
            }
            Next::Wait => {
                assert!(!flying.is_empty(), "it waits for nobody");
                let peer = flying.remove(hash(seed, turn, 0) as usize % flying.len());
                if hash(seed, peer.into(), 1) % 100 < mute {
                    walk.failed(peer);
                } else {
                    let knows = |other: &&u8| hash(seed, peer.into(), (**other).into()) < u64::MAX / 4;
                    walk.answered(peer, &nodes.iter().filter(knows).copied().collect::<Vec<_>>());
                }
            }
            Next::Done => return (asked, walk.closest()),
        }
    }
    panic!("it does not end");
}

proptest! {
    #[test]
    fn every_lookup_ends_and_names_whom_it_heard_of(
        nodes in prop::collection::btree_set(any::<u8>(), 1..200),
        k in 1usize..21,
        seed: u64,
        mute in 0u64..100,
    ) {
        let nodes: Vec<u8> = nodes.into_iter().collect();
        let some = &nodes[nodes.len() / 2..];
        let walks: [(Box<dyn Walk<u8>>, usize); 3] = [
            (Box::new(Go::new(k, some)), 2),
            (Box::new(Rust::new(k, some)), 1),
            (Box::new(Disjoint::new(k, some)), 1),
        ];
        for (mut walk, times) in walks {
            let (asked, closest) = run(&mut *walk, &nodes, seed, mute);
            prop_assert!(nodes.iter().all(|node| asked.iter().filter(|peer| *peer == node).count() <= times));
            prop_assert!(closest.is_sorted() && closest.iter().all(|peer| nodes.contains(peer)));
            prop_assert!(asked.contains(&some[0]));
        }
    }
}
