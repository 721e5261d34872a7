//! How fast networks of 10^3 nodes and more are simulated: events per second of processor time, memory per node, and
//! what lookups cost while tables refresh themselves. Not a criterion bench: one run takes from a second to minutes.
//!
//! `cargo bench -p dht-sim --bench scale -- 1000 10000 100000 --k 8 --seconds 20`: sizes, and what differs from the
//! shipped options. Without sizes 10^3 and 10^4; 10^6 takes several gigabytes. `--recall` compares every lookup with the
//! truth, `--quiet` switches refreshes off, `--overlay` takes `ipfs` and `mainline` as well. Each of several sizes is run
//! by a process of its own: what a smaller network gave back to the allocator is not to be counted for a larger one.

use std::{env, error::Error, fs, process::Command, time::Duration};

use dht_sim::{Engine, Happening, OpKind, Outcome, OverlayKind, Scenario, Watch, Workload};

/// What is run at every size.
struct Plan {
    overlay: OverlayKind,
    k: Option<usize>,
    seconds: f64,
    lookups: f64,
    recall: bool,
    quiet: bool,
}

impl Plan {
    fn scenario(&self, nodes: u32) -> Scenario {
        let narrow = |k| Engine {
            k: Some(k),
            alpha: Some(3),
            beta: Some(3),
            replacements: Some(0),
            ..Engine::default()
        };
        let engine = Engine {
            refresh_interval: self.quiet.then_some(0.0),
            ..self.k.map_or_else(Engine::default, narrow)
        };
        let workload =
            Workload { lookups: self.lookups / self.seconds, recall: self.recall, ..Workload::default() };
        Scenario::new("scale", nodes)
            .overlay(self.overlay)
            .duration(self.seconds)
            .engine(engine)
            .sample_interval(self.seconds)
            .workload(workload)
    }
}

/// Processor time of this thread, so that programs beside this one do not count; zero where the system does not tell.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Memory of this process in bytes, now or at most; zero where the system does not tell.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().nth(1));
    value.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Takes the time and the memory when all tables are full and the first lookup begins.
#[derive(Default)]
struct Ready(Option<(Duration, u64)>);

impl Watch for Ready {
    fn happened(&mut self, _: f64, happening: &Happening) {
        if matches!(happening, Happening::Began { .. }) {
            self.0.get_or_insert_with(|| (cpu(), memory("VmRSS")));
        }
    }
}

fn print(nodes: u32, outcome: &Outcome, warm: Duration, run: Duration, full: u64, peak: u64) {
    let per_node = |bytes: u64| bytes / u64::from(nodes);
    println!("{nodes} nodes, {:.1} peers in a table", outcome.total.state.table_fill);
    println!(
        "  warm in {:.1} s; {} bytes a node then, {} at most",
        warm.as_secs_f64(),
        per_node(full),
        per_node(peak)
    );
    println!(
        "  {} events in {:.2} s of processor time: {:.0} a second, {:.2} times real time",
        outcome.events,
        run.as_secs_f64(),
        outcome.events as f64 / run.as_secs_f64(),
        outcome.simulated_seconds / run.as_secs_f64(),
    );
    if let Some(lookups) = outcome.total.operations(OpKind::Lookup) {
        println!(
            "  {} lookups: {:.1} requests, {:.2} hops, {:.3} s (p50), success {:.4}{}",
            lookups.started,
            lookups.requests.mean,
            lookups.hops.mean,
            lookups.latency.p50,
            lookups.success().unwrap_or(0.0),
            outcome.total.recall.map_or_else(String::new, |recall| format!(", recall {recall:.4}")),
        );
    }
    println!("  trace {:016x}", outcome.trace_hash);
}

fn measure(plan: &Plan, nodes: u32) -> Result<(), Box<dyn Error>> {
    let scenario = plan.scenario(nodes);
    let (start, before) = (cpu(), memory("VmRSS"));
    let mut ready = Ready::default();
    let outcome = scenario.watch(&mut ready)?;
    let end = cpu();
    let (began, full) = ready.0.unwrap_or((start, before));
    let peak = memory("VmHWM").saturating_sub(before);
    print(nodes, &outcome, began - start, end - began, full.saturating_sub(before), peak);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut plan = Plan {
        overlay: OverlayKind::Compact,
        k: None,
        seconds: 20.0,
        lookups: 10_000.0,
        recall: false,
        quiet: false,
    };
    let (mut sizes, mut options, mut measured) = (Vec::new(), Vec::new(), false);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg.starts_with('-') {
            options.push(arg.clone());
        }
        let mut value = || -> Result<String, String> {
            let value = args.next().ok_or_else(|| format!("{arg} wants a value"))?;
            options.push(value.clone());
            Ok(value)
        };
        match arg.as_str() {
            "--bench" => measured = true,
            "--k" => plan.k = Some(value()?.parse()?),
            "--seconds" => plan.seconds = value()?.parse()?,
            "--lookups" => plan.lookups = value()?.parse()?,
            "--recall" => plan.recall = true,
            "--quiet" => plan.quiet = true,
            "--overlay" => {
                plan.overlay = match value()?.as_str() {
                    "ipfs" => OverlayKind::Ipfs,
                    "mainline" => OverlayKind::Mainline,
                    _ => OverlayKind::Compact,
                }
            }
            _ if arg.starts_with('-') => {}
            size => sizes.push(size.parse::<u32>()?),
        }
    }
    if !measured {
        // As a test: one small run.
        return measure(&Plan { seconds: 5.0, lookups: 20.0, recall: true, ..plan }, 100);
    }
    if sizes.is_empty() {
        sizes = vec![1000, 10_000];
    }
    if let [nodes] = sizes[..] {
        return measure(&plan, nodes);
    }
    for nodes in sizes {
        let status = Command::new(env::current_exe()?).args(&options).arg(nodes.to_string()).status()?;
        if !status.success() {
            return Err(format!("{nodes} nodes: {status}").into());
        }
    }
    Ok(())
}
