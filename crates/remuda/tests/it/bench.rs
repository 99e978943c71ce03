//! The benchmarks that need no model, on worlds small enough for a test.

use serde_json::Value;

use crate::e2e::network::port_base;
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
    assert_eq!(one["tasks_without_node"], 0);
    let odd = tasks() + "1000,2048,9,1000,\n";
    program.file("trace/openb_pod_list_odd.csv", &odd);
    let odd = run(&["--variant", "odd"]);
    assert_eq!(odd.code, 0, "{}", odd.stderr);
    let told = "odd: 1 of 301 tasks fit no node";
    assert!(odd.stderr.contains(told), "{}", odd.stderr);
}

#[test]
fn requests_are_sent_by_all_rules() {
    let program = Program::new();
    let run = |load: &str, more: [&str; 2]| {
        let words = ["bench", "routing", "--json", "--load", load];
        json(&program.run(&[&words[..], &more].concat()))
    };
    let drawn = run("90", ["--chats", "300"]);
    let policies: Vec<_> = drawn.iter().map(|line| line["policy"].as_str()).collect();
    assert_eq!(
        policies,
        [Some("round-robin"), Some("least-load"), Some("prefix")]
    );
    assert!(
        number(&drawn[2], "times_better_than_round_robin") >= 1.8,
        "{}",
        drawn[2]
    );
    assert!(
        number(&drawn[2], "ttft_p99_ms") > number(&drawn[2], "ttft_mean_ms"),
        "{}",
        drawn[2]
    );
    program.file(
        "trace.jsonl",
        "{\"timestamp\": 0, \"input_length\": 900, \"output_length\": 1, \"hash_ids\": [7, 8]}\n\
         {\"timestamp\": 9000, \"input_length\": 900, \"output_length\": 1, \"hash_ids\": [7, 8]}\n",
    );
    let file = program.home().join("trace.jsonl");
    let shared = run("1", ["--trace", file.to_str().unwrap()]);
    let cached: Vec<_> = shared
        .iter()
        .map(|line| number(line, "cached_share"))
        .collect();
    assert!(cached[0] < 0.1 && cached[2] > 0.4, "{cached:?}");
}

/// What is said of a file: the problem, and the way out.
type Wrong<'a> = (&'a str, &'a str);

/// `bench` with files of the home: asked wrongly, and said what is wrong and what to do.
fn refused(program: &Program, bench: &str, arguments: &[&str], (problem, way_out): Wrong<'_>) {
    let said = program.run(&[&["bench", bench], arguments].concat());
    assert_eq!(said.code, 2, "{arguments:?}: {}", said.stderr);
    for text in [problem, &format!("next: {way_out}")] {
        assert!(said.stderr.contains(text), "no `{text}`: {}", said.stderr);
    }
}

/// The same with a folder of these files: names, and what is in them.
fn trace_refused(files: [(&str, &str); 2], wrong: Wrong<'_>) {
    let program = Program::new();
    for (name, rows) in files {
        program.file(&format!("trace/{name}"), rows);
    }
    refused(&program, "packing", &["--data", "trace"], wrong);
}

#[test]
fn a_trace_that_is_wrong_is_named_with_its_line_and_what_is_expected() {
    const NODES: &str = "openb_node_list_gpu_node.csv";
    const TASKS: &str = "openb_pod_list_mine.csv";
    let (good_nodes, good_tasks) = (machines(), tasks());
    let nodes = |row: &'static str| format!("sn,cpu_milli,memory_mib,gpu,model\n{row}\n");
    let tasks =
        |row: &'static str| format!("cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n{row}\n");
    let columns = "the columns cpu_milli, memory_mib, num_gpu and gpu_milli are expected";
    for (row, problem, way_out) in [
        ("1,2,1,NaN,", "line 2, column `gpu_milli`: `NaN`", columns),
        ("1,2,1,1001,", "line 2, column `gpu_milli`: `1001`", columns),
        ("1,2,65,1000,", "line 2, column `num_gpu`: `65`", columns),
        ("1,2,0,0,", "mine.csv has no GPU in it", "one task at least"),
        (
            "1,2,9,1000,",
            "fits any node",
            "give tasks and nodes of one",
        ),
        (
            "99999999,2,1,1000,",
            "fits any node",
            "give tasks and nodes",
        ),
        ("1,2,1,1000,XYZ", "fits any node", "give tasks and nodes"),
    ] {
        let files = [(NODES, &*good_nodes), (TASKS, &tasks(row))];
        trace_refused(files, (problem, way_out));
    }
    let columns = "the columns cpu_milli, memory_mib, gpu and model are expected";
    for (name, row, problem, way_out) in [
        (NODES, "n1,1,2,65,G2", "line 2, column `gpu`: `65`", columns),
        (NODES, "n1,1,2,0,", "gpu_node.csv has no GPU", "one node"),
        (
            NODES,
            "n1,1,2,8,G2\nn1,1,2,8,G2",
            "`n1`: line 2 has it",
            columns,
        ),
        (
            "openb_node_list_all_node.csv",
            "",
            "trace has no openb_node_list_gpu_node.csv",
            "name a",
        ),
    ] {
        let files = [(name, &*nodes(row)), (TASKS, &good_tasks)];
        trace_refused(files, (problem, way_out));
    }
}

#[test]
fn what_is_no_trace_and_no_list_of_cities_is_asked_wrongly() {
    let program = Program::new();
    program.file("binary", "\u{7f}ELF\0\n\0\u{1}");
    program.file("empty/readme", "");
    program.file(
        "cities.csv",
        "city,Lat,Long,Population\nSeoul,37.5,127,10\nBusan,35,129,4\n",
    );
    program.file("pole.csv", "city,Lat,Long,Population\nPole,91,0,1\n");
    program.file("rtt.csv", "from_city,avg_ms\nSeoul,1\n");
    let there = "name one that is there";
    let cities = "the columns city, Lat, Long and Population are expected";
    let trips = "the columns from_city, to_city_country_continent and avg_ms are expected";
    for (bench, arguments, problem, way_out) in [
        ("packing", &["--data", "nope"][..], "cannot read", there),
        ("packing", &["--data", "binary"], "cannot read", there),
        (
            "packing",
            &["--data", "empty"],
            "no openb_pod_list_",
            "name a folder",
        ),
        ("cost", &["--cities", "nope"], "cannot read", there),
        ("routing", &["--trace", "nope"], "cannot read", there),
        (
            "routing",
            &["--trace", "binary"],
            "binary cannot be used",
            "the columns TIMESTAMP, ContextTokens and GeneratedTokens, or",
        ),
        ("cost", &["--cities", "empty"], "is a folder", there),
        (
            "cost",
            &["--cities", "binary"],
            "binary cannot be used",
            cities,
        ),
        (
            "cost",
            &["--cities", "pole.csv"],
            "line 2, column `Lat`: `91`",
            cities,
        ),
        (
            "cost",
            &["--cities", "cities.csv", "--rtt", "rtt.csv"],
            "`to_city_country_",
            trips,
        ),
    ] {
        refused(&program, bench, arguments, (problem, way_out));
    }
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
    assert_eq!(
        (line["bench"].as_str(), line["durable"].as_bool()),
        (Some("placement"), Some(true))
    );
    let nowhere = [&first[..], &["--durable", "/proc/nowhere"]].concat();
    let said = program.run(&nowhere);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("with --durable"), "{}", said.stderr);
}

#[test]
fn nodes_are_watched_and_their_sessions_held() {
    let program = Program::new();
    let port_base = port_base().to_string();
    let words = "bench liveness --nodes 2000 --hours 1 --deaths 50 --sessions 6 --seconds 1 --json";
    let words: Vec<&str> = words.split(' ').collect();
    let line = &json(&program.run(&[&words[..], &["--port-base", &port_base]].concat()))[0];
    assert_eq!(
        (
            line["bench"].as_str(),
            line["nodes"].as_u64(),
            line["sessions"].as_u64()
        ),
        (Some("liveness"), Some(2_000), Some(6))
    );
    assert!(number(line, "reports_per_s") > 0.0, "{line}");
    assert!(number(line, "reports_per_session_s") > 0.0, "{line}");
    assert!(number(line, "cpu_us_per_session_s").is_finite(), "{line}");
    let [p50, p99, max] =
        ["detect_p50_ms", "detect_p99_ms", "detect_max_ms"].map(|of| number(line, of));
    assert!(
        p50 > 1_660.0 && p50 <= p99 && p99 <= max && max <= 3_000.0,
        "{line}"
    );
    assert_eq!(
        (line["deaths"].as_u64(), line["deaths_missed"].as_u64()),
        (Some(50), Some(0))
    );
    assert!(
        number(line, "false_alarms_per_day_per_1000") < f64::EPSILON,
        "{line}"
    );
    // One seen in an hour would be 24 a day; none seen may be three times that.
    assert!(
        number(line, "false_alarms_per_day_per_1000_at_most") > 24.0,
        "{line}"
    );
    // One report in a hundred is lost: 864,000 a day.
    let suspicions = number(line, "suspicions_per_day_per_1000");
    assert!((800_000.0..900_000.0).contains(&suspicions), "{line}");
}

#[test]
fn a_liveness_that_cannot_be_measured_is_refused() {
    let program = Program::new();
    let refused = |flag: &str, value: &str| {
        let said = program.run(&["bench", "liveness", flag, value]);
        assert_eq!(said.code, 2, "{flag} {value}: {}", said.stderr);
        said.stderr
    };
    refused("--nodes", "0");
    refused("--sessions", "0");
    refused("--seconds", "0");
    assert!(refused("--loss", "101").contains("a number from 0 to 100 is expected"));
    assert!(refused("--deaths", "9999999").contains("9999999 deaths are too many for 1000 nodes"));
}

/// Cities on a grid, the later the larger.
fn cities() -> String {
    let city = |at: u32| {
        let (north, east) = (i64::from(at % 8) * 15 - 50, i64::from(at) * 9 - 179);
        format!("Town {at},{north},{east},{}\n", (at + 1) * 40_000)
    };
    "city,Lat,Long,Population\n".to_owned() + &(0..40).map(city).collect::<String>()
}

#[test]
fn a_world_is_served_under_plans_and_by_rules_of_thumb() {
    let program = Program::new();
    program.file("cities.csv", &cities());
    program.file(
        "rtt.csv",
        "from_city,to_city_country_continent,avg_ms\nTown 1,\"Town 39 Nowhere, Europe\",29.5\n",
    );
    let file = |name: &str| program.home().join(name).to_str().unwrap().to_owned();
    let run = |more: &[&str]| {
        let cities = file("cities.csv");
        let first = [
            "bench", "cost", "--sites", "40", "--gpus", "20000", "--json", "--cities", &cities,
        ];
        json(&program.run(&[&first, more].concat())).remove(0)
    };
    let line = run(&[]);
    assert_eq!(line["bench"], "cost");
    let over = number(&line, "over_lp_pct");
    assert!(
        over >= 0.0 && over <= number(&line, "certified_gap_pct"),
        "{line}"
    );
    for rule in ["nearest_pct", "cheapest_pct"] {
        assert!(number(&line, rule) > over, "{line}");
    }
    assert_eq!(line["solves_s"].as_array().map(Vec::len), Some(6));
    let exact = run(&[
        "--forecast-error",
        "0",
        "--solves",
        "0",
        "--rtt",
        &file("rtt.csv"),
    ]);
    assert!(number(&exact, "over_lp_pct") < 0.001, "{exact}");
    assert_ne!(exact["pairs"], line["pairs"]);
}

#[test]
fn what_one_half_of_a_record_teaches_is_judged_by_the_other() {
    let program = Program::new();
    let words = "bench correlation --draws 500 --json";
    let words: Vec<&str> = words.split(' ').collect();
    let lines = json(&program.run(&words));
    let replicas: Vec<_> = lines.iter().map(|line| line["replicas"].as_u64()).collect();
    assert_eq!(replicas, [Some(2), Some(3)]);
    let [blind, learned, independent] =
        ["blind", "learned", "independent"].map(|field| number(&lines[0], field));
    assert!(
        learned < blind / 2.0 && independent < blind / 2.0,
        "{}",
        lines[0]
    );
    let trace = |name: &str, data: &str| {
        let text = format!("{{\"metadata\":{{\"gap_seconds\":3600}},\"data\":[{data}]}}");
        program.file(name, &text);
        program.home().join(name).to_str().unwrap().to_owned()
    };
    let files = [
        trace("a.json", "1,0,1,0,1,0,0,1"),
        trace("b.json", "1,0,1,0,1,0,0,1"),
    ];
    let with = |files: &[String]| {
        let mut words = vec!["bench", "correlation", "--json", "--availability"];
        words.extend(files.iter().map(String::as_str));
        program.run(&words)
    };
    let lines = json(&with(&files));
    assert_eq!(lines.len(), 1, "three replicas have no place at two sites");
    assert_eq!(
        (lines[0]["blind"].as_f64(), lines[0]["kin_drawn"].as_u64()),
        (Some(0.5), None)
    );
    let well = [trace("c.json", "1,1,1,0"), trace("d.json", "1,1,1,0")];
    let untaught = with(&well);
    assert_eq!(untaught.code, 2, "{}", untaught.stdout);
    assert!(
        untaught
            .stderr
            .contains("no outage begins at any of the 2 sites"),
        "{}",
        untaught.stderr
    );
    let alone = with(&files[..1]);
    assert_eq!(alone.code, 2, "{}", alone.stderr);
    assert!(alone.stderr.contains("at least 2"), "{}", alone.stderr);
}
