//! What a lookup costs in requests, hops and time on one frozen graph of 10^5 nodes, next to the rules of two other
//! implementations (counting models), and what our machine itself costs in processor time.
//!
//! The counts are printed before criterion measures; `LOOKUP_NODES` and `LOOKUP_RUNS` change the size.

#[path = "../tests/network/graph.rs"]
mod graph;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dht_query::{Config, QueryOptions};

use graph::{Cost, Graph, Mix, Model, Ours, mean, percentile};

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn print(name: &str, costs: &[Cost]) {
    println!(
        "{name:<44} requests mean {:5.1} p50 {:3} p99 {:3}   peers {:5.1}   hops {:4.2}   recall {:.4} found {:.3}   ms p50 {:6.0} p99 {:6.0}",
        mean(costs, |c| c.requests.into()),
        percentile(costs, 0.5, |c| c.requests.into()),
        percentile(costs, 0.99, |c| c.requests.into()),
        mean(costs, |c| c.asked.into()),
        mean(costs, |c| c.hops.into()),
        mean(costs, |c| c.recall),
        mean(costs, |c| u8::from(c.found).into()),
        percentile(costs, 0.5, |c| c.took.as_secs_f64() * 1e3),
        percentile(costs, 0.99, |c| c.took.as_secs_f64() * 1e3),
    );
}

/// The same lookups, by the same nodes, by each rule in turn.
fn table(graph: &Graph, runs: usize, loss: u64) {
    let ours = [
        ("ours", Config::default()),
        ("ours, approach 1", Config { approach: 1, ..Config::default() }),
        ("ours, approach 3", Config { approach: 3, ..Config::default() }),
        ("ours, approach 10 (no narrowing)", Config { approach: 10, ..Config::default() }),
        ("ours, 2 disjoint paths", Config { disjoint_paths: 2, ..Config::default() }),
        ("ours, 4 disjoint paths", Config { disjoint_paths: 4, ..Config::default() }),
        ("ours, no hedging", Config { hedge: false, ..Config::default() }),
    ];
    for fetch in [false, true] {
        println!("{}", if fetch { "fetch, first of 20 holders" } else { "closest 20, all confirmed" });
        for (name, config) in &ours {
            let mut mix = Mix(1);
            let mut costs = Vec::new();
            for _ in 0..runs / 50 {
                let mut node = Ours::new(graph, graph.any(&mut mix), config.clone());
                node.loss = loss;
                for _ in 0..50 {
                    let quorum = fetch.then_some(1);
                    let options = QueryOptions { quorum, ..QueryOptions::default() };
                    let target = mix.next();
                    costs.push(match fetch {
                        true => node.fetch(target, options),
                        false => node.closest(target, options),
                    });
                }
            }
            print(name, &costs);
        }
        for (name, model) in [
            ("model of the rust rule, 3 in flight", Model::Rust),
            ("model of the rust rule, 3 disjoint paths", Model::RustDisjoint),
            ("model of the go rule, 10 and 3", Model::Go),
        ] {
            let mut mix = Mix(1);
            let mut costs = Vec::new();
            for _ in 0..runs / 50 {
                let local = graph.any(&mut mix);
                for _ in 0..50 {
                    let target = mix.next();
                    costs.push(model.run(graph, local, target, fetch, &mut Mix(target)));
                }
            }
            print(name, &costs);
        }
    }
}

fn lookup(c: &mut Criterion) {
    let nodes = size("LOOKUP_NODES", 100_000);
    let runs = size("LOOKUP_RUNS", 1000);
    let graph = Graph::new(nodes, 42);
    println!("{nodes} nodes, {runs} lookups each, everybody answers");
    table(&graph, runs, 0);
    println!("the same, 20 % of the nodes silent, 2 % of our requests lost");
    let graph = graph.with_silent(200);
    table(&graph, runs, 20);

    let graph = Graph::new(10_000, 42);
    let mut mix = Mix(3);
    let mut node = Ours::new(&graph, graph.any(&mut mix), Config::default());
    c.bench_function("lookup on 10^4 nodes, graph included", |b| {
        b.iter(|| black_box(node.closest(mix.next(), QueryOptions::default())));
    });
}

criterion_group!(benches, lookup);
criterion_main!(benches);
