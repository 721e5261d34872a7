//! `dht sim`, as its users meet it.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use serde_json::Value;

use crate::harness::{Folder, fails, program, run, stderr, stdout};

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

/// A scenario that ends otherwise than expected.
fn failing() -> String {
    SMALL.replace("at_least = 0.9", "at_least = 1.5")
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
    assert!(fs::read_to_string(folder.file("report/report.html")).unwrap().contains("<svg"));
    let log = fs::read_to_string(&events).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && log.contains("began"));
}

#[test]
fn many_seeds_are_told_one_by_one_and_a_failure_says_how_to_see_it_again() {
    let folder = Folder::new("sim-seeds");
    let file = folder.write("a net.toml", &failing());
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
        assert_eq!(none.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&none.stderr).contains("dht sim --list"));
    }
}

#[test]
fn a_failure_is_one_whoever_reads() {
    let folder = Folder::new("sim-unread");
    let file = folder.write("a.toml", &failing());
    let replay = format!("again with `dht sim {file} --seed 1`");
    for more in [&[][..], &["--json"], &["--json", "--trace", "5"], &["--seeds", "2"]] {
        let mut child = program(&[&["sim", &file], more].concat()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{more:?}: {output:?}");
        assert!(stderr(&output).contains(&replay), "{more:?}: {output:?}");
    }
    // Nothing was missed by a reader of what went well.
    let good = folder.write("good.toml", SMALL);
    let mut child = program(&["sim", &good]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
        let output = program(&["sim", &file]).stdout(full.try_clone().unwrap()).output().unwrap();
        assert!(stderr(&output).contains(&replay) && stderr(&output).contains("stdout"), "{output:?}");
        let output = program(&["sim", &good]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("cannot write to stdout"), "{output:?}");
    }
}

#[test]
fn how_it_ends_does_not_depend_on_stderr() {
    let folder = Folder::new("sim-deaf");
    let file = folder.write("a.toml", &failing());
    for (more, code) in [(&[][..], 1), (&["--trace", "99999"], 1), (&["--seeds", "0"], 2)] {
        let mut child = program(&[&["sim", &file], more].concat()).stdout(Stdio::null()).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{more:?}");
    }
}

#[test]
fn what_can_not_be_written_is_told_before_anything_runs_or_after_everything_is_said() {
    let folder = Folder::new("sim-unwritable");
    let file = folder.write("a.toml", &failing());
    let below = format!("{file}/below");
    for flag in ["--report", "--events"] {
        fails(&["sim", &file, flag, &below], 2, &["cannot write", &below]);
        assert!(run(&["sim", &file, flag, &below]).stdout.is_empty());
    }
    if Path::new("/dev/full").exists() {
        let report = folder.file("report");
        let output = run(&["sim", &file, "--json", "--events", "/dev/full", "--report", &report]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(last(&output)["failed"], 1);
        let said = stderr(&output);
        let (again, full) = (said.find("again with"), said.find("cannot write to `/dev/full`"));
        assert!(again.is_some() && again < full && said.lines().count() == 1, "{said}");
        assert!(fs::read_to_string(folder.file("report/outcomes.json")).unwrap().contains("verdicts"));
        let good = folder.write("good.toml", SMALL);
        let output = run(&["sim", &good, "--json", "--events", "/dev/full"]);
        assert_eq!((output.status.code(), &last(&output)["ok"]), (Some(1), &true.into()));
    }
}

#[test]
fn a_scenario_is_never_written_over() {
    let folder = Folder::new("sim-own");
    let file = folder.write("report.html", SMALL);
    let link = folder.file("link");
    symlink(&file, &link).unwrap();
    for events in [&file, &link] {
        fails(&["sim", &file, "--events", events], 2, &["--events", &file]);
    }
    let parent = folder.file("");
    fails(&["sim", &file, "--report", &parent], 2, &["--report", &file]);
    let other = folder.write("a.toml", SMALL);
    fails(&["sim", &other, "--report", &parent, "--events", &file], 2, &["--events", &file]);
    let shipped = folder.file("partition");
    for flag in ["--events", "--report"] {
        let mut sim = program(&["sim", "partition", flag, "partition"]);
        let output = sim.current_dir(folder.file("")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!Path::new(&shipped).exists(), "it would be taken for the scenario");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), SMALL);
}

#[test]
fn a_file_that_can_be_no_scenario_is_wrong_use() {
    let folder = Folder::new("sim-no-scenario");
    let latin = folder.file("latin.toml");
    fs::write(&latin, b"name = \"\xe9\"").unwrap();
    fails(&["sim", &latin], 2, &[&latin, "UTF-8"]);
    fails(&["sim", &folder.file("absent")], 2, &["absent"]);
    fails(&["sim", &folder.file("")], 2, &["cannot read"]);
    fails(&["sim", &folder.write("long.toml", &"#".repeat((1 << 20) + 1))], 2, &["long.toml", "1048576"]);
    fails(&["sim", "/dev/zero"], 2, &["/dev/zero", "1048576"]);
    let file = folder.write("a.toml", SMALL);
    fails(&["--config", &latin, "sim", &file], 2, &["`dht sim`", "--config"]);
}

#[test]
fn stories_of_several_seeds_can_be_told_apart() {
    let folder = Folder::new("sim-stories");
    let file = folder.write("a.toml", SMALL);
    let story = |seeds| {
        let output = run(&["sim", &file, "--trace", "5", "--seeds", seeds]);
        let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
        lines.into_iter().filter(|line| line.contains("event ")).collect::<Vec<_>>()
    };
    let (one, two) = (story("1"), story("2"));
    assert!(!one.is_empty() && one.iter().all(|line| line.starts_with("at ")), "{one:?}");
    let of = |seed| two.iter().filter(|line| line.starts_with(&format!("seed {seed}  at "))).count();
    assert_eq!((of(1), of(1) + of(2)), (one.len(), two.len()), "{two:?}");
}

#[test]
fn the_command_that_runs_it_again_can_be_typed() {
    let folder = Folder::new("sim-replay");
    folder.write("-x.toml", &failing());
    let output = program(&["sim", "--json", "--", "-x.toml"]).current_dir(folder.file("")).output().unwrap();
    assert_eq!(last(&output)["replay"], "dht sim ./-x.toml --seed 1", "{output:?}");
    let stdin = fs::File::open(folder.file("-x.toml")).unwrap();
    let output = program(&["sim", "--json", "/dev/stdin"]).stdin(stdin).output().unwrap();
    assert_eq!(last(&output)["replay"], "dht sim FILE --seed 1", "{output:?}");
    assert!(stderr(&output).contains("keep the scenario in a file and run it again"), "{output:?}");
}
