//! The iterator alone, fed with outcomes (E1, E2, E3, and the bound on what a query remembers).

use dht_core::{Failure, Key, testing::Tiny};
use proptest::{collection, prelude::*};

use super::*;

const RULES: Rules = Rules { k: 4, alpha: 4, approach: 2, beta: 2, retries: 0, tickets: false, max: 16 };
const NOW: Mono = Mono(std::time::Duration::ZERO);

fn lookup(rules: Rules, peers: impl IntoIterator<Item = u8>) -> Lookup<Tiny> {
    let mut lookup = Lookup::new(Key([0]), rules);
    hear(&mut lookup, peers);
    lookup
}

fn hear(lookup: &mut Lookup<Tiny>, peers: impl IntoIterator<Item = u8>) {
    for peer in peers {
        lookup.hear(lookup.distance(&peer), Contact::new(peer, 1), 1);
    }
}

/// Asks as long as it wants to; whom.
fn ask(lookup: &mut Lookup<Tiny>) -> Vec<u8> {
    let mut asked = Vec::new();
    while let Next::Ask(at) = lookup.next(NOW, Wants::default()) {
        asked.push(lookup.candidate(at).contact.peer);
        lookup.asked(at);
    }
    asked
}

fn state(lookup: &Lookup<Tiny>, peer: u8) -> State {
    lookup.get(&peer).expect("heard of").state
}

#[test]
fn peers_go_from_heard_over_waiting_to_queried_or_unreachable() {
    let mut lookup = lookup(RULES, [8, 4]);
    assert_eq!(state(&lookup, 4), State::Heard(NOW));
    assert_eq!(ask(&mut lookup), [4, 8]);
    assert_eq!(state(&lookup, 4), State::Waiting);
    assert!(lookup.answered(&4, None));
    lookup.failed(&8, Failure::Unreachable);
    assert_eq!(state(&lookup, 4), State::Queried);
    assert_eq!(state(&lookup, 8), State::Unreachable(Failure::Unreachable));
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Done);
    // What comes twice or unasked changes nothing.
    assert!(!lookup.answered(&4, None) && !lookup.answered(&99, None));
    lookup.failed(&4, Failure::Timeout);
    assert_eq!(state(&lookup, 4), State::Queried);
}

#[test]
fn the_window_slides_to_the_closest_and_opens_as_answers_stay() {
    let mut lookup = lookup(RULES, [100, 101, 102, 103, 104]);
    assert_eq!(ask(&mut lookup), [100, 101]);
    hear(&mut lookup, [50, 51, 52, 53, 54]);
    assert!(lookup.answered(&101, None));
    // 101 is no longer among the four nearest: the answer led closer, the window stays as it is.
    assert_eq!(ask(&mut lookup), [50]);
    assert!(lookup.answered(&50, None));
    // 50 still is: one of two, so the window is three.
    assert_eq!(ask(&mut lookup), [51, 52]);
    assert!(lookup.answered(&51, None));
    // Four would be allowed, but only 53 is left of those that matter; 54 never was.
    assert_eq!(ask(&mut lookup), [53]);
    for peer in [52, 53] {
        assert!(lookup.answered(&peer, None));
    }
    // 100 still runs and is not awaited.
    assert_eq!((state(&lookup, 100), lookup.next(NOW, Wants::default())), (State::Waiting, Next::Done));
}

#[test]
fn overdue_peers_give_their_place_away_but_hold_the_end_until_given_up() {
    let mut lookup = lookup(RULES, [1, 2, 3, 4, 5, 6]);
    assert_eq!(ask(&mut lookup), [1, 2]);
    assert!(lookup.overdue(&1) && !lookup.overdue(&1));
    // Both its place in the window and, as the window opens by one, another.
    assert_eq!(ask(&mut lookup), [3, 4]);
    for peer in [2, 3, 4] {
        assert!(lookup.answered(&peer, None));
    }
    assert_eq!(ask(&mut lookup), [5]);
    assert!(lookup.answered(&5, None));
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Wait(None));
    lookup.given_up(&1);
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Done);
    // It may answer still.
    assert!(lookup.answered(&1, None));
    assert_eq!(state(&lookup, 1), State::Queried);
}

#[test]
fn with_too_few_answers_the_late_are_waited_for_and_the_failed_revived() {
    let mut lookup = lookup(Rules { retries: 1, ..RULES }, [1, 2, 3]);
    ask(&mut lookup);
    lookup.failed(&1, Failure::Unreachable);
    lookup.failed(&2, Failure::Malformed);
    lookup.given_up(&3);
    ask(&mut lookup);
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Wait(None));
    lookup.given_up(&3);
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Starved);
    let later = Mono(std::time::Duration::from_secs(1));
    lookup.revive(|_| later);
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Wait(Some(later)));
    assert_eq!(state(&lookup, 2), State::Unreachable(Failure::Malformed));
    // The answer to the first attempt of 3 arrives before its second.
    assert!(lookup.answered(&3, None));
    assert!(matches!(lookup.next(later, Wants::default()), Next::Ask(0)));
    lookup.asked(0);
    lookup.failed(&1, Failure::Unreachable);
    assert_eq!(lookup.next(later, Wants::default()), Next::Done);
}

#[test]
fn the_window_is_no_wider_than_answers_can_be_of_use() {
    let mut lookup = lookup(Rules { approach: 1, ..RULES }, [1, 2, 3, 4]);
    assert_eq!(ask(&mut lookup), [1]);
    assert!(lookup.answered(&1, None));
    // Half open, the window is two; but one answer more is all that is wanted.
    assert!(matches!(lookup.next(NOW, Wants { limit: 1, ..Wants::default() }), Next::Ask(1)));
    lookup.asked(1);
    assert_eq!(lookup.next(NOW, Wants { limit: 1, ..Wants::default() }), Next::Wait(None));
    assert!(matches!(lookup.next(NOW, Wants { limit: 2, ..Wants::default() }), Next::Ask(2)));
}

/// Share of the silent when so many of 100 requests were silent lately.
fn silence(of_100: usize) -> Share {
    let mut rtt = crate::rtt::RttEstimate::default();
    (0..400).for_each(|i| rtt.silent(i * of_100 / 100 != (i + 1) * of_100 / 100));
    rtt.silence()
}

#[test]
fn a_fetch_ends_with_k_answers_though_nearer_peers_are_overdue() {
    let hasty = Wants { hasty: true, ..Wants::default() };
    let mut lookup = lookup(RULES, [1, 2, 3, 4, 5]);
    ask(&mut lookup);
    lookup.overdue(&1);
    ask(&mut lookup);
    for peer in [2, 3, 4] {
        assert!(lookup.answered(&peer, None));
        ask(&mut lookup);
    }
    // With three it does wait, and for whoever is not overdue yet.
    assert_eq!(lookup.next(NOW, hasty), Next::Wait(None));
    assert!(lookup.answered(&5, None));
    assert_eq!(lookup.next(NOW, hasty), Next::Done);
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Wait(None));
}

#[test]
fn where_some_are_silent_more_are_asked_from_the_outset() {
    let wants = Wants { silence: silence(50), ..Wants::default() };
    let mut lookup = lookup(Rules { alpha: 8, ..RULES }, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let ask = |lookup: &mut Lookup<Tiny>| {
        while let Next::Ask(at) = lookup.next(NOW, wants) {
            lookup.asked(at);
        }
    };
    ask(&mut lookup);
    // Twice the narrow window.
    assert_eq!(lookup.candidates().iter().filter(|c| c.state == State::Waiting).count(), 4);
    for peer in [1, 2] {
        assert!(lookup.answered(&peer, None));
        ask(&mut lookup);
    }
    // Two more answers are wanted: 5 and 6 are asked although 3 and 4 may answer.
    assert_eq!([5, 6, 7].map(|peer| state(&lookup, peer) == State::Waiting), [true, true, false]);
    for peer in [3, 4] {
        assert!(lookup.answered(&peer, None));
    }
    // When they do, the others are not awaited.
    assert_eq!(lookup.next(NOW, wants), Next::Done);
}

#[test]
fn the_lost_are_probed_in_turn_and_forgiven_all_at_once() {
    let mut lookup = lookup(RULES, [1, 2, 3, 4]);
    for peer in ask(&mut lookup) {
        lookup.failed(&peer, Failure::Timeout);
    }
    assert!(!Lookup::<Tiny>::new(Key([0]), RULES).probe(NOW));
    for peer in ask(&mut lookup) {
        lookup.failed(&peer, Failure::Timeout);
    }
    assert_eq!(lookup.next(NOW, Wants::default()), Next::Done);
    for probed in [[1, 2], [3, 4], [1, 2]] {
        assert!(lookup.probe(NOW));
        assert_eq!(ask(&mut lookup), probed);
        probed.iter().for_each(|peer| lookup.failed(peer, Failure::Timeout));
    }
    assert!(lookup.forgive());
    assert_eq!(ask(&mut lookup), [1, 2, 3, 4]);
}

proptest! {
    #[test]
    fn of_those_heard_the_nearest_are_remembered(peers in collection::vec(any::<u8>(), 0..200)) {
        let lookup = lookup(RULES, peers.clone());
        let kept: Vec<u8> = lookup.candidates().iter().map(|c| c.contact.peer).collect();
        let mut nearest = peers;
        nearest.sort_unstable();
        nearest.dedup();
        nearest.truncate(RULES.max);
        prop_assert_eq!(kept, nearest);
    }

    /// Whatever happens in whatever order: the bounds hold, the order holds, nobody is asked twice, and it ends.
    #[test]
    fn any_sequence_of_outcomes_leads_to_an_end(
        seeds in collection::vec(any::<u8>(), 1..40),
        events in collection::vec((any::<usize>(), 0..4u8, collection::vec(any::<u8>(), 0..30)), 0..60),
    ) {
        let mut lookup = lookup(RULES, seeds);
        let mut running = Vec::new();
        let mut ever = std::collections::BTreeSet::new();
        let mut events = events.into_iter();
        loop {
            for peer in ask(&mut lookup) {
                prop_assert!(ever.insert(peer), "{peer} asked twice");
                running.push(peer);
            }
            let waiting = lookup.candidates().iter().filter(|c| c.state == State::Waiting).count();
            prop_assert!(waiting <= RULES.alpha);
            prop_assert!(lookup.candidates().len() <= RULES.max);
            prop_assert!(lookup.candidates().iter().is_sorted_by(|one, next| one.distance < next.distance));
            if lookup.next(NOW, Wants::default()) == Next::Done {
                break;
            }
            prop_assert!(!running.is_empty(), "it waits for nobody");
            let (which, what, named) = events.next().unwrap_or((0, 1, vec![]));
            let at = which % running.len();
            match what {
                0 => {
                    prop_assert!(lookup.answered(&running.remove(at), None));
                    hear(&mut lookup, named);
                }
                1 => lookup.failed(&running.remove(at), Failure::Reset),
                2 => drop(lookup.overdue(&running[at])),
                _ => lookup.given_up(&running[at]),
            }
        }
        // The end is the end of rule E2: the nearest of use have answered, or there is nobody left.
        let of_use = |c: &&Candidate<Tiny>| !matches!(c.state, State::Unreachable(_) | State::GivenUp);
        let top: Vec<State> = lookup.candidates().iter().filter(of_use).take(RULES.k).map(|c| c.state).collect();
        prop_assert!(top.iter().all(|state| *state == State::Queried), "{top:?}");
    }
}
