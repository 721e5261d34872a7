//! What the suite prints: a line per check while it runs, then the table and the sums; or JSON lines.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use serde_json::json;

use crate::{checks::Check, foreign::Foreign, verdict::Verdict};

/// Who wants something of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our node asks, the foreign one serves.
    WeAsk,
    /// The foreign node asks, ours serves.
    TheyAsk,
}

impl Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WeAsk => "we ask",
            Self::TheyAsk => "they ask",
        })
    }
}

/// One check with one peer.
#[derive(Clone, Debug)]
pub struct Cell {
    pub peer: &'static str,
    pub capability: &'static str,
    pub side: Side,
    pub verdict: Verdict,
    pub took: Duration,
}

/// All cells so far.
#[derive(Debug)]
pub struct Report {
    json: bool,
    /// One table for each network that was met.
    tables: Vec<Vec<Cell>>,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, tables: Vec::new() }
    }

    /// For people only.
    pub fn say(&self, line: &str) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }

    /// What comes now stands in a table of its own.
    pub fn next_table(&mut self) {
        self.tables.push(Vec::new());
    }

    pub fn add(&mut self, cell: Cell) {
        if self.json {
            println!("{}", as_json(&cell));
        } else if !matches!(cell.verdict, Verdict::Skipped(_)) {
            println!("{}", as_line(&cell));
        }
        match self.tables.last_mut() {
            Some(cells) => cells.push(cell),
            None => self.tables.push(vec![cell]),
        }
    }

    /// Prints the tables and the sums. Whether nothing failed.
    pub fn end(&self) -> bool {
        let cells = || self.tables.iter().flatten();
        let count = |wanted: fn(&Verdict) -> bool| cells().filter(|cell| wanted(&cell.verdict)).count();
        let passed = count(|verdict| matches!(verdict, Verdict::Held));
        let failed = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        if self.json {
            println!("{}", json!({ "passed": passed, "failed": failed, "skipped": skipped }));
        } else {
            self.tables
                .iter()
                .filter(|cells| !cells.is_empty())
                .for_each(|cells| println!("\n{}", table(cells)));
            println!("\n{passed} passed, {failed} failed, {skipped} skipped");
        }
        failed == 0
    }
}

fn as_line(cell: &Cell) -> String {
    let Cell { peer, capability, side, verdict, took } = cell;
    let word = match verdict {
        Verdict::Held => "ok",
        Verdict::Failed { .. } => "FAIL",
        Verdict::Skipped(_) => "skipped",
    };
    let mut line = format!("{peer:<13} {side:<9} {capability:<34} {word:<5} {:>6.2} s", took.as_secs_f64());
    if let Verdict::Failed { expected, got } = verdict {
        line += &format!("\n      expected: {expected}\n      got:      {got}");
    }
    line
}

fn as_json(cell: &Cell) -> serde_json::Value {
    let Cell { peer, capability, side, verdict, took } = cell;
    let mut line = json!({
        "peer": peer, "capability": capability, "direction": side.to_string(), "seconds": took.as_secs_f64(),
    });
    match verdict {
        Verdict::Held => line["verdict"] = "ok".into(),
        Verdict::Skipped(reason) => {
            line["verdict"] = "skipped".into();
            line["reason"] = reason.as_str().into();
        }
        Verdict::Failed { expected, got } => {
            line["verdict"] = "FAIL".into();
            line["expected"] = expected.as_str().into();
            line["got"] = got.as_str().into();
        }
    }
    line
}

/// Letters of a column; one with a longer name is wider.
const WIDTH: usize = 9;

/// Peers across, checks down; the reasons for what was left out stand below, numbered.
fn table(cells: &[Cell]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, Side)> = Vec::new();
    let mut reasons: Vec<&str> = Vec::new();
    for cell in cells {
        if !peers.contains(&cell.peer) {
            peers.push(cell.peer);
        }
        if !rows.contains(&(cell.capability, cell.side)) {
            rows.push((cell.capability, cell.side));
        }
    }
    let mut out = format!("{:<34} {:<9}", "capability", "direction");
    peers.iter().for_each(|peer| out += &format!(" {peer:<WIDTH$}"));
    for (capability, side) in rows {
        out += &format!("\n{capability:<34} {side:<9}");
        for peer in &peers {
            let of = |cell: &&Cell| cell.peer == *peer && cell.capability == capability && cell.side == side;
            let word = match cells.iter().find(of).map(|cell| &cell.verdict) {
                Some(Verdict::Held) => "ok".to_owned(),
                Some(Verdict::Failed { .. }) => "FAIL".to_owned(),
                Some(Verdict::Skipped(reason)) => format!("skip {}", footnote(&mut reasons, reason)),
                None => String::new(),
            };
            let width = WIDTH.max(peer.len());
            out += &format!(" {word:<width$}");
        }
    }
    for (number, reason) in (1..).zip(&reasons) {
        out += &format!("\n{number:>4}  {reason}");
    }
    out
}

fn footnote<'a>(reasons: &mut Vec<&'a str>, reason: &'a str) -> usize {
    let at = reasons.iter().position(|known| *known == reason);
    at.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    }) + 1
}

/// What there is to run.
pub fn list(peers: &[&'static Foreign], checks: &[&Check]) {
    for peer in peers {
        println!("peer   {:<5} {}", peer.name, peer.describes);
    }
    for check in checks {
        println!("check  {:<9} {}", check.side, check.capability);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_stands_below_the_table_once() {
        let cell = |capability, verdict| Cell {
            peer: "x",
            capability,
            side: Side::WeAsk,
            verdict,
            took: Duration::ZERO,
        };
        let cells = [
            cell("a", Verdict::Held),
            cell("b", Verdict::Skipped("can not".into())),
            cell("c", Verdict::Skipped("can not".into())),
            cell("d", Verdict::Failed { expected: "1".into(), got: "2".into() }),
        ];
        let table = table(&cells);
        assert_eq!(table.matches("can not").count(), 1, "{table}");
        assert_eq!(table.matches("skip 1").count(), 2);
        assert_eq!(table.matches("FAIL").count(), 1);
    }
}
