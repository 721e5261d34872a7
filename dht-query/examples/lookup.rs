//! The query engine used alone: one lookup in a made-up network of 8-bit peers, every step of it printed.
//!
//! The engine does no I/O: it says what to send, we fetch the answer from a made-up graph and tell it. Time is what we say.
//!
//! `cargo run -p dht-query --example lookup`

use std::time::Duration;

use dht_core::{
    Contact, Now, Overlay, Request, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_query::{Config, Judge, Output, Progress, Queries, QueryOptions};

/// Closest-peer lookups bring no items, so there is nothing to judge.
struct Nothing;

impl Judge<Tiny> for Nothing {
    fn is_valid(&self, _: &TinyQuery, _: &TinyItem) -> bool {
        false
    }
    fn best(&self, _: &TinyQuery, _: &[TinyItem]) -> Option<usize> {
        None
    }
}

/// All peers: every third byte, nearest to `target` first.
fn peers_near(target: u8) -> Vec<u8> {
    let mut peers: Vec<u8> = (3..=255).step_by(3).collect();
    peers.sort_by_key(|peer| peer ^ target);
    peers
}

/// What a peer answers: the four closest of those it knows, which are three per bucket.
fn answer(peer: u8, request: &Request<Tiny>) -> Response<Tiny> {
    let bucket = |other: u8| (other ^ peer).leading_zeros();
    let of_bucket =
        |prefix| peers_near(peer).into_iter().filter(move |other| bucket(*other) == prefix).take(3);
    let mut known: Vec<u8> = (0..8).flat_map(of_bucket).collect();
    if let Some(target) = request.target() {
        known.sort_by_key(|other| other ^ target);
    }
    known.truncate(4);
    let closer = known.into_iter().map(|peer| Contact::new(peer, 1)).collect();
    Response { closer, ..Response::default() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config { k: 4, alpha: 3, beta: 2, ..Config::default() };
    let mut queries = Queries::<Tiny>::new(0, config, 1)?;
    let mut now = Now::default();
    let mut transit = std::collections::VecDeque::new();

    let seeds = [0x03, 0x0c, 0x30].map(|peer| Contact::new(peer, 1)).to_vec();
    let options = QueryOptions { trace: true, ..QueryOptions::default() };
    queries.closest(now, 0xaa, seeds, options)?;

    loop {
        match queries.poll(now) {
            Output::Send { id, to, request } => {
                transit.push_back((id, answer(Tiny::peer_key(&to.peer).0[0], &request)));
            }
            Output::Progress(_, Progress::Step(step)) => {
                println!("{:>6?}  {:#04x}  hop {}  {:?}", step.at, step.peer, step.hop, step.outcome);
            }
            Output::Finished(_, finished) => {
                let closest: Vec<_> = finished.closest.iter().map(|contact| contact.peer).collect();
                println!("{:?}: {closest:#04x?} after {} requests", finished.reason, finished.requests);
                assert_eq!(closest, peers_near(0xaa)[..4]);
                return Ok(());
            }
            Output::Wait(_) => {
                now = now.after(Duration::from_millis(20));
                if let Some((id, response)) = transit.pop_front() {
                    queries.on_response(now, id, response, &Nothing);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_lookup_works_alone() {
    main().unwrap();
}
