//! `remuda sim`: what it prints, what it writes, and what it refuses.

use std::fs;

use serde_json::Value;

use crate::against_control::Network;
use crate::program::Program;

/// A small network for two days.
const SMALL: [&str; 10] = [
    "sim",
    "--gpus",
    "3000",
    "--site-gpus",
    "60",
    "--days",
    "2",
    "--seed",
    "7",
    "--scenario",
];

fn sim(program: &Program, scenario: &str, more: &[&str]) -> Vec<Value> {
    let arguments = [&SMALL[..], &[scenario], more, &["--json"]].concat();
    let said = program.run(&arguments);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let lines = said.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_tier_has_a_line_and_the_run_has_the_last() {
    let lines = sim(&Program::new(), "ten-times-worse", &[]);
    let tiers: Vec<_> = lines
        .iter()
        .filter_map(|line| line["tier"].as_str())
        .collect();
    assert_eq!(tiers, ["multi-site", "enterprise", "standard", "spot"]);
    let multi_site = &lines[0];
    assert_eq!(multi_site["promised"], 0.9999);
    assert!(multi_site["delivered"].as_f64().unwrap() > 0.999);
    assert!(multi_site["cost_ratio"].as_f64().unwrap() > 1.0);
    assert!(multi_site["by_replicas"]["12"]["units"].as_u64().unwrap() > 0);
    let run = lines.last().unwrap();
    assert_eq!(
        (run["sim"].as_str(), run["gpus"].as_u64()),
        (Some("run"), Some(3_000))
    );
    assert!(run["nodes_lost"].as_u64().unwrap() > 10, "{run}");
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    sim(
        &Program::new(),
        "exit",
        &["--report", page.to_str().unwrap()],
    );
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("providers with 5 % of the fleet leave") && page.contains("multi-site"));
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http") && !outside.contains("<script"));
}

#[test]
fn what_cannot_be_simulated_is_refused_with_the_way_out() {
    let program = Program::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let refused = |arguments: &[&str]| {
        let said = program.run(&[&["sim"], arguments].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    assert!(refused(&["--gpus", "0"]).contains("gpus is 0: 1 to 2000000 is expected"));
    let unknown = refused(&["--scenario", "nope"]);
    assert!(
        unknown.contains("next: give a TOML file, or one of calm, published"),
        "{unknown}"
    );
    let scenario = file("bad.toml", "[wires]\nlost = 2.0\n");
    assert!(refused(&["--scenario", &scenario]).contains("2 is no share: 0 to 1 is expected"));
    let trace = file(
        "trace.json",
        r#"{"metadata":{"gap_seconds":60},"data":[1,-3]}"#,
    );
    let trace = refused(&["--availability", &trace]);
    assert!(trace.contains("data[1] is -3"), "{trace}");
    assert!(refused(&["--journal", "nothing-here"]).contains("next: name control's data folder"));
}

#[test]
fn a_real_journal_replays() {
    let network = Network::start();
    let program = network.operator();
    program.json(&["tenant", "create", "acme"]);
    let dir = network.data_dir();
    let _host = network.stop();
    let said = Program::new().run(&["sim", "--journal", dir.to_str().unwrap(), "--json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert!(run["commands"].as_u64().unwrap() >= 2, "{run}");
}
