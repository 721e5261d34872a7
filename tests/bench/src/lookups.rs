//! Line B8: what an exact lookup costs in requests, on one frozen graph.
//!
//! The peers' rules are the machines that the simulator runs them with: neither implementation can be fed answers without a
//! network. Of the rule of Go both counts are shown. When its `beta` nearest have answered and those under way too, it
//! asks everybody of the `k` nearest who was not reached by then; whoever counts each peer once gets the other figure.

#[path = "../../../dht-query/tests/network/graph.rs"]
#[allow(missing_docs, dead_code, reason = "the graph of dht-query's own tests, of which a part is used here")]
mod graph;

use dht_query::{Config, QueryOptions};

use crate::{
    args::Args,
    contest::{note, report},
};
use graph::{Cost, Graph, Mix, Model, Ours, mean, percentile};

/// Lookups that one node of the graph makes before another one is taken.
const PER_NODE: usize = 50;

/// Line B8.
pub fn run(args: &Args) {
    let graph = Graph::new(args.size(100_000, 2_000), 42);
    let lookups = args.size(1_000, PER_NODE);
    for fetch in [false, true] {
        let task = if fetch { "get, the 20 nearest hold it" } else { "closest 20, exact" };
        let rust = Model::Rust;
        let go = Model::Go;
        // Each round makes other lookups, all contenders the same ones.
        let rounds = |run: &dyn Fn(u64) -> Vec<Cost>| -> Vec<Vec<Cost>> {
            (0..args.rounds() as u64).map(run).collect()
        };
        let all = [
            ("dht-query", rounds(&|seed| ours(&graph, seed, lookups, fetch))),
            (
                "model of the rule of libp2p-kad 0.49",
                rounds(&|seed| model(rust, &graph, seed, lookups, fetch)),
            ),
            (
                "model of the rule of go-libp2p-kad-dht",
                rounds(&|seed| model(go, &graph, seed, lookups, fetch)),
            ),
        ];
        let task = format!("{task}; {lookups} lookups a round");
        row(args, &format!("requests, mean: {task}"), &all, |costs| mean(costs, |c| c.requests.into()));
        row(args, &format!("peers asked, mean: {task}"), &all, |costs| mean(costs, |c| c.asked.into()));
        row(args, &format!("requests, p50: {task}"), &all, |costs| {
            percentile(costs, 0.5, |c| c.requests.into())
        });
        for (name, rounds) in &all {
            let costs: Vec<Cost> = rounds.concat();
            let recall = mean(&costs, |c| c.recall);
            let found = mean(&costs, |c| u8::from(c.found).into());
            let outcome = if fetch { format!("found {found:.4}") } else { format!("recall {recall:.4}") };
            note(args, "b8", &format!("  {name}: {outcome}"));
        }
    }
}

fn row(args: &Args, task: &str, all: &[(&str, Vec<Vec<Cost>>)], figure: impl Fn(&[Cost]) -> f64) {
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let costs: Vec<Vec<f64>> =
        all.iter().map(|(_, rounds)| rounds.iter().map(|c| figure(c)).collect()).collect();
    report(args, "b8", task, "requests", &names, &costs);
}

fn ours(graph: &Graph, seed: u64, lookups: usize, fetch: bool) -> Vec<Cost> {
    let mut mix = Mix(seed);
    let mut costs = Vec::new();
    while costs.len() < lookups {
        let mut node = Ours::new(graph, graph.any(&mut mix), Config::default());
        for _ in 0..PER_NODE {
            let quorum = fetch.then_some(1);
            let options = QueryOptions { quorum, ..QueryOptions::default() };
            let target = mix.next();
            costs.push(if fetch { node.fetch(target, options) } else { node.closest(target, options) });
        }
    }
    costs
}

fn model(model: Model, graph: &Graph, seed: u64, lookups: usize, fetch: bool) -> Vec<Cost> {
    let mut mix = Mix(seed);
    let mut costs = Vec::new();
    while costs.len() < lookups {
        let local = graph.any(&mut mix);
        for _ in 0..PER_NODE {
            let target = mix.next();
            costs.push(model.run(graph, local, target, fetch, &mut Mix(target)));
        }
    }
    costs
}
