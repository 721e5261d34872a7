//! Several contenders at one task, taking turns: A B C, A B C, … What is reported is the ratio of their medians to ours
//! and its spread over the rounds, because an absolute figure says more about the machine than about the code.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::args::Args;

/// Runs one round of a contender and says what one operation cost.
type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// One comparison: ours first, then the peers.
pub struct Contest<'a> {
    line: &'static str,
    task: String,
    unit: &'static str,
    contenders: Vec<(String, Round<'a>)>,
}

impl<'a> Contest<'a> {
    /// A task of a line (`b1` … `b10`); costs are in `unit`.
    pub fn new(line: &'static str, task: impl Into<String>, unit: &'static str) -> Self {
        Self { line, task: task.into(), unit, contenders: Vec::new() }
    }

    /// Adds a contender. The first one is ours.
    pub fn with(mut self, name: impl Into<String>, round: impl FnMut() -> f64 + 'a) -> Self {
        self.contenders.push((name.into(), Box::new(round)));
        self
    }

    /// Lets them take turns and prints a row for each.
    pub fn run(mut self, args: &Args) {
        let rounds = args.rounds();
        let mut costs = vec![Vec::new(); self.contenders.len()];
        if !args.test {
            for (_, round) in &mut self.contenders {
                round(); // warms caches, allocator and branch predictor; not counted
            }
        }
        for _ in 0..rounds {
            for ((_, round), costs) in self.contenders.iter_mut().zip(&mut costs) {
                costs.push(round());
            }
        }
        let names: Vec<&str> = self.contenders.iter().map(|(name, _)| name.as_str()).collect();
        report(args, self.line, &self.task, self.unit, &names, &costs);
    }
}

/// Prints the costs of each contender, the first being ours, one list per contender in the order of the rounds.
pub fn report(args: &Args, line: &str, task: &str, unit: &str, names: &[&str], costs: &[Vec<f64>]) {
    let ours = &costs[0];
    if !args.json {
        println!("{line}  {task}");
    }
    for (name, theirs) in names.iter().zip(costs) {
        let cost = median(theirs.clone());
        let ratio = cost / median(ours.clone());
        let each: Vec<f64> = theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
        let (low, high) = (fold(&each, f64::min), fold(&each, f64::max));
        let rounds = theirs.len();
        if args.json {
            let row = json!({
                "line": line, "task": task, "contender": name, "median": cost, "unit": unit, "rounds": rounds,
                "ratio": ratio, "ratio_min": low, "ratio_max": high,
            });
            println!("{row}");
        } else {
            let cost = figures(cost);
            let (ratio, low, high) = (figures(ratio), figures(low), figures(high));
            println!("    {name:<44} {cost:>10} {unit:<10} {ratio:>7} x  ({low} .. {high})  {rounds} rounds");
        }
    }
}

/// Prints a row that has nothing to be compared with.
pub fn note(args: &Args, line: &str, text: &str) {
    if args.json {
        println!("{}", json!({ "line": line, "note": text }));
    } else {
        println!("{line}  {text}");
    }
}

/// What one of `count` operations costs in nanoseconds of this thread's processor time: what other programs do
/// meanwhile makes caches cold, but is not counted.
pub fn nanos<T>(count: usize, mut operation: impl FnMut(usize) -> T) -> f64 {
    let start = thread_time();
    for i in 0..count {
        black_box(operation(i));
    }
    (thread_time() - start) / count as f64
}

fn thread_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The median; of an even number, the upper one of the middle two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn fold(values: &[f64], pick: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(pick).unwrap_or(f64::NAN)
}

/// Three significant figures.
fn figures(value: f64) -> String {
    let digits = match value.abs() {
        huge if huge >= 100.0 => 0,
        large if large >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
