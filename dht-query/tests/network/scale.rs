//! The lookup on a frozen graph of 10^4 nodes, next to the rules of two other implementations (B8 in small).

use dht_query::{Config, QueryOptions};

use crate::graph::{Cost, Graph, K, Mix, Model, Ours, mean, percentile};

const RUNS: usize = 60;

fn ours(graph: &Graph, config: &Config, loss: u64, fetch: bool) -> Vec<Cost> {
    let mut mix = Mix(5);
    let mut node = Ours::new(graph, graph.any(&mut mix), config.clone());
    node.loss = loss;
    let quorum = fetch.then_some(1);
    let options = QueryOptions { quorum, ..QueryOptions::default() };
    let mut one = |target| match fetch {
        true => node.fetch(target, options.clone()),
        false => node.closest(target, options.clone()),
    };
    (0..RUNS).map(|_| one(mix.next())).collect()
}

fn model(graph: &Graph, model: Model, fetch: bool) -> Vec<Cost> {
    let mut mix = Mix(5);
    let local = graph.any(&mut mix);
    let targets = (0..RUNS).map(|_| mix.next());
    targets.map(|target| model.run(graph, local, target, fetch, &mut Mix(target))).collect()
}

fn requests(cost: &Cost) -> f64 {
    f64::from(cost.requests)
}

#[test]
fn twenty_confirmations_and_hardly_more() {
    let graph = Graph::new(10_000, 42);
    let ours = ours(&graph, &Config::default(), 0, false);
    assert!(mean(&ours, requests) <= 25.0, "{}", mean(&ours, requests));
    assert!(mean(&ours, requests) >= K as f64);
    assert!(mean(&ours, |c| c.recall) >= 0.99);
    let rust = model(&graph, Model::Rust, false);
    let go = model(&graph, Model::Go, false);
    assert!(mean(&ours, requests) < mean(&rust, requests));
    assert!(mean(&ours, requests) < mean(&go, requests));
    let twice = |costs: &[Cost]| mean(costs, requests) - mean(costs, |c| c.asked.into());
    assert_eq!((twice(&ours), twice(&rust)), (0.0, 0.0), "nobody is asked twice while everybody answers");
    assert!(twice(&go) > 1.0, "its follow-up asks again whom it waits for");
}

#[test]
fn a_fetch_asks_six_peers_at_most_as_a_rule() {
    let graph = Graph::new(10_000, 42);
    let ours = ours(&graph, &Config::default(), 0, true);
    assert!(percentile(&ours, 0.5, requests) <= 6.0);
    assert!(mean(&ours, |c| c.hops.into()) < 3.0);
}

#[test]
fn mute_peers_cost_little_time() {
    let whole = Graph::new(10_000, 42);
    let clean = ours(&whole, &Config::default(), 0, false);
    let graph = Graph::new(10_000, 42).with_silent(200);
    let mute = ours(&graph, &Config::default(), 20, false);
    let took = |costs: &[Cost], at| percentile(costs, at, |c| c.took.as_secs_f64());
    assert!(took(&mute, 0.5) < took(&clean, 0.5) * 3.0);
    assert!(took(&mute, 1.0) < 5.0, "nobody waits for a hard limit");
    let unhedged = ours(&graph, &Config { hedge: false, ..Config::default() }, 20, false);
    assert!(took(&unhedged, 0.5) > took(&mute, 0.5) * 3.0);
}

#[test]
fn disjoint_paths_find_the_same() {
    let graph = Graph::new(10_000, 42);
    let ours = ours(&graph, &Config { disjoint_paths: 3, ..Config::default() }, 0, false);
    assert!(mean(&ours, |c| c.recall) >= 0.99);
    assert!(mean(&ours, requests) <= 30.0, "{}", mean(&ours, requests));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let graph = Graph::new(2000, 1).with_silent(300);
    let run = || ours(&graph, &Config::default(), 50, false).iter().map(|c| (c.requests, c.took)).collect();
    let (first, second): (Vec<_>, Vec<_>) = (run(), run());
    assert_eq!(first, second);
}

#[test]
fn fetches_survive_a_mute_majority() {
    let clean = ours(&Graph::new(10_000, 42), &Config::default(), 0, true);
    let took = |costs: &[Cost]| percentile(costs, 0.5, |c| c.took.as_secs_f64());
    for (silent, times) in [(200, 1.3), (500, 2.0), (700, 4.0)] {
        let mute = ours(&Graph::new(10_000, 42).with_silent(silent), &Config::default(), 0, true);
        let slower = took(&mute) / took(&clean);
        assert!(slower <= times, "{silent} of 1000 mute: {slower:.2} times slower");
        let found = mean(&mute, |c| f64::from(u8::from(c.found)));
        assert!(found >= 0.99, "{silent} of 1000 mute: {found} found");
    }
}
