//! `dht sim`, as its users meet it.

use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Folder, program, run, stdout};

const SMALL: &str = r#"
name = "small"
nodes = 30
overlay = "compact"
duration = 120

[engine]
refresh_interval = 0

[workload]
values = 5
reads = 1
publish_over = 10

[[checks]]
measure.success.of = "get"
at_least = 0.9
"#;

fn last(output: &std::process::Output) -> Value {
    serde_json::from_str(stdout(output).lines().last().unwrap()).unwrap()
}

#[test]
fn a_scenario_runs_and_repeats() {
    let folder = Folder::new("sim");
    let file = folder.write("small.toml", SMALL);
    let (report, events) = (folder.file("report"), folder.file("events.ndjson"));
    let first = run(&["sim", &file, "--json", "--report", &report, "--events", &events]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let end = last(&first);
    assert_eq!(
        (&end["ok"], &end["runs"], &end["verdicts"][0]["ok"]),
        (&true.into(), &1.into(), &true.into())
    );
    assert!(end["events_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(last(&run(&["sim", &file, "--json"]))["trace_hash"], end["trace_hash"]);
    assert!(std::fs::read_to_string(folder.file("report/report.html")).unwrap().contains("<svg"));
    let log = std::fs::read_to_string(&events).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && log.contains("began"));
}

#[test]
fn many_seeds_are_told_one_by_one_and_a_failure_says_how_to_see_it_again() {
    let folder = Folder::new("sim-seeds");
    let file = folder.write("a net.toml", &SMALL.replace("at_least = 0.9", "at_least = 1.5"));
    let output = run(&["sim", &file, "--seeds", "3", "--seed", "7", "--nodes", "25", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output).lines().count(), 4);
    let replay = format!("dht sim '{file}' --nodes 25 --seed 7");
    assert_eq!(last(&output)["replay"], replay);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&replay));
    let story = run(&["sim", &file, "--trace", "key:0", "--json"]);
    assert!(stdout(&story).lines().next().unwrap().contains("\"key\":0"));
    let nobody = run(&["sim", &file, "--trace", "99999"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nothing happened to node 99999"), "{nobody:?}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let folder = Folder::new("sim-wrong");
    for (from, to, says) in [
        ("reads = 1", "red = 1", ":12: unknown field `red`"),
        ("nodes = 30", "nodes = 1", "`nodes`: from 2"),
        ("of = \"get\"", "off = \"get\"", ":16: "),
    ] {
        let file = folder.write("wrong.toml", &SMALL.replace(from, to));
        let output = run(&["sim", &file]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn what_comes_with_the_program_runs_by_name() {
    let list = run(&["sim", "--list", "--json"]);
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let names: Vec<Value> = stdout(&list).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(names.iter().any(|line| line["scenario"] == "09-churn-48h"), "{names:?}");
    let hashes = ["03-duplicates", "scenarios/duplicates.toml"].map(|name| {
        let output = run(&["sim", name, "--nodes", "20", "--json"]);
        last(&output)["trace_hash"].as_str().map(str::to_owned)
    });
    assert!(hashes[0].is_some() && hashes[0] == hashes[1], "{hashes:?}");
    for missing in ["scenarios/no-such.toml", "elsewhere/duplicates.toml"] {
        let none = run(&["sim", missing]);
        assert_eq!(none.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&none.stderr).contains("dht sim --list"));
    }
}

#[test]
fn how_it_ends_does_not_depend_on_stderr() {
    let folder = Folder::new("sim-deaf");
    let file = folder.write("a.toml", &SMALL.replace("at_least = 0.9", "at_least = 1.5"));
    for (more, code) in [(&[][..], 1), (&["--trace", "99999"], 1), (&["--seeds", "0"], 2)] {
        let mut child = program(&[&["sim", &file], more].concat()).stdout(Stdio::null()).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{more:?}");
    }
}
