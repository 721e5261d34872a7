//! Whatever is thrown at a node, it comes to rest, stays within its bounds and ends every query once.

use std::{collections::BTreeMap, time::Duration};

use dht_core::{
    Contact, Failure, Now, Request, RequestId, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_protocol::{Event, Node, Output};
use dht_query::QueryOptions;
use proptest::prelude::*;

use crate::world::{at, node};

#[derive(Clone, Debug)]
enum Input {
    Closest(u8),
    FindPeer(u8),
    Fetch(u8),
    Store(u8, u8),
    Ping(u8),
    Refresh(bool),
    Bootstrap(Vec<u8>),
    Cancel(usize),
    Answer(usize, Vec<u8>, Vec<u8>),
    Fail(usize, bool),
    Stray(u64),
    Peer(u8, bool),
    Gone(u8),
    Serve(u8, u8),
    Add(u8),
    Remove(u8),
    Wait(u16),
}

fn input() -> impl Strategy<Value = Input> {
    use Input::*;
    let some = |most| proptest::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        1 => any::<u8>().prop_map(Closest),
        1 => any::<u8>().prop_map(FindPeer),
        1 => any::<u8>().prop_map(Fetch),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(key, version)| Store(key, version)),
        1 => any::<u8>().prop_map(Ping),
        1 => any::<bool>().prop_map(Refresh),
        1 => some(4).prop_map(Bootstrap),
        1 => any::<usize>().prop_map(Cancel),
        8 => (any::<usize>(), some(8), some(4)).prop_map(|(which, closer, items)| Answer(which, closer, items)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, mute)| Fail(which, mute)),
        1 => any::<u64>().prop_map(Stray),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(peer, serves)| Peer(peer, serves)),
        1 => any::<u8>().prop_map(Gone),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, target)| Serve(from, target)),
        1 => any::<u8>().prop_map(Add),
        1 => any::<u8>().prop_map(Remove),
        3 => any::<u16>().prop_map(Wait),
    ]
}

#[derive(Default)]
struct Seen {
    open: Vec<RequestId>,
    started: BTreeMap<u64, u32>,
}

fn drain(node: &mut Node<Tiny>, now: Now, seen: &mut Seen) {
    for _ in 0..200_000 {
        match node.poll_output(now) {
            Output::Send { id, to, .. } => {
                assert_ne!(to.peer, 1, "asks itself");
                seen.open.push(id);
            }
            Output::Forget(id) => seen.open.retain(|open| *open != id),
            Output::Event(Event::Finished(id, _)) => *seen.started.entry(id.0).or_default() += 1,
            Output::Event(_) | Output::Observed(_) => {}
            Output::Wait(until) => {
                assert!(until.is_none_or(|at| at > now.mono), "waits for the past");
                return;
            }
        }
    }
    panic!("the node does not come to rest");
}

fn apply(node: &mut Node<Tiny>, now: Now, seen: &mut Seen, input: Input) {
    let options = QueryOptions::default;
    let started = match input {
        Input::Closest(target) => node.closest(now, target, options()).ok(),
        Input::FindPeer(peer) => node.find_peer(now, peer, options()).ok(),
        Input::Fetch(key) => node.fetch(now, TinyQuery::Value(key), vec![], options()).ok(),
        Input::Store(key, version) => {
            node.store(now, TinyQuery::Value(key), TinyItem::value(version), options()).ok()
        }
        other => {
            act(node, now, seen, other);
            None
        }
    };
    if let Some(id) = started {
        seen.started.insert(id.0, 0);
    }
}

fn act(node: &mut Node<Tiny>, now: Now, seen: &mut Seen, input: Input) {
    match input {
        Input::Ping(peer) if peer != 1 => {
            node.ask(now, at(peer), Request::Ping, Duration::from_secs(5));
        }
        Input::Refresh(forced) => {
            node.refresh(now, forced);
        }
        Input::Bootstrap(peers) => {
            let seeds = peers.into_iter().map(at).collect();
            node.bootstrap(now, seeds, vec![], Default::default());
        }
        Input::Cancel(which) => {
            if let Some(id) = seen.started.keys().nth(which % seen.started.len().max(1)) {
                node.cancel(now, dht_query::QueryId(*id));
            }
        }
        Input::Answer(which, closer, items) if !seen.open.is_empty() => {
            let id = seen.open[which % seen.open.len()];
            let response = Response {
                closer: closer.into_iter().map(at).collect(),
                items: items.into_iter().map(TinyItem::value).collect(),
                ticket: None,
            };
            node.on_response(now, id, response);
        }
        Input::Fail(which, mute) if !seen.open.is_empty() => {
            let why = if mute { Failure::Timeout } else { Failure::Malformed };
            node.on_failure(now, seen.open[which % seen.open.len()], why);
        }
        Input::Stray(id) => node.on_response(now, RequestId(id), Response::default()),
        Input::Peer(peer, serves) => node.on_peer(now, at(peer), serves),
        Input::Gone(peer) => node.on_disconnected(&peer),
        Input::Serve(from, target) => {
            node.serve(now, &Contact::unlocated(from), Request::FindNode { target });
        }
        Input::Add(peer) => {
            // A refusal is a fine answer here.
            let _ = node.add_peer(now, at(peer));
        }
        Input::Remove(peer) => {
            node.remove_peer(now, &peer);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_node_comes_to_rest_after_any_input(inputs in proptest::collection::vec(input(), 1..120)) {
        let mut node = node(1, true, 3);
        let mut now = Now::default();
        let mut seen = Seen::default();
        for input in inputs {
            if let Input::Wait(millis) = input {
                now = now.after(Duration::from_millis(u64::from(millis)));
            } else {
                apply(&mut node, now, &mut seen, input);
            }
            drain(&mut node, now, &mut seen);
            prop_assert!(node.routing().iter().all(|entry| entry.contact.peer != 1));
            prop_assert!(node.routing().len() <= 8 * 3);
        }
        // At the latest at its deadline every query has ended, once.
        for _ in 0..200 {
            now = now.after(Duration::from_secs(1));
            drain(&mut node, now, &mut seen);
        }
        prop_assert!(seen.started.values().all(|times| *times == 1), "{:?}", seen.started);
    }
}
