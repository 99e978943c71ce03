//! The benchmarks that need no network and no model, on worlds small enough for a test.

use serde_json::Value;

use crate::program::{Program, Said};

/// Two kinds of machine, thirty of each.
fn machines() -> String {
    let rows = ["96000,393216,8,G2\n", "104000,524288,2,T4\n"]
        .concat()
        .repeat(30);
    "cpu_milli,memory_mib,gpu,model\n".to_owned() + &rows
}

/// Tasks of a few shapes.
fn tasks() -> String {
    let rows = [
        "8000,16384,1,1000,\n",
        "4000,8192,1,500,\n",
        "2000,8192,1,250,T4\n",
        "32000,65536,8,1000,\n",
        "1000,2048,0,0,\n",
    ];
    "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n".to_owned() + &rows.concat().repeat(60)
}

fn json(said: &Said) -> Vec<Value> {
    assert_eq!(said.code, 0, "{}", said.stderr);
    let lines = said.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn number(line: &Value, field: &str) -> f64 {
    line[field]
        .as_f64()
        .unwrap_or_else(|| panic!("no {field} in {line}"))
}

#[test]
fn a_recorded_cluster_is_packed_by_all() {
    let program = Program::new();
    program.file("trace/openb_node_list_gpu_node.csv", &machines());
    program.file("trace/openb_pod_list_mine.csv", &tasks());
    program.file("trace/openb_pod_list_other.csv", &tasks());
    let trace = program.home().join("trace");
    let run = |more: &[&str]| {
        let first = [
            "bench",
            "packing",
            "--seeds",
            "2",
            "--data",
            trace.to_str().unwrap(),
        ];
        program.run(&[&first, more].concat())
    };
    let lines = json(&run(&["--json"]));
    let variants: Vec<_> = lines
        .iter()
        .map(|line| line["variant"].as_str().unwrap())
        .collect();
    assert_eq!(variants, ["mine", "other"]);
    let one = &json(&run(&["--json", "--variant", "mine"]))[0];
    assert_eq!(one, &lines[0], "the same seeds give the same figures");
    for field in [
        "at100",
        "at130",
        "fgd_at100",
        "fgd_at130",
        "best_fit_at130",
        "churn",
    ] {
        let share = number(one, field);
        assert!(share > 50.0 && share <= 100.0, "{field} is {share}");
    }
    let refused = run(&["--variant", "yours"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("name one of mine, other"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_trace_that_is_wrong_is_named_with_its_line() {
    let program = Program::new();
    program.file("openb_node_list_gpu_node.csv", &machines());
    program.file(
        "openb_pod_list_mine.csv",
        "cpu_milli,memory_mib,num_gpu,gpu_milli\n1,2,1,NaN\n",
    );
    let said = program.run(&[
        "bench",
        "packing",
        "--data",
        program.home().to_str().unwrap(),
    ]);
    assert_ne!(said.code, 0);
    assert!(
        said.stderr.contains("line 2, column `gpu_milli`: `NaN`"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_network_is_filled_and_its_decisions_are_timed() {
    let program = Program::new();
    let first = [
        "bench",
        "placement",
        "--gpus",
        "4000",
        "--decisions",
        "500",
        "--json",
    ];
    let line = &json(&program.run(&first))[0];
    assert_eq!(
        (line["bench"].as_str(), line["gpus"].as_u64()),
        (Some("placement"), Some(4_000))
    );
    assert_eq!(line["decisions"], 500);
    assert!(number(line, "p50_us") > 0.0 && number(line, "p50_us") <= number(line, "max_us"));
    assert!(number(line, "load_percent") > 50.0, "{line}");

    let priced = [&first[..], &["--nodes", "priced"]].concat();
    let line = &json(&program.run(&priced))[0];
    assert_eq!(line["decisions"], 500);
    assert!(number(line, "load_percent") > 50.0, "{line}");

    let folder = program.home().join("durable");
    let durable = [&first[..], &["--durable", folder.to_str().unwrap()]].concat();
    let line = &json(&program.run(&durable))[0];
    assert!(
        number(line, "decisions") >= 500.0 && number(line, "durable_per_cpu_s") > 0.0,
        "{line}"
    );
    assert_eq!(line["events_per_placement"], 4.0);
}
