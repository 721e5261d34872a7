//! The committed scenario files can be run, and say what the fault table asks for.

use std::{fs, path::Path};

use dht_sim::Scenario;

fn all() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        (name.clone(), toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    files.iter().map(read).collect()
}

#[test]
fn every_file_is_a_scenario_that_expects_something() {
    let all = all();
    for row in
        ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
            .into_iter()
            .chain(["19", "20", "21", "22", "28", "29", "36"])
    {
        assert!(all.iter().any(|(name, _)| name.starts_with(row)), "row {row}");
    }
    for (name, scenario) in &all {
        scenario.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!scenario.checks.is_empty(), "{name} expects nothing");
        let text = toml::to_string(scenario).unwrap();
        assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), *scenario, "{name}");
    }
}

#[test]
fn the_scenario_of_the_guide_can_be_run() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulation.md");
    let guide = fs::read_to_string(guide).unwrap();
    let text = guide.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario: Scenario = toml::from_str(text).unwrap();
    scenario.validate().unwrap();
}

#[test]
fn what_is_unknown_is_refused_wherever_it_stands() {
    for wrong in [
        "nods = 5",
        "[links]\nlos = 0.1",
        "[links]\nlatency.constant = { ms = 5, more = 1 }",
        "[[faults]]\nat = 1\nwhat.exit = { share = 0.1, lasts = 5 }",
        "[[faults]]\nat = 1\nwhat.bootstrap_down.share = 0.5",
        "[[checks]]\nmeasure.recall.of = \"get\"\nat_least = 1",
        "start = \"hot\"",
    ] {
        assert!(toml::from_str::<Scenario>(wrong).is_err(), "{wrong}");
    }
}
